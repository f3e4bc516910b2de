/**
 * A random decoder of a few thousand weights: as values for the f64 twin, as a checkpoint, and on the GPU. Owns nothing
 * of what it should compute.
 */
import type { Engine } from '../../src/engine/device.ts';
import type { Quantization } from '../../src/config/recipe.ts';
import type { FloatStorage as StorageType } from '../../src/engine/tensor.ts';
import { collatePacked } from '../../src/data/collator.ts';
import type { Batch, EncodedRow } from '../../src/data/types.ts';
import { sourceFromBytes } from '../../src/formats/byteSource.ts';
import { openSafetensors, writeSafetensors, type SafetensorsDtype } from '../../src/formats/safetensors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { expectedTensors } from '../../src/model/expectedTensors.ts';
import type { ModelOnGpu } from '../../src/model/inference.ts';
import { loraKey, projectionShape, type LoraTarget, type LoraTensors } from '../../src/model/lora.ts';
import { loadWeights } from '../../src/model/weights.ts';
import { normal, packValues, storable, uniform } from '../kernels/run.ts';

/** Two layers, grouped heads, sizes that are multiples of nothing. */
export const TINY: ModelConfig = {
  architecture: 'LlamaForCausalLM', hiddenSize: 14, intermediateSize: 22, numHiddenLayers: 2, numAttentionHeads: 4, numKeyValueHeads: 2, headDim: 6,
  vocabSize: 29, maxPositionEmbeddings: 256, rmsNormEps: 1e-5, ropeTheta: 10_000, ropeScaling: { type: 'default' }, tieWordEmbeddings: true,
  localRope: null, layers: [{ window: null, rope: 'global' }], qkvBias: false, oBias: false, mlpBias: false, qkNorm: false, sandwichNorms: false, normOffset: 0,
  activation: 'silu', embeddingScale: 1, attentionScale: 1 / Math.sqrt(6), attentionSoftcap: null, finalSoftcap: null, bosTokenId: null, eosTokenIds: [2],
};
export const TINY_QWEN2: ModelConfig = { ...TINY, architecture: 'Qwen2ForCausalLM', qkvBias: true, tieWordEmbeddings: false };
export const TINY_QWEN3: ModelConfig = { ...TINY, architecture: 'Qwen3ForCausalLM', qkNorm: true };

export type Values = Map<string, { shape: number[]; data: Float64Array }>;

/** Weights that make every layer matter: matrices of about unit gain, norms that multiply by about 1, each value exact in `dtype`. */
export function randomValues(config: ModelConfig, seed: number, dtype: StorageType = 'f32'): Values {
  return new Map(expectedTensors(config).map(({ name, shape }, i) => {
    const n = shape.reduce((a, b) => a * b, 1);
    const random = normal(n, seed + 97 * i);
    const scale = name.includes('embed_tokens') ? 1 : 1 / Math.sqrt(shape.at(-1)!);
    const data = name.endsWith('norm.weight') ? random.map((v) => 1 - config.normOffset + 0.2 * v) : random.map((v) => v * (name.endsWith('.bias') ? 0.3 : scale));
    return [name, { shape, data: storable(data, dtype) }];
  }));
}

const DTYPES: Record<StorageType, SafetensorsDtype> = { f32: 'F32', bf16: 'BF16', f16: 'F16' };

/** model.safetensors. */
export const checkpointOf = (values: Values, dtype: StorageType = 'f32'): Uint8Array<ArrayBuffer> =>
  writeSafetensors(new Map([...values].map(([name, { shape, data }]) => [name, { dtype: DTYPES[dtype], shape, data: packValues(data, dtype) }])), { format: 'pt' });

export async function onGpu(engine: Engine, config: ModelConfig, values: Values, dtype: StorageType = 'f32', quantization: Quantization = 'none'): Promise<ModelOnGpu> {
  const { tensors } = await openSafetensors(sourceFromBytes(checkpointOf(values, dtype), 'model.safetensors'));
  return { engine, config, weights: await loadWeights(engine, config, tensors, { quantization }) };
}

/** An adapter whose B is not zero, so that both matrices have gradients. */
export function randomLora(config: ModelConfig, targets: readonly LoraTarget[], r: number, seed: number): LoraTensors {
  return new Map(targets.flatMap(({ layer, module }, i) => {
    const [out, inFeatures] = projectionShape(config, module);
    const make = (matrix: 'A' | 'B', rows: number, cols: number) =>
      [loraKey(layer, module, matrix), { shape: [rows, cols] as [number, number], data: Float32Array.from(normal(rows * cols, seed + 31 * i + (matrix === 'A' ? 0 : 7), 1 / Math.sqrt(cols))) }] as const;
    return [make('A', r, inFeatures), make('B', out, r)];
  }));
}

/** Rows of random ids, the answer being about the second half. Ids from 3 on: 0 to 2 are special. */
export function randomRows(count: number, seed: number, options: { min?: number; max?: number; vocab?: number } = {}): EncodedRow[] {
  const { min = 4, max = 11, vocab = TINY.vocabSize } = options;
  const next = uniform(seed);
  return Array.from({ length: count }, (_, index) => {
    const length = min + Math.floor(next() * (max - min + 1));
    return rowOf(Array.from({ length }, () => 3 + Math.floor(next() * (vocab - 3))), Math.max(1, Math.floor(length * (0.3 + 0.4 * next()))), index);
  });
}

/** A row whose ids from `trainedFrom` on are labels. */
export function rowOf(ids: readonly number[], trainedFrom = 0, index = 0): EncodedRow {
  const labels = Int32Array.from(ids, (id, i) => (i >= trainedFrom ? id : -100));
  return { index, inputIds: Int32Array.from(ids), labels, fullLength: ids.length, numTargets: labels.filter((l, i) => i > 0 && l !== -100).length };
}

/** One example a row of the batch, padded on the right. */
export const batchOf = (...rows: EncodedRow[]): Batch => collatePacked(rows.map((row) => [row]));
/** All examples in one row of the batch. */
export const packOf = (...rows: EncodedRow[]): Batch => collatePacked([rows]);
