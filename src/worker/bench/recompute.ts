/**
 * Owns what computing the forward pass again costs and saves: steps of every policy in turn, in one process. What a policy may cost is
 * counted from the dispatches themselves.
 */
import { RECOMPUTE_POLICIES, type RecomputePolicy } from '../../config/recipe.ts';
import { forecastMemory } from '../../train/memory.ts';
import type { LoraAdapter } from '../../model/lora.ts';
import type { FlatBatch } from '../../model/batchInputs.ts';
import type { ModelOnGpu } from '../../model/inference.ts';
import { Steps } from './steps.ts';

export interface RecomputeFigure {
  policy: RecomputePolicy;
  /** Milliseconds of a step: the fastest round, which other work on the machine disturbs least. */
  ms: number;
  /** Step time over that of 'none'. */
  timeRatio: number;
  /** The policy's floating-point operations over those of 'none'. */
  flopsRatio: number;
  /** timeRatio over flopsRatio: what the extra work does not explain. */
  unexplained: number;
  /** Bytes kept of the forward pass, as planned. */
  activationBytes: number;
  /** These over those of 'none'. */
  activationRatio: number;
  /** Everything that a plan takes for activations, gradients on their way and logits, as allocated. */
  workspaceBytes: number;
}

/** Turns taken, so that whatever else the machine does meets all policies. */
const ROUNDS = 3;

/** @param clock milliseconds; the processor's own where it is the device, so that other work on it does not count */
export async function measureRecompute(model: ModelOnGpu, adapter: LoraAdapter, flat: FlatBatch, length: number, steps: number, say: (line: string) => void, clock: () => number = () => performance.now()): Promise<RecomputeFigure[]> {
  const measured = RECOMPUTE_POLICIES.map((policy) => ({ policy, times: [] as number[], flops: 0, workspaceBytes: 0 }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of measured) {
      say(`recompute ${one.policy}, round ${round + 1} of ${ROUNDS}`);
      // A plan of its own each time: together they would need more memory than the least of them saves.
      const bench = await Steps.create({ model, adapter, flat, length, recompute: one.policy, tune: false });
      try {
        await bench.run(1);
        const n = Math.max(1, Math.round(steps / ROUNDS));
        const start = clock();
        await bench.run(n);
        one.times.push((clock() - start) / n);
        one.flops = bench.plan.microFlops(flat);
        one.workspaceBytes = bench.plan.activationBytes;
      } finally {
        bench.destroy();
      }
    }
  }
  const { config, weights } = model;
  const planned = (recompute: RecomputePolicy): number => forecastMemory({
    config, recompute, lora: adapter.config, weightBytes: weights.bytes, maxTokens: flat.tokens, maxTargets: flat.targets, maxPositions: length, maxBinding: model.engine.maxBinding,
  }).activations;
  const none = measured[0]!;
  return measured.map(({ policy, times, flops, workspaceBytes }) => {
    const timeRatio = Math.min(...times) / Math.min(...none.times);
    const flopsRatio = flops / none.flops;
    const activationBytes = planned(policy);
    return { policy, ms: Math.min(...times), timeRatio, flopsRatio, unexplained: timeRatio / flopsRatio, activationBytes, activationRatio: activationBytes / planned('none'), workspaceBytes };
  });
}
