/**
 * Owns the choice of how much of the forward pass is kept: the first way that fits the budget, what each way takes and costs, and what
 * would fit where none does. Refuses to allocate.
 */
import { RECOMPUTE_POLICIES, TARGET_MODULES, type LoraConfig, type Quantization, type RecomputePolicy, type TrainingConfig } from '../config/recipe.ts';
import type { FloatStorage } from '../engine/tensor.ts';
import { projectionShape } from '../model/lora.ts';
import { plannedWeightBytes } from '../model/storage.ts';
import { forecastMemory, widestBytes, type MemoryForecast, type MemoryQuestion } from './memory.ts';

export interface PolicyForecast {
  policy: RecomputePolicy;
  memory: MemoryForecast;
  /** Floating-point operations of a step beyond those of 'none', as a share of them. */
  extraFlops: number;
  fits: boolean;
}

export interface MemoryPlan {
  chosen: PolicyForecast;
  /** Every policy in order, the chosen one among them. */
  policies: PolicyForecast[];
}

type Asked = TrainingConfig['gradientCheckpointing'];

/** @param q.recompute is not used. `budget` in bytes. */
export function planMemory(q: MemoryQuestion, asked: Asked, budget: number): MemoryPlan {
  const policies = RECOMPUTE_POLICIES.map((policy): PolicyForecast => {
    const memory = forecastMemory({ ...q, recompute: policy });
    return { policy, memory, extraFlops: extraFlops(q, policy), fits: memory.total <= budget };
  });
  const chosen = asked === 'auto' ? policies.find((p) => p.fits) ?? smallest(policies) : policies.find((p) => p.policy === asked)!;
  return { chosen, policies };
}

const smallest = (policies: readonly PolicyForecast[]): PolicyForecast => policies.reduce((a, b) => (b.memory.total < a.memory.total ? b : a));

/** What to try after `failed` did not fit although it seemed to; null where nothing takes less. */
export function nextPolicy({ policies }: MemoryPlan, failed: PolicyForecast): PolicyForecast | null {
  const less = policies.filter((p) => p.memory.total < failed.memory.total);
  return less.length === 0 ? null : less.find((p) => p.fits) ?? smallest(less);
}

/** Operations of a micro-batch of the question's size, and those that a policy repeats. Counted like the kernels count. */
export function countFlops({ config, lora, maxTokens, maxTargets, maxPositions = maxTokens }: MemoryQuestion): { step: number; cheap: number; layers: number } {
  const { hiddenSize: C, intermediateSize: F, numHiddenLayers: L, numAttentionHeads: H, numKeyValueHeads: Hkv, headDim: D, vocabSize: V } = config;
  const size = (module: (typeof TARGET_MODULES)[number]): number => projectionShape(config, module).reduce((a, b) => a * b);
  const linear = TARGET_MODULES.reduce((sum, m) => sum + size(m), 0);
  const adapted = lora.targetModules.reduce((sum, m) => sum + lora.r * projectionShape(config, m).reduce((a, b) => a + b), 0);
  const attention = 4 * (maxPositions / 2) * H * D;
  const norm = 12 * C;
  const headNorms = config.qkNorm ? 12 * (H + Hkv) * D : 0;
  const gate = 20 * F;
  const forward = 2 * linear + 2 * adapted + attention + 2 * norm + headNorms + gate;
  // Nothing flows into frozen weights; the attention's pass back is five products where its pass forward is two.
  const backward = 2 * linear + 4 * adapted + 2.5 * attention + 3 * norm + 1.5 * headNorms + 1.25 * gate;
  const down = config.sandwichNorms ? 0 : 2 * size('down_proj');
  return {
    step: maxTokens * L * (forward + backward) + maxTargets * 4 * V * C,
    cheap: maxTokens * L * (2 * norm + headNorms + gate),
    layers: maxTokens * (L - 1) * (forward - down),
  };
}

function extraFlops(q: MemoryQuestion, policy: RecomputePolicy): number {
  const flops = countFlops(q);
  return policy === 'none' ? 0 : flops[policy] / flops.step;
}

/** A change that makes a run smaller, and what it then takes. */
export interface SmallerRun {
  /** e.g. 'batch size 2'. */
  change: string;
  bytes: number;
}

export interface SmallerQuestion extends MemoryQuestion {
  lora: LoraConfig;
  batchSize: number;
  maxLength: number;
  recompute: RecomputePolicy;
  quantization: Quantization;
  stored: FloatStorage;
}

/**
 * What would fit into `budget` bytes, one change at a time, the gentlest first: recompute, 4-bit weights, fewer rows, shorter rows; together
 * where no single one is enough. Empty when even that is too much.
 */
export function whatFits(q: SmallerQuestion, budget: number): SmallerRun[] {
  const ask = (change: Partial<SmallerQuestion>): number => {
    const next = { ...q, ...change };
    const most = next.batchSize * next.maxLength;
    const tokens = Math.min(q.maxTokens, most);
    if (widestBytes(q.config, tokens) > q.maxBinding) return Infinity;
    const weightBytes = next.quantization === q.quantization ? q.weightBytes : plannedWeightBytes(q.config, q.stored, next.quantization);
    return forecastMemory({ ...next, weightBytes, maxTokens: tokens, maxTargets: Math.min(q.maxTargets, most), maxPositions: Math.min(q.maxPositions ?? most, next.maxLength) }).total;
  };
  const halves = (from: number, least: number): number[] => {
    const list: number[] = [];
    for (let n = Math.floor(from / 2); n >= least; n = Math.floor(n / 2)) list.push(n);
    return list;
  };
  const found: SmallerRun[] = [];
  /** Adds the first of the changes that fits. */
  const first = (changes: [words: string, change: Partial<SmallerQuestion>][]): boolean => {
    for (const [change, how] of changes) {
      const bytes = ask(how);
      if (bytes > budget) continue;
      found.push({ change, bytes });
      return true;
    }
    return false;
  };
  first((['cheap', 'layers'] as const).filter((p) => RECOMPUTE_POLICIES.indexOf(p) > RECOMPUTE_POLICIES.indexOf(q.recompute))
    .map((recompute) => [recompute === 'cheap' ? 'recompute cheap parts' : 'recompute layers', { recompute }]));
  if (q.quantization !== 'nf4') first([['the model in 4 bits', { quantization: 'nf4' }]]);
  first(halves(q.batchSize, 1).map((batchSize) => [`batch size ${batchSize}`, { batchSize }]));
  first(halves(q.maxLength, 64).map((maxLength) => [`maximum length ${maxLength.toLocaleString('en')}`, { maxLength }]));
  if (found.length > 0) return found;
  const least = { batchSize: 1, recompute: 'layers', quantization: 'nf4' } as const;
  first([q.maxLength, ...halves(q.maxLength, 64)].map((maxLength) => [
    `batch size 1, maximum length ${maxLength.toLocaleString('en')}, recompute layers and the model in 4 bits`, { ...least, maxLength },
  ]));
  return found;
}
