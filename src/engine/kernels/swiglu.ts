/** Owns the gated activation, forward and backward. */
import body from '../../../shaders/swiglu.wgsl?raw';
import backwardBody from '../../../shaders/swiglu_backward.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, linearGrid, type Op } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { vecWidth, withVec } from './vec.ts';

export interface SwigluArgs {
  label: string;
  /** F */
  cols: number;
  /** [M, F] */
  gate: Tensor;
  up: Tensor;
  /** [M, F], overwritten. */
  out: Tensor;
}

export interface SwigluBackwardArgs extends Omit<SwigluArgs, 'out'> {
  dOut: Tensor;
  /** [M, F], overwritten; buffers of their own. */
  dGate: Tensor;
  dUp: Tensor;
}

/** out = silu(gate) * up over the batch's tokens. */
export function swiglu(e: Engine, { label, cols, gate, up, out }: SwigluArgs): Op[] {
  return [{
    ...compileKernel(e, { name: 'swiglu', body: withVec(vecWidth(cols), body), access: ['read', 'read', 'write'] }),
    label: `${label} swiglu`,
    params: [cols / vecWidth(cols)],
    tensors: [gate, up, out],
    grid: ({ tokens }) => linearGrid((tokens * cols) / vecWidth(cols), 64),
    flops: ({ tokens }) => 20 * tokens * cols,
  }];
}

/** dGate and dUp from gate, up and dOut. */
export function swigluBackward(e: Engine, { label, cols, gate, up, dOut, dGate, dUp }: SwigluBackwardArgs): Op[] {
  return [{
    ...compileKernel(e, {
      name: 'swiglu_backward',
      body: withVec(vecWidth(cols), backwardBody),
     
      access: ['read', 'read', 'read', 'write', 'write'],
    }),
    label: `${label} swigluBackward`,
    params: [cols / vecWidth(cols)],
    tensors: [gate, up, dOut, dGate, dUp],
    grid: ({ tokens }) => linearGrid((tokens * cols) / vecWidth(cols), 64),
    flops: ({ tokens }) => 25 * tokens * cols,
  }];
}
