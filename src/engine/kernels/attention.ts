/** Owns causal attention inside segments, forward and backward; scores are never stored. */
import body from '../../../shaders/attention.wgsl?raw';
import dkvBody from '../../../shaders/attention_backward_dkv.wgsl?raw';
import dqBody from '../../../shaders/attention_backward_dq.wgsl?raw';
import deltaBody from '../../../shaders/attention_delta.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, linearGrid, type Op } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { vecWidth, withVec, type VecWidth } from './vec.ts';

interface AttentionShape {
  label: string;
  /** H, a multiple of kvHeads. */
  heads: number;
  kvHeads: number;
  /** D */
  headDim: number;
  /** [M, H * D] */
  q: Tensor;
  /** [*, Hkv * D] */
  k: Tensor;
  v: Tensor;
  /** u32 [M]: query i attends the key rows keyStart[i] .. keyEnd[i] - 1. */
  keyStart: Tensor;
  keyEnd: Tensor;
  /** [M, H * D] */
  out: Tensor;
  /** [M, H] */
  lse: Tensor;
}

/** `out` and `lse` are overwritten. */
export type AttentionArgs = AttentionShape;

/** Training only: keys and queries are the same rows, and key j is attended by the queries j .. queryEnd[j] - 1, no others. */
export interface AttentionBackwardArgs extends AttentionShape {
  dOut: Tensor;
  /** u32 [M] */
  queryEnd: Tensor;
  /** Scratch of [M, H, 2]. */
  lseDelta: Tensor;
  /** [M, H * D], overwritten. */
  dq: Tensor;
  /** [M, Hkv * D], overwritten. */
  dk: Tensor;
  dv: Tensor;
}

const WORKGROUP = 8;
/** Keys a query attends on average, for sizing submits only. */
const typicalKeys = (tokens: number): number => Math.min(tokens, 512) / 2;

/** Elements of the register arrays: a power of 2, so that models of like size share their kernels. */
const capacity = (headDim: number): number => Math.max(32, 2 ** Math.ceil(Math.log2(headDim)));

/**
 * Lavapipe compiles each vector load into four gathers: 10 s for the three kernels where single elements take 3 s, for no gain in speed.
 * SwiftShader runs vectors 1.4 times as fast and compiles either in half a second.
 */
const widthFor = (e: Engine, headDim: number): VecWidth => (/llvmpipe/i.test(e.info.key) ? 1 : vecWidth(headDim));

/** out = softmax(q k^T / sqrt(D)) v and the log-sum-exp of the scores. */
export function attention(e: Engine, a: AttentionArgs): Op[] {
  const width = widthFor(e, a.headDim);
  const params = [a.heads, a.kvHeads, a.headDim / width];
  const constants = { CAPACITY: capacity(a.headDim) / width, WORKGROUP };
  return [{
    ...compileKernel(e, {
      name: 'attention',
      body: withVec(width, body),
      constants,
      access: ['read', 'read', 'read', 'read', 'read', 'write', 'write'],
    }),
    label: `${a.label} attention`,
    params,
    tensors: [a.q, a.k, a.v, a.keyStart, a.keyEnd, a.out, a.lse],
    grid: ({ tokens }) => linearGrid(tokens * a.heads, WORKGROUP),
    flops: ({ tokens }) => 4 * tokens * typicalKeys(tokens) * a.heads * a.headDim,
  }];
}

/** dq, dk and dv, from the forward pass's out and lse. */
export function attentionBackward(e: Engine, a: AttentionBackwardArgs): Op[] {
  const width = widthFor(e, a.headDim);
  const params = [a.heads, a.kvHeads, a.headDim / width];
  const constants = { CAPACITY: capacity(a.headDim) / width, WORKGROUP };
  const pairs = (tokens: number): number => tokens * typicalKeys(tokens) * a.heads * a.headDim;
  return [
    {
      ...compileKernel(e, { name: 'attention_delta', body: withVec(width, deltaBody), constants: { WORKGROUP }, access: ['read', 'read', 'read', 'write'] }),
      label: `${a.label} attentionDelta`,
      params,
      tensors: [a.out, a.dOut, a.lse, a.lseDelta],
      grid: ({ tokens }) => linearGrid(tokens * a.heads, WORKGROUP),
      flops: ({ tokens }) => 2 * tokens * a.heads * a.headDim,
    },
    {
      ...compileKernel(e, {
        name: 'attention_backward_dq',
        body: withVec(width, dqBody),
        constants,
        access: ['read', 'read', 'read', 'read', 'read', 'read', 'read', 'write'],
      }),
      label: `${a.label} attentionBackwardDq`,
      params,
      tensors: [a.q, a.k, a.v, a.dOut, a.lseDelta, a.keyStart, a.keyEnd, a.dq],
      grid: ({ tokens }) => linearGrid(tokens * a.heads, WORKGROUP),
      flops: ({ tokens }) => 6 * pairs(tokens),
    },
    {
      ...compileKernel(e, {
        name: 'attention_backward_dkv',
        body: withVec(width, dkvBody),
        constants,
        access: ['read', 'read', 'read', 'read', 'read', 'read', 'write', 'write'],
      }),
      label: `${a.label} attentionBackwardDkv`,
      params,
      tensors: [a.q, a.k, a.v, a.dOut, a.lseDelta, a.queryEnd, a.dk, a.dv],
      grid: ({ tokens }) => linearGrid(tokens * a.kvHeads, WORKGROUP),
      flops: ({ tokens }) => 8 * pairs(tokens),
    },
  ];
}
