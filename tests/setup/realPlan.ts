/** Takes everything a run takes at its peak, by the code that takes it, and gives it back: weights, adapter, plan, generator, a checkpoint's copy. */
import { TARGET_MODULES, trainingConfigSchema, type LoraConfig, type Quantization, type RecomputePolicy } from '../../src/config/recipe.ts';
import type { Engine } from '../../src/engine/device.ts';
import { createTensor, createWeight, destroyTensor, type Tensor, type Weight } from '../../src/engine/tensor.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { EMBEDDING, expectedTensors, HEAD, streamNorms } from '../../src/model/expectedTensors.ts';
import { Generator } from '../../src/model/inference.ts';
import { allTargets, LoraAdapter, modulePath } from '../../src/model/lora.ts';
import { storageOf } from '../../src/model/storage.ts';
import { destroyWeights, type ModelWeights } from '../../src/model/weights.ts';
import { TrainingPlan } from '../../src/train/plan.ts';

/** The buffers that loading makes of a bf16 checkpoint, left empty. */
export function emptyWeights(engine: Engine, config: ModelConfig, quantization: Quantization): ModelWeights {
  const made = new Map<string, Tensor | Weight>(expectedTensors(config).map(({ name, shape }) => [
    name, shape.length === 1 ? createTensor(engine, name, shape[0]!) : createWeight(engine, name, storageOf(name, 'bf16', quantization), shape[0]!, shape[1]!),
  ]));
  const matrix = (name: string): Weight => made.get(name) as Weight;
  const vector = (name: string | null): Tensor | null => (name === null ? null : (made.get(name) as Tensor | undefined) ?? null);
  const norms = streamNorms(config);
  const of = (layer: string, name: string | null): Tensor | null => vector(name && `${layer}.${name}.weight`);
  return {
    embedding: matrix(EMBEDDING), head: config.tieWordEmbeddings ? matrix(EMBEDDING) : matrix(HEAD), finalNorm: vector('model.norm.weight')!,
    layers: Array.from({ length: config.numHiddenLayers }, (_, l) => {
      const at = `model.layers.${l}`;
      return {
        inputNorm: of(at, norms.input)!, attentionOutNorm: of(at, norms.attentionOut), mlpNorm: of(at, norms.mlp)!, mlpOutNorm: of(at, norms.mlpOut),
        qNorm: of(at, 'self_attn.q_norm'), kNorm: of(at, 'self_attn.k_norm'),
        projections: Object.fromEntries(TARGET_MODULES.map((m) => [m, { weight: matrix(`${modulePath(l, m)}.weight`), bias: vector(`${modulePath(l, m)}.bias`) }])) as ModelWeights['layers'][number]['projections'],
        // Joined projections take as many bytes as those apart.
        qkv: null, gateUp: null,
      };
    }),
    bytes: [...made.values()].reduce((n, t) => n + ('parts' in t ? t.parts.reduce((m, p) => m + p.tensor.byteLength, 0) : t.byteLength), 0),
    dtype: 'bf16', quantization, parameters: 0,
  };
}

export interface PeakQuestion {
  config: ModelConfig;
  quantization: Quantization;
  lora: LoraConfig;
  tokens: number;
  positions: number;
  recompute: RecomputePolicy;
  contextLength: number | null;
}

/** Bytes at the peak, and the operations of a step. Leaves nothing allocated. */
export async function takePeak(engine: Engine, q: PeakQuestion): Promise<{ weightBytes: number; peak: number; flops: number }> {
  const { config, lora, tokens } = q;
  const weights = emptyWeights(engine, config, q.quantization);
  const adapter = new LoraAdapter(engine, config, lora, allTargets(config, lora.targetModules));
  let plan: TrainingPlan | null = null;
  let generator: Generator | null = null;
  try {
    engine.memory.peak = engine.memory.live;
    plan = await TrainingPlan.create({
      engine, config, weights, adapter, maxTokens: tokens, maxTargets: tokens, maxPositions: q.positions, loraDropout: lora.loraDropout, recompute: q.recompute,
      training: trainingConfigSchema.parse({}),
    });
    if (q.contextLength !== null) generator = await Generator.create({ engine, config, weights }, adapter, q.contextLength);
    destroyTensor(engine, createTensor(engine, 'checkpoint', adapter.elements));
    return { weightBytes: weights.bytes, peak: engine.memory.peak, flops: plan.microFlops({ tokens, targets: tokens }) };
  } finally {
    generator?.destroy();
    plan?.destroy();
    adapter.destroy();
    destroyWeights(engine, weights);
  }
}
