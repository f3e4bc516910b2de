/** Owns RMSNorm, forward and backward, over whole rows or over heads. */
import tree from '../../../shaders/lib/tree.wgsl?raw';
import forwardRow from '../../../shaders/rms_norm.wgsl?raw';
import backwardRow from '../../../shaders/rms_norm_backward.wgsl?raw';
import backwardGroup from '../../../shaders/rms_norm_backward_group.wgsl?raw';
import forwardGroup from '../../../shaders/rms_norm_group.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, rowCount, rowParams, type Access, type F32, type Op, type Rows } from '../kernel.ts';
import { chosenRowVariant } from '../rowVariants.ts';
import type { Tensor } from '../tensor.ts';
import { vecWidth, withVec } from './vec.ts';

export interface RmsNormArgs {
  label: string;
  /** R. Per head: {kind: 'tokens', perToken: heads} with cols = headDim. */
  rows: Rows;
  cols: number;
  /** [R, cols] */
  x: Tensor;
  /** f32 [cols] */
  gain: Tensor;
  /** [R, cols], overwritten; another buffer than x. */
  out: Tensor;
  eps: number;
  /** [R, cols], added to the normed rows; another buffer than out. */
  add?: Tensor | undefined;
}

export interface RmsNormBackwardArgs extends Omit<RmsNormArgs, 'out' | 'add'> {
  dOut: Tensor;
  /** [R, cols] */
  dx: Tensor;
  /** dx += instead of dx =. */
  accumulate?: boolean;
}

/** An op over rows of `cols`, by the variant in force. */
function rowOp(
  e: Engine,
  { label, rows, cols }: { label: string; rows: Rows; cols: number },
  name: string,
  bodies: { row: string; group: string },
  access: Access[],
  params: (number | F32)[],
  tensors: Tensor[],
): Op {
  const variant = chosenRowVariant(e, 'rmsNorm');
  const vecs = cols / vecWidth(cols);
  // A thread a row: 8 a workgroup keep both cores of a small machine busy. A workgroup a row: a thread a few Vecs.
  const workgroup = variant === 'row' ? 8 : Math.min(256, Math.max(32, 2 ** Math.ceil(Math.log2(vecs / 4))));
  const body = variant === 'row' ? bodies.row : `${tree}\n${bodies.group}`;
  return {
    ...compileKernel(e, { name: variant === 'row' ? name : `${name}_group`, body: withVec(vecWidth(cols), body), constants: { WORKGROUP: workgroup }, access }),
    label,
    params: [...rowParams(rows), ...params],
    tensors,
    grid: (dims) => linearGrid(rowCount(rows, dims), variant === 'row' ? workgroup : 1),
    flops: (dims) => 4 * access.length * rowCount(rows, dims) * cols,
  };
}

/** out = [add +] x * gain / sqrt(mean(x^2) + eps), row by row. */
export function rmsNorm(e: Engine, { label, rows, cols, x, gain, out, eps, add }: RmsNormArgs): Op[] {
  const shape = { label: `${label} rmsNorm`, rows, cols };
  const params = [f32(eps), cols / vecWidth(cols), add ? 1 : 0];
  return [rowOp(e, shape, 'rms_norm', { row: forwardRow, group: forwardGroup }, ['read', 'read', 'read', 'write'], params, [x, gain, add ?? x, out])];
}

/** dx (+)= the gradient for x, from x itself. */
export function rmsNormBackward(e: Engine, { label, rows, cols, x, gain, dOut, dx, eps, accumulate = false }: RmsNormBackwardArgs): Op[] {
  const shape = { label: `${label} rmsNormBackward`, rows, cols };
  const params = [f32(eps), cols / vecWidth(cols), accumulate ? 1 : 0];
  const bodies = { row: backwardRow, group: backwardGroup };
  return [rowOp(e, shape, 'rms_norm_backward', bodies, ['read', 'read', 'read', 'write'], params, [x, gain, dOut, dx])];
}
