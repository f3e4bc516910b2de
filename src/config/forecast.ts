/**
 * Owns the arithmetic of a run that needs nothing but numbers: steps, warm-up, trainable parameters.
 * Counting is Hugging Face's Trainer's (trainer.py: set_initial_training_values, TrainingArguments.get_warmup_steps).
 */
import type { LoraConfig, TargetModule, TrainingConfig } from './recipe.ts';

type StepSettings = Pick<TrainingConfig, 'numTrainEpochs' | 'maxSteps' | 'perDeviceTrainBatchSize' | 'gradientAccumulationSteps' | 'warmupRatio' | 'warmupSteps'>;

export interface StepCounts {
  /** Batches of one pass; the last may be smaller. */
  batchesPerEpoch: number;
  /** Optimizer steps of one pass; a last partial accumulation window is a step. */
  stepsPerEpoch: number;
  totalSteps: number;
  warmupSteps: number;
}

/** `rows` are those the trainer sees in one pass: usable, not held out, and after packing where packing is on. */
export function countSteps(rows: number, training: StepSettings): StepCounts {
  const batchesPerEpoch = Math.ceil(rows / training.perDeviceTrainBatchSize);
  const stepsPerEpoch = Math.ceil(batchesPerEpoch / training.gradientAccumulationSteps);
  const byEpochs = Math.ceil(training.numTrainEpochs * stepsPerEpoch);
  const totalSteps = training.maxSteps > 0 && rows > 0 ? training.maxSteps : byEpochs;
  const warmupSteps = training.warmupSteps ?? Math.ceil(training.warmupRatio * totalSteps);
  return { batchesPerEpoch, stepsPerEpoch, totalSteps, warmupSteps };
}

/** The sizes of a decoder that decide the size of an adapter. A ModelConfig has them all. */
export interface ProjectionSizes {
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  numAttentionHeads: number;
  numKeyValueHeads: number;
  headDim: number;
}

/** r x (in + out) for each adapted projection of each layer. */
export function countLoraParameters(sizes: ProjectionSizes, lora: Pick<LoraConfig, 'r' | 'targetModules'>): number {
  const { hiddenSize: C, intermediateSize: F } = sizes;
  const q = sizes.numAttentionHeads * sizes.headDim;
  const kv = sizes.numKeyValueHeads * sizes.headDim;
  const inPlusOut: Record<TargetModule, number> = {
    q_proj: C + q, k_proj: C + kv, v_proj: C + kv, o_proj: q + C, gate_proj: C + F, up_proj: C + F, down_proj: F + C,
  };
  return sizes.numHiddenLayers * lora.r * lora.targetModules.reduce((sum, module) => sum + inPlusOut[module], 0);
}
