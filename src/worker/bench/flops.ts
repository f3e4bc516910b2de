/**
 * Owns the arithmetic that a LoRA training step needs, counted from the model's shape: what any trainer must compute, whatever
 * its kernels do besides. Recomputed activations, norms, rotary and softmax are not counted.
 */
import { countLoraParameters } from '../../config/forecast.ts';
import type { LoraConfig } from '../../config/recipe.ts';
import type { ModelConfig } from '../../model/config.ts';

export interface StepWork {
  tokens: number;
  targets: number;
  /** Query-key pairs over all segments, the causal half only. */
  pairs: number;
}

/** Multiply-adds count 2. */
export function stepFlops(config: ModelConfig, lora: LoraConfig, { tokens, targets, pairs }: StepWork): { forward: number; backward: number; total: number } {
  const { hiddenSize: C, intermediateSize: F, numHiddenLayers: L, numAttentionHeads: H, numKeyValueHeads: Hkv, headDim: D, vocabSize: V } = config;
  const linear = L * (C * H * D * 2 + C * Hkv * D * 2 + 3 * C * F);
  const adapter = countLoraParameters(config, lora);
  // q k^T and p v forward; backward their two gradients each, the scores made again not counted.
  const attention = 4 * H * D * L * pairs;
  const head = 2 * C * V * targets;
  const forward = 2 * tokens * (linear + adapter) + attention + head;
  // Only dX flows through frozen weights; the adapter has dX and dW.
  const backward = tokens * (2 * linear + 4 * adapter) + 2 * attention + head;
  return { forward, backward, total: forward + backward };
}

/** Of a step that trains every parameter, embedding included: each product has both gradients. */
export function fullStepFlops(config: ModelConfig, { tokens, targets, pairs }: StepWork): number {
  const { hiddenSize: C, intermediateSize: F, numHiddenLayers: L, numAttentionHeads: H, numKeyValueHeads: Hkv, headDim: D, vocabSize: V } = config;
  const linear = L * (C * H * D * 2 + C * Hkv * D * 2 + 3 * C * F);
  return 3 * (2 * tokens * linear + 4 * H * D * L * pairs + 2 * C * V * targets);
}
