/**
 * `npm run bench`: how fast this device trains and answers, in one process, on a model of true shape and random weights.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { openEngine } from '../engine/device.ts';
import { runBench, type BenchOptions, type BenchResult } from '../worker/bench/runBench.ts';
import { defaultBatch, parseShape, SHAPE_NAMES } from '../worker/bench/shapes.ts';
import { benchLines } from './benchLines.ts';
import { NODE_GPU_KINDS, openNodeGpu, type NodeGpuKind } from './nodeGpu.ts';

const USAGE = `npm run bench -- [SHAPE...] [--device swiftshader|lavapipe|gpu|auto] [--runtime node|browser]
  SHAPE             ${SHAPE_NAMES.join(', ')}, or numbers such as L=2,d=64,H=4,ff=128,V=512; B=4 and T=512 may follow either
  --steps N         measured steps (20 on a GPU, 5 on a software adapter), after --warmup N (3, 1)
  --rank N          of the adapter on all seven projections (16)
  --generate N      tokens to generate (64, 16); 0 leaves generation out
  --variants A=B,.. kernel variants by shape class, as a run records them
  --recompute       also steps that compute parts of the forward pass again
  --peak N          the device's f32 peak in TFLOP/s, to print the share reached
  --json FILE       all figures`;

export async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'auto' }, runtime: { type: 'string', default: 'node' }, steps: { type: 'string' }, warmup: { type: 'string' }, rank: { type: 'string', default: '16' },
      generate: { type: 'string' }, recompute: { type: 'boolean', default: false }, variants: { type: 'string' }, peak: { type: 'string' }, json: { type: 'string' }, help: { type: 'boolean' },
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
  const results: BenchResult[] = [];
  const report = (result: BenchResult): void => {
    results.push(result);
    console.log(benchLines(result).join('\n'));
  };
  const progress = (line: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line}\r`));
  if (values.runtime === 'browser') {
    // Only here: what is packed for a bare machine has neither Vite nor a browser.
    const { benchInBrowser } = await import('./browserRun.ts');
    for (const text of positionals.length > 0 ? positionals : ['tiny']) {
      report(await benchInBrowser(device, { shape: text, variants, optionsFor: { gpu: optionsFor(false), software: optionsFor(true) } }));
    }
  } else {
    const gpu = await openNodeGpu(device);
    for (const text of positionals.length > 0 ? positionals : ['tiny']) {
      // A device of its own each, so that peaks of memory and compiled kernels are this shape's.
      const engine = await openEngine(gpu);
      Object.assign(engine.variants, variants);
      const shape = parseShape(text, defaultBatch(engine.info.software));
      report(await runBench(engine, shape, optionsFor(engine.info.software), progress));
      engine.destroy();
    }
  }
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(results, null, 1));
  return 0;
}
