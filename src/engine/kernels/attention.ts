/** Owns causal attention inside segments and windows, with or without soft-capped scores, forward and backward; scores are never stored. */
import direct from '../../../shaders/attention.wgsl?raw';
import dkvDirect from '../../../shaders/attention_backward_dkv.wgsl?raw';
import dkvTiled from '../../../shaders/attention_backward_dkv_tiled.wgsl?raw';
import dqDirect from '../../../shaders/attention_backward_dq.wgsl?raw';
import dqTiled from '../../../shaders/attention_backward_dq_tiled.wgsl?raw';
import deltaBody from '../../../shaders/attention_delta.wgsl?raw';
import split from '../../../shaders/attention_split.wgsl?raw';
import tiled from '../../../shaders/attention_tiled.wgsl?raw';
import slices from '../../../shaders/lib/slices.wgsl?raw';
import softcapLib from '../../../shaders/lib/softcap.wgsl?raw';
import tree from '../../../shaders/lib/tree.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, type Access, type F32, type Op } from '../kernel.ts';
import { chosenRowVariant, FEW_QUERIES } from '../rowVariants.ts';
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
  /** Scores are q . k times this; by default 1 / sqrt(D). */
  scale?: number;
  /** Scores become softcap * tanh(score / softcap); null: they stay. */
  softcap?: number | null;
  /** Most keys a query has, for sizing submits only. */
  window?: number | null;
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

/** Keys a query attends on average, for sizing submits only. */
const typicalKeys = (tokens: number, { window }: AttentionShape): number => Math.min(tokens / 2, 256, window ?? Infinity);

/** One kernel variant made for a shape: its source, its params, and its workgroups over `rows` x `heads`. */
interface Launch {
  variant: string;
  body: string;
  constants: Record<string, number | boolean>;
  params: (number | F32)[];
  grid: (rows: number, heads: number) => [number, number, number];
}

/**
 * Lavapipe compiles each vector load into four gathers: 10 s for the three kernels where single elements take 3 s, for no gain in speed.
 * SwiftShader runs vectors 1.4 times as fast and compiles either in half a second.
 */
const directWidth = (e: Engine, headDim: number): VecWidth => (/llvmpipe/i.test(e.info.key) ? 1 : vecWidth(headDim));

const scaleAndCap = (a: AttentionShape): F32[] => [f32(a.scale ?? 1 / Math.sqrt(a.headDim)), f32(a.softcap ?? 1)];
const isCapped = (a: AttentionShape): boolean => (a.softcap ?? null) !== null;

/** Elements of an array for a head: a power of 2, and sizes are params, so that models of like size share their kernels. */
const capacity = (headDim: number): number => Math.max(32, 2 ** Math.ceil(Math.log2(headDim)));

function directLaunch(e: Engine, a: AttentionShape, body: string): Launch {
  const width = directWidth(e, a.headDim);
  const workgroup = 8;
  return {
    variant: 'direct',
    body: withVec(width, `${softcapLib}\n${body}`),
    constants: { CAPACITY: capacity(a.headDim) / width, WORKGROUP: workgroup, SOFTCAP: isCapped(a) },
    params: [a.heads, a.kvHeads, a.headDim / width, ...scaleAndCap(a)],
    grid: (rows, heads) => linearGrid(rows * heads, workgroup),
  };
}

/**
 * Sizes of a tiled kernel whose threads hold at most `held` elements of each row; null where workgroup memory does not suffice.
 * 32 or 64 rows a workgroup, so that a tile fetched once serves many.
 */
function tiledLaunch(e: Engine, a: AttentionShape, body: string, held: 32 | 64): Launch | null {
  const width = vecWidth(a.headDim);
  let slicesPerRow = 1;
  while (Math.ceil(a.headDim / slicesPerRow) > held) slicesPerRow *= 2;
  const per = Math.ceil(a.headDim / width / slicesPerRow);
  const rowsPerGroup = slicesPerRow >= 4 ? 32 : 64;
  const workgroup = rowsPerGroup * slicesPerRow;
  const padded = per * slicesPerRow * width;
  const tile = 8 * Math.min(8, Math.max(1, Math.floor(128 / padded)));
  const bytes = 2 * tile * padded * 4 + (slicesPerRow > 1 ? 2 * workgroup * 16 : 0) + 16 + tile * 8;
  if (workgroup > e.limits.maxComputeInvocationsPerWorkgroup || bytes > e.limits.maxComputeWorkgroupStorageSize) return null;
  return {
    variant: 'tiled',
    body: withVec(width, `${slices}\n${softcapLib}\n${body}`),
    constants: { HEADS: a.heads, KV_HEADS: a.kvHeads, HEAD_DIM: a.headDim, SLICES: slicesPerRow, PER: per, TILE: tile, WORKGROUP: workgroup, UNROLL: !e.info.software, SOFTCAP: isCapped(a) },
    params: [per, a.heads, ...scaleAndCap(a)],
    grid: (rows, heads) => linearGrid(Math.ceil(rows / rowsPerGroup) * heads, 1),
  };
}

