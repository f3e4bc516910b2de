/** Owns RMSNorm, forward and backward, over whole rows or over heads. */
import body from '../../../shaders/rms_norm.wgsl?raw';
import backwardBody from '../../../shaders/rms_norm_backward.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, rowCount, rowParams, type Op, type Rows } from '../kernel.ts';
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
}

export interface RmsNormBackwardArgs extends Omit<RmsNormArgs, 'out'> {
  dOut: Tensor;
  /** [R, cols] */
  dx: Tensor;
  /** dx += instead of dx =. */
  accumulate?: boolean;
}

const WORKGROUP = 8;

/** out = x * gain / sqrt(mean(x^2) + eps), row by row. */
export function rmsNorm(e: Engine, { label, rows, cols, x, gain, out, eps }: RmsNormArgs): Op[] {
  return [{
    ...compileKernel(e, { name: 'rms_norm', body: withVec(vecWidth(cols), body), constants: { WORKGROUP }, access: ['read', 'read', 'write'] }),
    label: `${label} rmsNorm`,
    params: [...rowParams(rows), f32(eps), cols / vecWidth(cols)],
    tensors: [x, gain, out],
    grid: (dims) => linearGrid(rowCount(rows, dims), WORKGROUP),
    flops: (dims) => 4 * rowCount(rows, dims) * cols,
  }];
}

/** dx (+)= the gradient for x, from x itself. */
export function rmsNormBackward(e: Engine, { label, rows, cols, x, gain, dOut, dx, eps, accumulate = false }: RmsNormBackwardArgs): Op[] {
  return [{
    ...compileKernel(e, { name: 'rms_norm_backward', body: withVec(vecWidth(cols), backwardBody), constants: { WORKGROUP }, access: ['read', 'read', 'read', 'write'] }),
    label: `${label} rmsNormBackward`,
    params: [...rowParams(rows), f32(eps), cols / vecWidth(cols), accumulate ? 1 : 0],
    tensors: [x, gain, dOut, dx],
    grid: (dims) => linearGrid(rowCount(rows, dims), WORKGROUP),
    flops: (dims) => 8 * rowCount(rows, dims) * cols,
  }];
}
