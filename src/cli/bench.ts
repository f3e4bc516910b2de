/**
 * `npm run bench`: how fast this device trains and answers, in one process, on a model of true shape and random weights.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { openEngine } from '../engine/device.ts';
import { runBench, type BenchOptions, type BenchResult } from '../worker/bench/runBench.ts';
import { defaultBatch, parseShape, SHAPE_NAMES } from '../worker/bench/shapes.ts';
import { NODE_GPU_KINDS, openNodeGpu, type NodeGpuKind } from './nodeGpu.ts';

const USAGE = `npm run bench -- [SHAPE...] [--device swiftshader|lavapipe|gpu|auto] [--runtime node|browser]
  SHAPE             ${SHAPE_NAMES.join(', ')}, or numbers such as L=2,d=64,H=4,ff=128,V=512; B=4 and T=512 may follow either
  --steps N         measured steps (20 on a GPU, 5 on a software adapter), after --warmup N (3, 1)
  --rank N          of the adapter on all seven projections (16)
  --generate N      tokens to generate (64, 16); 0 leaves generation out
  --variants A=B,.. kernel variants by shape class, as a run records them
  --peak N          the device's f32 peak in TFLOP/s, to print the share reached
  --json FILE       all figures`;

const ms = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;
const rate = (gflops: number): string => (gflops >= 1000 ? `${(gflops / 1000).toFixed(2)} TFLOP/s` : `${gflops.toFixed(2)} GFLOP/s`);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** How many kernels are listed before the rest is one line. */
const LISTED = 14;

export function benchLines(r: BenchResult): string[] {
  const { best } = r.matmul;
  const { step, profile, memory, generation } = r;
  const lines = [
    `device       ${r.device.description}${r.device.software ? ' (software adapter)' : ''}`,
    `shape        ${r.shape.name}: ${(r.shape.parameters / 1e6).toFixed(1)} M parameters, ${r.shape.batch} x ${r.shape.length} tokens, r ${r.shape.r}`,
    `big product  ${rate(best.gflops)}: ${best.n} x ${best.n} x ${best.n}, ${best.variant}, ${best.dtype}${r.matmul.shareOfPeak === null ? '' : `, ${percent(r.matmul.shareOfPeak)} of the peak given`}`,
    `cold start   ${ms(r.firstStepMs)} from the first kernel to the end of the first step; weights in ${ms(r.loadMs)}`,
    `step         ${ms(step.ms.median)} (${ms(step.ms.low)} to ${ms(step.ms.high)}), ${step.tokensPerSecond.toFixed(0)} tokens/s, loss ${step.firstLoss.toFixed(3)} -> ${step.lastLoss.toFixed(3)}`,
    `             ${rate(step.gflops)} for ${(step.flops / 1e9).toFixed(2)} GFLOP: MFU ${step.mfu.toFixed(3)} of the big product`,
    `             ${step.dispatches.toFixed(0)} dispatches in ${step.submits.toFixed(1)} submits; ${ms(step.cpuMs)} of the submitting thread, ${step.cpuMicrosecondsPerDispatch.toFixed(1)} us a dispatch`,
    `memory       ${megabytes(memory.peakBytes)} at most: weights ${megabytes(memory.weightBytes)}, activations and scratch ${megabytes(memory.activationBytes)}`,
  ];
  if (generation) lines.push(`generation   ${generation.tokensPerSecond.toFixed(1)} tokens/s: ${percent(generation.shareOfCopy)} of the ${generation.copyGBs.toFixed(1)} GB/s that a copy reads here`);
  if (!profile) return [...lines, 'by kernel    not measured: this device has no timestamps'];
  lines.push(`by kernel    ${ms(profile.kernelMs)} in kernels of a ${ms(profile.stepMs)} step with a pass each: ${profile.slowdown.toFixed(2)} x the normal step`);
  for (const k of profile.kernels.slice(0, LISTED)) lines.push(`  ${percent(k.share).padStart(7)}  ${ms(k.ms).padStart(10)}  ${String(k.count).padStart(4)} x  ${k.name}`);
  const rest = profile.kernels.slice(LISTED);
  if (rest.length > 0) lines.push(`  ${percent(rest.reduce((n, k) => n + k.share, 0)).padStart(7)}  ${ms(rest.reduce((n, k) => n + k.ms, 0)).padStart(10)}  ${rest.length} more`);
  return lines;
}

export async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'auto' }, runtime: { type: 'string', default: 'node' }, steps: { type: 'string' }, warmup: { type: 'string' }, rank: { type: 'string', default: '16' },
      generate: { type: 'string' }, variants: { type: 'string' }, peak: { type: 'string' }, json: { type: 'string' }, help: { type: 'boolean' },
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
      r: Number(values.rank), peakTflops: values.peak === undefined ? null : Number(values.peak),
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
