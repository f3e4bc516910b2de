/** Owns soft-capping of logits in place. Its backward pass is part of the cross-entropy's. */
import body from '../../../shaders/softcap.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, rowCount, rowParams, type Op, type Rows } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { vecWidth, withVec } from './vec.ts';

export interface SoftcapArgs {
  label: string;
  rows: Rows;
  cols: number;
  /** [R, cols], in place. */
  x: Tensor;
  cap: number;
}

/** x = cap * tanh(x / cap) */
export function softcap(e: Engine, { label, rows, cols, x, cap }: SoftcapArgs): Op[] {
  const vecs = cols / vecWidth(cols);
  return [{
    ...compileKernel(e, { name: 'softcap', body: withVec(vecWidth(cols), body), access: ['write'] }),
    label: `${label} softcap`,
    params: [...rowParams(rows), f32(cap), vecs],
    tensors: [x],
    grid: (dims) => linearGrid(rowCount(rows, dims) * vecs, 64),
    flops: (dims) => 25 * rowCount(rows, dims) * cols,
  }];
}
