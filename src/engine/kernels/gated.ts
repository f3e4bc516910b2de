/** Owns the gated activation of the MLP, SwiGLU and GeGLU, forward and backward. */
import body from '../../../shaders/gated.wgsl?raw';
import backwardBody from '../../../shaders/gated_backward.wgsl?raw';
import gelu from '../../../shaders/lib/gate_gelu.wgsl?raw';
import silu from '../../../shaders/lib/gate_silu.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, linearGrid, type Op } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { vecWidth, withVec } from './vec.ts';

/** x * sigmoid(x), or GELU in its tanh form. */
const GATES = { silu, gelu_tanh: gelu } as const;

export interface GatedArgs {
  label: string;
  activation: keyof typeof GATES;
  /** F */
  cols: number;
  /** [M, F] */
  gate: Tensor;
  up: Tensor;
  /** [M, F], overwritten. */
  out: Tensor;
}

export interface GatedBackwardArgs extends Omit<GatedArgs, 'out'> {
  dOut: Tensor;
  /** [M, F], overwritten; buffers of their own. */
  dGate: Tensor;
  dUp: Tensor;
}

/** out = activation(gate) * up over the batch's tokens. */
export function gated(e: Engine, { label, activation, cols, gate, up, out }: GatedArgs): Op[] {
  return [{
    ...compileKernel(e, { name: `gated_${activation}`, body: withVec(vecWidth(cols), `${GATES[activation]}\n${body}`), access: ['read', 'read', 'write'] }),
    label: `${label} gated`,
    params: [cols / vecWidth(cols)],
    tensors: [gate, up, out],
    grid: ({ tokens }) => linearGrid((tokens * cols) / vecWidth(cols), 64),
    flops: ({ tokens }) => 20 * tokens * cols,
  }];
}

/** dGate and dUp from gate, up and dOut. */
export function gatedBackward(e: Engine, { label, activation, cols, gate, up, dOut, dGate, dUp }: GatedBackwardArgs): Op[] {
  return [{
    ...compileKernel(e, {
      name: `gated_${activation}_backward`,
      body: withVec(vecWidth(cols), `${GATES[activation]}\n${backwardBody}`),
      access: ['read', 'read', 'read', 'write', 'write'],
    }),
    label: `${label} gatedBackward`,
    params: [cols / vecWidth(cols)],
    tensors: [gate, up, dOut, dGate, dUp],
    grid: ({ tokens }) => linearGrid((tokens * cols) / vecWidth(cols), 64),
    flops: ({ tokens }) => 25 * tokens * cols,
  }];
}
