/** Owns the embedding lookup. */
import body from '../../../shaders/embedding.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, type Op } from '../kernel.ts';
import type { Tensor, Weight } from '../tensor.ts';

export interface EmbeddingArgs {
  label: string;
  /** u32 [M], each below the table's rows. */
  ids: Tensor;
  /** [V, C] in any storage type. */
  w: Weight;
  /** [M, C], overwritten. */
  out: Tensor;
  /** 1 if not given. */
  scale?: number;
}

/** out[m] = w[ids[m]] * scale: one op a part of the table, each writing the rows it holds. */
export function embedding(e: Engine, { label, ids, w, out, scale = 1 }: EmbeddingArgs): Op[] {
  const kernel = compileKernel(e, { name: 'embedding', body, weight: w.dtype, access: ['read', 'read', 'write'] });
  return w.parts.map((part) => ({
    ...kernel,
    label: `${label} embedding`,
    params: [part.rowStart, part.rows, w.cols, f32(scale)],
    tensors: [ids, part.tensor, out],
    grid: ({ tokens }) => linearGrid(tokens * w.cols, 64),
    flops: ({ tokens }) => tokens * w.cols,
  }));
}
