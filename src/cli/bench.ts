/**
 * `npm run bench`: how fast this device trains and answers, in one process, on a model of true shape and random weights.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Comparison } from '../worker/bench/peers.ts';
import { benchShape, type BenchRequest, type ShapeResult } from '../worker/bench/benchShape.ts';
import type { BenchOptions } from '../worker/bench/runBench.ts';
import { defaultBatch, parseShape, SHAPE_NAMES } from '../worker/bench/shapes.ts';
import { benchLines, tuningLines } from './benchLines.ts';
import { main as comparePackages, peerLines, runPeers, type PeersBundle } from './benchPeers.ts';
import { findPython, pythonLines, runPython, type PythonOutcome } from './benchPython.ts';
import { NODE_GPU_KINDS, openNodeGpu, type NodeGpuKind } from './nodeGpu.ts';

const USAGE = `npm run bench -- [SHAPE...] [--device swiftshader|lavapipe|gpu|auto] [--runtime node|browser]
npm run bench -- peers [SHAPE] ...      beside other packages of npm; peers --help tells more
  SHAPE             ${SHAPE_NAMES.join(', ')}, or numbers such as L=2,d=64,H=4,ff=128,V=512; B=4 and T=512 may follow either
  --steps N         measured steps (20 on a GPU, 5 on a software adapter), after --warmup N (3, 1)
  --rank N          of the adapter on all seven projections (16)
  --generate N      tokens to generate (64, 16); 0 leaves generation out
  --tune            prints what every kernel variant took, by product; measures on software adapters too
  --variants A=B,.. kernel variants by shape class or product, as a run records them, instead of measuring
  --experimental    shows kernels what Dawn hides otherwise: subgroup matrices (--runtime node; Chrome has its own flag)
  --recompute       also steps that compute parts of the forward pass again
  --python PATH     the same step in PyTorch + PEFT, f32 and bf16, by this Python; auto: the first on PATH that has torch
  --all             all four shapes with --tune, --recompute and --python auto, and the packages of npm where they are packed
  --peak N          the device's f32 peak in TFLOP/s, to print the share reached
  --json FILE       all figures`;

/** Milliseconds that this process and its driver's threads computed so far, spread over the cores. */
const processorMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000 / availableParallelism();
};

/** What lies in files of the project, and in the bundle of a packed bench. */
export interface BenchAssets {
  pythonScript: () => Promise<string>;
  /** A folder, or null: they are made where they are asked for. */
  peersBundle: PeersBundle;
}
const ASSETS: BenchAssets = { pythonScript: () => readFile(resolve(import.meta.dirname, '../../bench/pytorch_peft.py'), 'utf8'), peersBundle: null };

export interface ComparedResult extends ShapeResult {
  /** Absent where no Python was asked for. */
  pytorch?: PythonOutcome;
}

export async function main(argv: string[], assets = ASSETS): Promise<number> {
  if (argv[0] === 'peers') return comparePackages(argv.slice(1), assets.peersBundle);
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'auto' }, runtime: { type: 'string', default: 'node' }, steps: { type: 'string' }, warmup: { type: 'string' }, rank: { type: 'string', default: '16' },
      generate: { type: 'string' }, recompute: { type: 'boolean', default: false }, tune: { type: 'boolean', default: false }, variants: { type: 'string' }, experimental: { type: 'boolean', default: false }, python: { type: 'string' }, all: { type: 'boolean', default: false }, peak: { type: 'string' }, json: { type: 'string' }, help: { type: 'boolean' },
    },
  });
  if (values.help || !['node', 'browser'].includes(values.runtime) || !NODE_GPU_KINDS.includes(values.device as NodeGpuKind)) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const device = values.device as NodeGpuKind;
  if (values.all) Object.assign(values, { tune: true, recompute: true, python: values.python ?? 'auto' });
  const variants = Object.fromEntries((values.variants?.split(',') ?? []).map((pair) => pair.split('=') as [string, string]));
  /** The number given, or the one for the kind of device. */
  const optionsFor = (software: boolean): BenchOptions => {
    const given = (text: string | undefined, gpu: number, slow: number): number => (text === undefined ? (software ? slow : gpu) : Number(text));
    return {
      steps: Math.max(1, given(values.steps, 20, 5)), warmup: given(values.warmup, 3, 1), generate: given(values.generate, 64, 16),
      r: Number(values.rank), ...(software && values.runtime === 'node' ? { clock: processorMs } : {}),
      peakTflops: values.peak === undefined ? null : Number(values.peak), recompute: values.recompute,
    };
  };
  const python = values.python === undefined ? null : await findPython(values.python);
  const results: ComparedResult[] = [];
  const write = async (peers?: Comparison): Promise<void> => void (values.json !== undefined && await writeFile(values.json, JSON.stringify({ results, ...(peers && { peers }) }, null, 1)));
  const report = async (result: ComparedResult): Promise<void> => {
    results.push(result);
    console.log([...benchLines(result), ...(values.tune ? tuningLines(result) : [])].join('\n'));
    if (values.python !== undefined) {
      const { software } = result.device;
      const { steps, warmup, r } = optionsFor(software);
      result.pytorch = python === null ? { failed: 'no Python on PATH has torch' } : await runPython(python, {
        script: await assets.pythonScript(), shape: parseShape(result.shape.text, defaultBatch(software)), r, steps, warmup, software,
      });
      console.log(pythonLines(result.pytorch, result.step.ms.median).join('\n'));
    }
    // After every shape: what follows may not fit the device.
    await write();
  };
  const progress = (line: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line}\r`));
  const request = (shape: string): BenchRequest => ({ shape, tune: values.tune, variants, optionsFor: { gpu: optionsFor(false), software: optionsFor(true) } });
  const shapes = positionals.length > 0 ? positionals : values.all ? SHAPE_NAMES.filter((name) => name !== 'tiny') : ['tiny'];
  if (values.runtime === 'browser') {
    // Only here: what is packed for a bare machine has neither Vite nor a browser.
    const { benchInBrowser } = await import('./browserRun.ts');
    for (const shape of shapes) await report(await benchInBrowser(device, request(shape)));
  } else {
    const gpu = await openNodeGpu(device, { experimental: values.experimental });
    for (const shape of shapes) await report(await benchShape(gpu, request(shape), progress));
  }
  if (values.all && assets.peersBundle !== null) {
    const [shape] = positionals;
    const comparison = await runPeers({ device, runtime: 'node', bundled: assets.peersBundle, rounds: 3, steps: 2, ...(shape === undefined ? {} : { shape }) });
    console.log(peerLines(comparison).join('\n'));
    await write(comparison);
  }
  return 0;
}
