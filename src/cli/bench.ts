/**
 * `npm run bench`: how fast this device trains and answers, in one process, on a model of true shape and random weights.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { benchShape, type BenchRequest, type ShapeResult } from '../worker/bench/benchShape.ts';
import type { BenchOptions } from '../worker/bench/runBench.ts';
import { SHAPE_NAMES } from '../worker/bench/shapes.ts';
import { benchLines, tuningLines } from './benchLines.ts';
import { NODE_GPU_KINDS, openNodeGpu, type NodeGpuKind } from './nodeGpu.ts';

const USAGE = `npm run bench -- [SHAPE...] [--device swiftshader|lavapipe|gpu|auto] [--runtime node|browser]
  SHAPE             ${SHAPE_NAMES.join(', ')}, or numbers such as L=2,d=64,H=4,ff=128,V=512; B=4 and T=512 may follow either
  --steps N         measured steps (20 on a GPU, 5 on a software adapter), after --warmup N (3, 1)
  --rank N          of the adapter on all seven projections (16)
  --generate N      tokens to generate (64, 16); 0 leaves generation out
  --tune            prints what every kernel variant took, by product; measures on software adapters too
  --variants A=B,.. kernel variants by shape class or product, as a run records them, instead of measuring
  --recompute       also steps that compute parts of the forward pass again
  --peak N          the device's f32 peak in TFLOP/s, to print the share reached
  --json FILE       all figures`;

export async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'auto' }, runtime: { type: 'string', default: 'node' }, steps: { type: 'string' }, warmup: { type: 'string' }, rank: { type: 'string', default: '16' },
      generate: { type: 'string' }, recompute: { type: 'boolean', default: false }, tune: { type: 'boolean', default: false }, variants: { type: 'string' }, peak: { type: 'string' }, json: { type: 'string' }, help: { type: 'boolean' },
    },
  });
  if (values.help || !['node', 'browser'].includes(values.runtime) || !NODE_GPU_KINDS.includes(values.device as NodeGpuKind)) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const device = values.device as NodeGpuKind;
  const variants = Object.fromEntries((values.variants?.split(',') ?? []).map((pair) => pair.split('=') as [string, string]));
  /** The number given, or the one for the kind of device. */
  const optionsFor = (software: boolean): BenchOptions => {
    const given = (text: string | undefined, gpu: number, slow: number): number => (text === undefined ? (software ? slow : gpu) : Number(text));
    return {
      steps: Math.max(1, given(values.steps, 20, 5)), warmup: given(values.warmup, 3, 1), generate: given(values.generate, 64, 16),
      r: Number(values.rank), peakTflops: values.peak === undefined ? null : Number(values.peak), recompute: values.recompute,
    };
  };
  const results: ShapeResult[] = [];
  const report = (result: ShapeResult): void => {
    results.push(result);
    console.log([...benchLines(result), ...(values.tune ? tuningLines(result) : [])].join('\n'));
  };
  const progress = (line: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line}\r`));
  const request = (shape: string): BenchRequest => ({ shape, tune: values.tune, variants, optionsFor: { gpu: optionsFor(false), software: optionsFor(true) } });
  const shapes = positionals.length > 0 ? positionals : ['tiny'];
  if (values.runtime === 'browser') {
    // Only here: what is packed for a bare machine has neither Vite nor a browser.
    const { benchInBrowser } = await import('./browserRun.ts');
    for (const shape of shapes) report(await benchInBrowser(device, request(shape)));
  } else {
    const gpu = await openNodeGpu(device);
    for (const shape of shapes) report(await benchShape(gpu, request(shape), progress));
  }
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(results, null, 1));
  return 0;
}
