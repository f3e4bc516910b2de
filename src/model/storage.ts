/**
 * Owns how each matrix of a model lies on the GPU: as its file stores it, or quantised by choice; and how many bytes that takes,
 * known from the config alone. Refuses to know how bytes are read.
 */
import type { Quantization } from '../config/recipe.ts';
import { quantise, quantisedBytes } from '../engine/quantise.ts';
import { isQuantised, storedBytes, type FloatStorage, type StorageType } from '../engine/tensor.ts';
import { widenToF32, type FloatDtype } from '../formats/halfFloats.ts';
import type { ModelConfig } from './config.ts';
import { EMBEDDING, expectedTensors, HEAD } from './expectedTensors.ts';

/** Elements; whole blocks. */
const PIECE = 8192;

export const STORAGE_TYPE: Record<FloatDtype, FloatStorage> = { F32: 'f32', BF16: 'bf16', F16: 'f16' };

/**
 * Every projection takes the type asked for. Embedding and head take at most int8: in nf4 they alone would make most of the error
 * in the logits (docs/quantisation.md), for a third of a byte a weight.
 */
export function storageOf(name: string, stored: FloatStorage, quantization: Quantization): StorageType {
  if (quantization === 'none') return stored;
  return name === EMBEDDING || name === HEAD ? 'int8' : quantization;
}

/** Bytes of a checkpoint as they lie in a weight of type `storage`. `bytes` begin at a whole block and, but for the matrix's end, end at one. */
export function storedForm(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDtype, storage: StorageType): Uint8Array<ArrayBuffer> {
  if (!isQuantised(storage)) return bytes;
  const width = dtype === 'F32' ? 4 : 2;
  const elements = bytes.byteLength / width;
  const out = new Uint32Array(quantisedBytes(storage, elements) / 4);
  // In pieces that stay in the processor's cache.
  for (let i = 0; i < elements; i += PIECE) {
    const values = widenToF32(bytes.subarray(i * width, (i + PIECE) * width), dtype);
    quantise(values, storage, out.subarray(quantisedBytes(storage, i) / 4));
  }
  return new Uint8Array(out.buffer);
}

/** Bytes that the weights of a model take on the GPU. Norms and biases are f32 there. */
export function plannedWeightBytes(config: ModelConfig, stored: FloatStorage, quantization: Quantization): number {
  return expectedTensors(config).reduce((sum, { name, shape }) => {
    const elements = shape.reduce((a, b) => a * b, 1);
    const bytes = shape.length === 1 ? elements * 4 : storedBytes(storageOf(name, stored, quantization), elements);
    return sum + Math.max(16, Math.ceil(bytes / 4) * 4);
  }, 0);
}
