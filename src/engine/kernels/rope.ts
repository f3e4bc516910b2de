/** Owns rotary positions: the tables, made on the CPU, and the rotation. */
import body from '../../../shaders/rope.wgsl?raw';
import appendBody from '../../../shaders/rope_append.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, type Op } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { vecWidth, withVec } from './vec.ts';

export interface RopeTableConfig {
  headDim: number;
  ropeTheta: number;
  ropeScaling:
    | { type: 'default' }
    | { type: 'linear'; factor: number }
    | { type: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalMaxPositionEmbeddings: number };
  maxPositions: number;
}

const { fround } = Math;
/** c / x as torch divides a number by an f32 tensor: by its reciprocal. */
const over = (c: number, x: number): number => fround(fround(1 / x) * fround(c));

/**
 * Angles per position, [headDim / 2], scaled as transformers does (modeling_rope_utils). Rounded to f32 wherever transformers
 * rounds: models were trained with those angles, and at position 8,000 exact ones are up to 4e-4 away from them.
 */
export function inverseFrequencies({ headDim, ropeTheta, ropeScaling }: Omit<RopeTableConfig, 'maxPositions'>): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, d) => {
    const frequency = fround(1 / fround(ropeTheta ** fround((2 * d) / headDim)));
    if (ropeScaling.type === 'default') return frequency;
    if (ropeScaling.type === 'linear') return frequency / ropeScaling.factor;
    const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: original } = ropeScaling;
    const wavelength = over(2 * Math.PI, frequency);
    if (wavelength > original / lowFreqFactor) return frequency / factor;
    if (wavelength < original / highFreqFactor) return frequency;
    const smooth = fround(fround(over(original, wavelength) - lowFreqFactor) / (highFreqFactor - lowFreqFactor));
    return fround(fround(fround(1 - smooth) * frequency) / factor) + fround(smooth * frequency);
  });
}

/** cos and sin of position * inverse frequency, each [maxPositions, headDim / 2]. */
export function ropeTables(config: RopeTableConfig): { cos: Float32Array<ArrayBuffer>; sin: Float32Array<ArrayBuffer> } {
  const frequencies = inverseFrequencies(config);
  const half = frequencies.length;
  const cos = new Float32Array(config.maxPositions * half);
  const sin = new Float32Array(config.maxPositions * half);
  for (let position = 0; position < config.maxPositions; position++) {
    for (let d = 0; d < half; d++) {
      const angle = fround(position * frequencies[d]!);
      cos[position * half + d] = Math.cos(angle);
      sin[position * half + d] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

export interface RopeArgs {
  label: string;
  heads: number;
  kvHeads: number;
  /** D, even. */
  headDim: number;
  /** [M, H * D], in place. */
  q: Tensor;
  /** [M, Hkv * D], in place. */
  k: Tensor;
  /** u32 [M] */
  positions: Tensor;
  /** [maxPositions, D / 2] */
  cos: Tensor;
  sin: Tensor;
  /** Turns back: the backward pass. */
  inverse?: boolean;
}

/** Rotates the pairs (d, d + D/2) of every head of queries and keys by its token's position. */
export function rope(e: Engine, { label, heads, kvHeads, headDim, q, k, positions, cos, sin, inverse = false }: RopeArgs): Op[] {
  const half = headDim / 2 / vecWidth(headDim / 2);
  return [{
    ...compileKernel(e, { name: 'rope', body: withVec(vecWidth(headDim / 2), body), access: ['write', 'write', 'read', 'read', 'read'] }),
    label: `${label} rope${inverse ? 'Inverse' : ''}`,
    params: [heads, kvHeads, half, f32(inverse ? -1 : 1)],
    tensors: [q, k, positions, cos, sin],
    grid: ({ tokens }) => linearGrid(tokens * (heads + kvHeads) * half, 64),
    flops: ({ tokens }) => 3 * tokens * (heads + kvHeads) * headDim,
  }];
}

export interface RopeAppendArgs extends Omit<RopeArgs, 'inverse'> {
  /** [M, Hkv * D], as k, which is not turned in place here. */
  v: Tensor;
  /** [*, Hkv * D]: rows step.kv_past .. are written, keys turned. */
  kCache: Tensor;
  vCache: Tensor;
}

/** Turns queries in place and puts turned keys, and values, into the cache. */
export function ropeAppend(e: Engine, { label, heads, kvHeads, headDim, q, k, v, positions, cos, sin, kCache, vCache }: RopeAppendArgs): Op[] {
  const half = headDim / 2 / vecWidth(headDim / 2);
  return [{
    // k and v are only read; but they may lie in q's buffer, and a buffer that is written may not be bound for reading too.
    ...compileKernel(e, { name: 'rope_append', body: withVec(vecWidth(headDim / 2), appendBody), access: ['write', 'write', 'write', 'read', 'read', 'read', 'write', 'write'] }),
    label: `${label} ropeAppend`,
    params: [heads, kvHeads, half],
    tensors: [q, k, v, positions, cos, sin, kCache, vCache],
    grid: ({ tokens }) => linearGrid(tokens * (heads + 2 * kvHeads) * half, 64),
    flops: ({ tokens }) => 3 * tokens * (heads + kvHeads) * headDim,
  }];
}
