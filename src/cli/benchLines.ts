/** The bench's figures as lines for a person to read. */
import type { ShapeResult } from '../worker/bench/benchShape.ts';

export const ms = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;
export const rate = (gflops: number): string => (gflops >= 1000 ? `${(gflops / 1000).toFixed(2)} TFLOP/s` : `${gflops.toFixed(2)} GFLOP/s`);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** How many kernels are listed before the rest is one line. */
const LISTED = 14;

export function benchLines(r: ShapeResult): string[] {
  const { best } = r.matmul;
  const { step, memory, generation, coldStart } = r;
  const lines = [
    `device       ${r.device.description}${r.device.software ? ' (software adapter)' : ''}`,
    `shape        ${r.shape.name}: ${(r.shape.parameters / 1e6).toFixed(1)} M parameters, ${r.shape.batch} x ${r.shape.length} tokens, r ${r.shape.r}`,
    `big product  ${rate(best.gflops)}: ${best.n} x ${best.n} x ${best.n}, ${best.variant}, ${best.dtype}${r.matmul.shareOfPeak === null ? '' : `, ${percent(r.matmul.shareOfPeak)} of the peak given`}`,
    `cold start   ${ms(coldStart.loadMs + coldStart.compileMs + coldStart.stepMs)} to the end of the first step: weights ${ms(coldStart.loadMs)}, ${coldStart.kernels} kernels compiled side by side ${ms(coldStart.compileMs)}, step ${ms(coldStart.stepMs)}`,
    `step         ${ms(step.ms.median)} (${ms(step.ms.low)} to ${ms(step.ms.high)}), ${step.tokensPerSecond.toFixed(0)} tokens/s, loss ${step.firstLoss.toFixed(3)} -> ${step.lastLoss.toFixed(3)}`,
    `             ${rate(step.gflops)} for ${(step.flops / 1e9).toFixed(2)} GFLOP: MFU ${step.mfu.toFixed(3)} of the big product`,
    `             ${step.dispatches.toFixed(0)} dispatches in ${step.submits.toFixed(1)} submits; ${ms(step.cpuMs)} of the submitting thread (${percent(step.cpuMs / step.ms.median)} of the step), ${step.cpuMicrosecondsPerDispatch.toFixed(1)} us a dispatch`,
    `memory       ${megabytes(memory.peakBytes)} at most: weights ${megabytes(memory.weightBytes)}, activations and scratch ${megabytes(memory.activationBytes)}`,
  ];
  if (generation) {
    const { tuned } = generation;
    lines.push(`generation   ${generation.tokensPerSecond.toFixed(1)} tokens/s: ${percent(generation.shareOfCopy)} of the ${generation.copyGBs.toFixed(1)} GB/s that a copy reads here; ${generation.dispatches} dispatches a token, ${generation.dispatchesPerLayer.toFixed(1)} a layer`);
    lines.push(`             ${tuned.tokensPerSecond.toFixed(1)} tokens/s with the adapter, ${tuned.dispatches} dispatches, ${tuned.dispatchesPerLayer.toFixed(1)} a layer`);
  }
  for (const { policy, ms: time, timeRatio, flopsRatio, unexplained, activationBytes, activationRatio } of r.recompute ?? []) {
    lines.push(`recompute    ${policy.padEnd(6)} ${ms(time).padStart(10)}: ${timeRatio.toFixed(3)} x the time for ${flopsRatio.toFixed(3)} x the work (${unexplained.toFixed(3)} x what that explains); activations ${megabytes(activationBytes)}, ${activationRatio.toFixed(3)} x`);
  }
  return [...lines, ...kernelLines(r)];
}

function kernelLines({ profile }: ShapeResult): string[] {
  if (!profile) return ['by kernel    not measured: this device has no timestamps'];
  const lines = [
    `by kernel    ${ms(profile.kernelMs)} in kernels of a ${ms(profile.stepMs)} step with a pass each: ${profile.slowdown.toFixed(2)} x the normal step${profile.idleShare === null ? '' : `, in which no kernel runs for ${percent(profile.idleShare)}`}`,
  ];
  for (const k of profile.kernels.slice(0, LISTED)) lines.push(`  ${percent(k.share).padStart(7)}  ${ms(k.ms).padStart(10)}  ${String(k.count).padStart(4)} x  ${k.name}`);
  const rest = profile.kernels.slice(LISTED);
  if (rest.length > 0) lines.push(`  ${percent(rest.reduce((n, k) => n + k.share, 0)).padStart(7)}  ${ms(rest.reduce((n, k) => n + k.ms, 0)).padStart(10)}  ${rest.length} more`);
  return lines;
}

/** What every variant of every product took, the chosen one marked. */
export function tuningLines({ tuning }: ShapeResult): string[] {
  if (!tuning) return ['variants     not measured: chosen by hand'];
  return [
    `variants     measured in ${ms(tuning.ms)}, compiling them and making the weights included; * is chosen`,
    ...tuning.products.map(({ key, count, chosen, ms: times }) => {
      const one = ([variant, time]: [string, number | null]): string => `${variant}${variant === chosen ? '*' : ''} ${time === null ? 'does not run' : ms(time)}`;
      return `  ${String(count).padStart(4)} x  ${key.padEnd(38)}  ${Object.entries(times).map(one).join('  ')}`;
    }),
  ];
}