function splitLaunch(a: AttentionShape): Launch {
  const width = vecWidth(a.headDim);
  return {
    variant: 'split',
    body: withVec(width, `${tree}\n${softcapLib}\n${split}`),
    constants: { CAPACITY: capacity(a.headDim) / width, WORKGROUP: 64, SOFTCAP: isCapped(a) },
    params: [a.heads, a.kvHeads, a.headDim / width, ...scaleAndCap(a)],
    grid: (rows, heads) => linearGrid(rows * heads, 1),
  };
}

/** An op over the batch's tokens x `heads`. */
function launch(e: Engine, l: Launch, name: string, label: string, heads: number, access: Access[], tensors: Tensor[], flops: (tokens: number) => number): Op {
  return {
    ...compileKernel(e, { name: l.variant === 'direct' ? name : `${name}_${l.variant}`, body: l.body, constants: l.constants, access }),
    label,
    params: l.params,
    tensors,
    grid: ({ tokens }) => l.grid(tokens, heads),
    flops: ({ tokens }) => flops(tokens),
  };
}

/** out = softmax(scale q k^T) v and the log-sum-exp of the scores. */
export function attention(e: Engine, a: AttentionArgs): Op[] {
  const few = a.q.byteLength / 4 / (a.heads * a.headDim) <= FEW_QUERIES;
  const variant = chosenRowVariant(e, few ? 'attention.decode' : 'attention');
  const l = (variant === 'split' ? splitLaunch(a) : variant === 'tiled' ? tiledLaunch(e, a, tiled, 64) : null) ?? directLaunch(e, a, direct);
  const flops = (tokens: number): number => 4 * tokens * typicalKeys(tokens, a) * a.heads * a.headDim;
  const tensors = [a.q, a.k, a.v, a.keyStart, a.keyEnd, a.out, a.lse];
  return [launch(e, l, 'attention', `${a.label} attention`, a.heads, ['read', 'read', 'read', 'read', 'read', 'write', 'write'], tensors, flops)];
}

/** dq, dk and dv, from the forward pass's out and lse. */
export function attentionBackward(e: Engine, a: AttentionBackwardArgs): Op[] {
  const useTiles = chosenRowVariant(e, 'attentionBackward') === 'tiled';
  const launchOf = (directBody: string, tiledBody: string): Launch =>
    (useTiles ? tiledLaunch(e, a, tiledBody, 32) : null) ?? directLaunch(e, a, directBody);
  const pairs = (tokens: number): number => tokens * typicalKeys(tokens, a) * a.heads * a.headDim;
  return [
    launch(
      e, { ...directLaunch(e, a, deltaBody), constants: { WORKGROUP: 8, SOFTCAP: false } }, 'attention_delta', `${a.label} attentionDelta`, a.heads,
      ['read', 'read', 'read', 'write'], [a.out, a.dOut, a.lse, a.lseDelta], (tokens) => 2 * tokens * a.heads * a.headDim,
    ),
    launch(
      e, launchOf(dqDirect, dqTiled), 'attention_backward_dq', `${a.label} attentionBackwardDq`, a.heads,
      ['read', 'read', 'read', 'read', 'read', 'read', 'read', 'write'], [a.q, a.k, a.v, a.dOut, a.lseDelta, a.keyStart, a.keyEnd, a.dq],
      (tokens) => 6 * pairs(tokens),
    ),
    launch(
      e, launchOf(dkvDirect, dkvTiled), 'attention_backward_dkv', `${a.label} attentionBackwardDkv`, a.kvHeads,
      ['read', 'read', 'read', 'read', 'read', 'read', 'write', 'write'], [a.q, a.k, a.v, a.dOut, a.lseDelta, a.queryEnd, a.dk, a.dv],
      (tokens) => 8 * pairs(tokens),
    ),
  ];
}
