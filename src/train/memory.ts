/**
 * Owns what a run will take from the GPU, before anything is allocated: the same code that takes the buffers is run against an arena
 * that only counts. Refuses to know what the GPU has (budget.ts) and which way is taken (planner.ts).
 */
import type { LoraConfig, RecomputePolicy } from '../config/recipe.ts';
import { GRAD_NORM_BLOCK } from '../engine/kernels/optimizer.ts';
import type { Tensor } from '../engine/tensor.ts';
import { takeActivations, takeScratch, type Taker } from '../model/activations.ts';
import { windowsOf, type ModelConfig } from '../model/config.ts';
import { takeHead } from '../model/head.ts';
import { PREFILL, takeGeneration } from '../model/inference.ts';
import { adapterElements, allTargets } from '../model/lora.ts';

/** Bytes at the peak of a run. */
export interface MemoryParts {
  weights: number;
  /** What is kept of the forward pass. */
  activations: number;
  /** Gradients on their way, and dropout's copies. */
  scratch: number;
  /** One chunk of logits, and the rows that reach the head. */
  logits: number;
  /** Parameters, gradients and both moments. */
  adapter: number;
  /** Answers on the way: caches of keys and values and their own activations. */
  generation: number;
  /** Batches, rotary tables, lists of dispatches, and the copy through which a checkpoint is read. */
  other: number;
}
export interface MemoryForecast extends MemoryParts {
  total: number;
}

export interface MemoryQuestion {
  config: ModelConfig;
  weightBytes: number;
  lora: LoraConfig;
  maxTokens: number;
  maxTargets: number;
  /** Longest example; default maxTokens. */
  maxPositions?: number;
  maxBinding: number;
  /** Default 'none'. */
  recompute?: RecomputePolicy;
  /** Tokens of a conversation that the model is asked on the way; null: it is asked nothing. Default null. */
  contextLength?: number | null;
}

/** Bytes asked for of one that only counts. */
class Counter implements Taker {
  bytes = 0;
  readonly maxBinding: number;
  constructor(maxBinding: number) {
    this.maxBinding = maxBinding;
  }
  take(label: string, elements: number): Tensor {
    const byteLength = Math.max(16, elements * 4);
    this.bytes += byteLength;
    return { label, buffer: null as unknown as GPUBuffer, offset: 0, byteLength };
  }
}

const countedFor = (maxBinding: number) => (take: (arena: Taker) => void): number => {
  const arena = new Counter(maxBinding);
  take(arena);
  return arena.bytes;
};

const NO_TENSOR: Tensor = { label: '', buffer: null as unknown as GPUBuffer, offset: 0, byteLength: 0 };

const inputBytes = (config: ModelConfig, tokens: number, targets: number): number => 4 * (tokens * (4 + 2 * windowsOf(config).length) + 2 * targets);
const ropeBytes = (config: ModelConfig, positions: number): number => 4 * positions * config.headDim * (config.localRope ? 2 : 1);

/** Each dispatch has a slot of 256 bytes for its params; about so many dispatches a layer and a chunk of logits have. */
function programBytes(config: ModelConfig, lora: LoraConfig, chunks: number, recompute: RecomputePolicy): number {
  const adapted = lora.targetModules.length * (lora.loraDropout > 0 ? 12 : 9);
  return 256 * (config.numHiddenLayers * (50 + adapted + (recompute === 'layers' ? 15 + 2 * lora.targetModules.length : 0)) + 5 * chunks);
}

export function forecastMemory(q: MemoryQuestion): MemoryForecast {
  const { config, lora, maxTokens, maxTargets, weightBytes: weights, recompute = 'none', contextLength = null, maxPositions = maxTokens } = q;
  const targets = allTargets(config, lora.targetModules);
  const places = { entries: targets, config: lora };
  const elements = adapterElements(config, lora.r, targets);
  const dropout = lora.loraDropout > 0;
  const counted = countedFor(q.maxBinding);
  const activations = counted((arena) => takeActivations(config, arena, maxTokens, places, recompute));
  const scratch = counted((arena) => takeScratch(config, arena, maxTokens, lora.r, dropout));
  let chunkRows = 1;
  const logits = counted((arena) => ({ chunkRows } = takeHead(q, config, arena, maxTargets, NO_TENSOR, true)));
  const adapter = 4 * elements * 4;
  const generation = contextLength === null ? 0
    : counted((arena) => takeGeneration(q, config, arena, places, contextLength, NO_TENSOR)) + inputBytes(config, PREFILL + 1, 2) + ropeBytes(config, contextLength)
      + 512 * config.numHiddenLayers * (20 + 2 * lora.targetModules.length);
  const other = inputBytes(config, maxTokens, maxTargets) + ropeBytes(config, maxPositions) + programBytes(config, lora, Math.ceil(maxTargets / chunkRows), recompute)
    + 4 * Math.ceil(elements / GRAD_NORM_BLOCK) + 4 * elements;
  return { weights, activations, scratch, logits, adapter, generation, other, total: weights + activations + scratch + logits + adapter + generation + other };
}

/** Bytes of the widest tensor of one micro-batch: more than a binding holds cannot run, however much memory there is. */
export const widestBytes = (config: ModelConfig, tokens: number): number =>
  4 * tokens * Math.max(config.intermediateSize, config.hiddenSize, config.numAttentionHeads * config.headDim);
