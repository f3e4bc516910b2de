/** Owns the gated activation of the MLP, SwiGLU and GeGLU, forward and backward. */
import body from '../../../shaders/gated.wgsl?raw';
import backwardBody from '../../../shaders/gated_backward.wgsl?raw';
import lowRankBody from '../../../shaders/gated_low_rank.wgsl?raw';
import gelu from '../../../shaders/lib/gate_gelu.wgsl?raw';
import silu from '../../../shaders/lib/gate_silu.wgsl?raw';
import lowRankPart from '../../../shaders/lib/low_rank_part.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, type Op } from '../kernel.ts';
import type { Tensor, Weight } from '../tensor.ts';
import type { Begun } from './matmul.ts';
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

/** Elements of a row to a workgroup of gatedLowRank. */
const STRETCH = 128;
/** In how many parts gatedLowRank begins out Aᵀ. */
export const gatedParts = (cols: number): number => Math.ceil(cols / STRETCH);

export interface GatedLowRankArgs extends GatedArgs {
  /** LoRA's branches of gate and up, which gate and up lack: [M, 2 r], B [2 F, r] in f32. */
  branch: { left: Tensor; right: Weight; scale: number };
  /** out Aᵀ is begun for the product that reads out: gatedParts(F) parts. */
  begin: Begun;
}

/** For a few tokens: out = activation(gate + branch) * (up + branch), and out Aᵀ begun. */
export function gatedLowRank(e: Engine, { label, activation, cols, gate, up, out, branch, begin }: GatedLowRankArgs): Op[] {
  const r = branch.right.cols;
  return [{
    ...compileKernel(e, {
      name: `gated_low_rank_${activation}`, body: withVec(1, [GATES[activation], lowRankPart, lowRankBody].join('\n')), constants: { WORKGROUP: STRETCH, PART: 7 },
      access: ['read', 'read', 'read', 'read', 'write', 'write', 'read'],
    }),
    label: `${label} gatedLowRank`,
    params: [cols, r, f32(branch.scale), begin.a.rows, begin.parts.size],
    tensors: [gate, up, branch.left, branch.right.parts[0]!.tensor, out, begin.parts.tensor, begin.a.parts[0]!.tensor],
    grid: ({ tokens }) => linearGrid(tokens * gatedParts(cols), 1),
    flops: ({ tokens }) => tokens * cols * (20 + 4 * r + 2 * begin.a.rows),
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
