/** Owns causal attention inside segments and windows, with or without soft-capped scores, forward and backward; scores are never stored. */
import direct from '../../../shaders/attention.wgsl?raw';
import blocked from '../../../shaders/attention_blocked.wgsl?raw';
import dkvBlocked from '../../../shaders/attention_backward_dkv_blocked.wgsl?raw';
import dkvDirect from '../../../shaders/attention_backward_dkv.wgsl?raw';
import dkvTiled from '../../../shaders/attention_backward_dkv_tiled.wgsl?raw';
import dqBlocked from '../../../shaders/attention_backward_dq_blocked.wgsl?raw';
import dqDirect from '../../../shaders/attention_backward_dq.wgsl?raw';
import dqTiled from '../../../shaders/attention_backward_dq_tiled.wgsl?raw';
import deltaBody from '../../../shaders/attention_delta.wgsl?raw';
import split from '../../../shaders/attention_split.wgsl?raw';
import tiled from '../../../shaders/attention_tiled.wgsl?raw';
import attentionBlock from '../../../shaders/lib/attention_block.wgsl?raw';
import attentionBlockKeys from '../../../shaders/lib/attention_block_keys.wgsl?raw';
import keyValueTile from '../../../shaders/lib/key_value_tile.wgsl?raw';
import lowRankPart from '../../../shaders/lib/low_rank_part.wgsl?raw';
import slices from '../../../shaders/lib/slices.wgsl?raw';
import slicesMemory from '../../../shaders/lib/slices_memory.wgsl?raw';
import slicesShuffle from '../../../shaders/lib/slices_shuffle.wgsl?raw';
import softcapLib from '../../../shaders/lib/softcap.wgsl?raw';
import splitLse from '../../../shaders/lib/split_lse.wgsl?raw';
import splitPart from '../../../shaders/lib/split_part.wgsl?raw';
import tree from '../../../shaders/lib/tree.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, type Access, type Choice, type F32, type Op } from '../kernel.ts';
import { chosenRowVariant, FEW_QUERIES, ROW_VARIANTS, type RowVariant } from '../rowVariants.ts';
import type { Tensor } from '../tensor.ts';
import type { Begun } from './matmul.ts';
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
export interface AttentionArgs extends AttentionShape {
  /** Only where `attentionBegins`: also begins out Aᵀ, a part a head, and leaves `lse` alone. */
  begin?: Begun;
}

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
  subgroups?: boolean;
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

/** Few threads a workgroup spread evenly over a processor's cores; a GPU wants whole subgroups. */
const directWorkgroup = (e: Engine): number => (e.info.software ? 8 : 64);

function directLaunch(e: Engine, a: AttentionShape, body: string): Launch {
  const width = directWidth(e, a.headDim);
  const workgroup = directWorkgroup(e);
  return {
    variant: 'direct',
    body: withVec(width, `${softcapLib}\n${body}`),
    constants: { CAPACITY: capacity(a.headDim) / width, WORKGROUP: workgroup, SOFTCAP: isCapped(a) },
    params: [a.heads, a.kvHeads, a.headDim / width, ...scaleAndCap(a)],
    grid: (rows, heads) => linearGrid(rows * heads, workgroup),
  };
}

type Tiled = Exclude<RowVariant<'attention'>, 'direct' | 'blocked'>;
/** Elements of a row that a thread holds in the forward pass (half as many in the backward pass, which holds more of each), rows a workgroup, and rows a thread. */
const HELD: Record<Tiled, { held: number; rows: number; each: number }> = {
  tiled: { held: 64, rows: 64, each: 1 },
  tiledHalf: { held: 32, rows: 32, each: 1 },
  tiledQuarter: { held: 16, rows: 16, each: 1 },
  tiledPairs: { held: 16, rows: 32, each: 2 },
};

/** Sizes of a tiled kernel whose threads hold at most `held` elements of each row; null where workgroup memory does not suffice. */
function tiledLaunch(e: Engine, a: AttentionShape, body: string, variant: Tiled, pass: 'forward' | 'backward'): Launch | null {
  const { rows, each } = HELD[variant];
  const held = HELD[variant].held / (pass === 'forward' ? 1 : 2);
  const width = vecWidth(a.headDim);
  let slicesPerRow = 1;
  while (Math.ceil(a.headDim / slicesPerRow) > held) slicesPerRow *= 2;
  const per = Math.ceil(a.headDim / width / slicesPerRow);
  // A tile fetched once serves many rows; a workgroup has 256 threads at most.
  const rowsPerGroup = Math.min(rows, slicesPerRow >= 4 ? 32 : 64);
  const workgroup = (rowsPerGroup / each) * slicesPerRow;
  const padded = per * slicesPerRow * width;
  const tile = 8 * Math.min(8, Math.max(1, Math.floor(128 / padded)));
  const shuffles = slicesPerRow > 1 && e.info.subgroups && (e.device.adapterInfo.subgroupMinSize ?? 0) >= slicesPerRow;
  const bytes = 2 * tile * padded * 4 + (slicesPerRow > 1 && !shuffles ? 2 * workgroup * 16 : 0) + 16 + tile * 8;
  if (workgroup > e.limits.maxComputeInvocationsPerWorkgroup || bytes > e.limits.maxComputeWorkgroupStorageSize) return null;
  return {
    variant,
    subgroups: shuffles,
    body: withVec(width, `${slices}\n${shuffles ? slicesShuffle : slicesMemory}\n${softcapLib}\n${body}`),
    constants: { HEADS: a.heads, KV_HEADS: a.kvHeads, HEAD_DIM: a.headDim, SLICES: slicesPerRow, ROWS_EACH: each, PER: per, TILE: tile, WORKGROUP: workgroup, UNROLL: !e.info.software, SOFTCAP: isCapped(a) },
    params: [per, a.heads, ...scaleAndCap(a)],
    grid: (rows, heads) => linearGrid(Math.ceil(rows / rowsPerGroup) * heads, 1),
  };
}

/** Products of tiles: as many rows a workgroup as its memory takes; null where that is not enough, or where D is no multiple of 4. */
function blockedLaunch(e: Engine, a: AttentionShape, body: string, pass: 'forward' | 'backward'): Launch | null {
  if (a.headDim % 4 !== 0) return null;
  const pitch = Math.floor(a.headDim / 8) * 2 + 1;
  // Rows of vec4: the workgroup's own (two of each in the backward pass), 32 that stream by, the weights between them, and what is told of a row.
  const bytes = (rows: number): number => 16 * (pitch * (rows * (pass === 'forward' ? 1 : 2) + 32) + 9 * rows) + (pass === 'forward' ? 4 * 10 * rows : 0);
  const ROWS = [32, 16].find((rows) => bytes(rows) <= e.limits.maxComputeWorkgroupStorageSize && rows * a.headDim <= 2048);
  if (ROWS === undefined) return null;
  return {
    variant: 'blocked',
    body: withVec(4, [softcapLib, attentionBlock, body].join('\n')),
    constants: { HEADS: a.heads, KV_HEADS: a.kvHeads, HEAD_DIM: a.headDim, ROWS, SIDES: pass === 'forward' ? 1 : 2, UNROLL: !e.info.software, SOFTCAP: isCapped(a) },
    params: [...scaleAndCap(a), a.headDim / 4, 8],
    grid: (rows, heads) => linearGrid(Math.ceil(rows / ROWS) * heads, 1),
  };
}

function splitLaunch(a: AttentionArgs): Launch {
  const width = vecWidth(a.headDim);
  const { begin } = a;
  return {
    variant: 'split',
    body: withVec(width, [tree, softcapLib, ...(begin ? [lowRankPart, splitPart] : [splitLse]), split].join('\n')),
    constants: { CAPACITY: capacity(a.headDim) / width, WORKGROUP: 64, SOFTCAP: isCapped(a), ...(begin ? { PART: 8 } : {}) },
    params: [a.heads, a.kvHeads, a.headDim / width, ...scaleAndCap(a), begin?.a.rows ?? 0, begin?.parts.size ?? 0],
    grid: (rows, heads) => linearGrid(rows * heads, 1),
  };
}

/** An op over the batch's tokens x `heads`. */
function launch(e: Engine, l: Launch, name: string, label: string, heads: number, access: Access[], tensors: Tensor[], flops: (tokens: number) => number): Op {
  return {
    ...compileKernel(e, { name: l.variant === 'direct' ? name : `${name}_${l.variant}`, body: l.body, constants: l.constants, subgroups: l.subgroups, access }),
    label,
    params: l.params,
    tensors,
    grid: ({ tokens }) => l.grid(tokens, heads),
    flops: ({ tokens }) => flops(tokens),
  };
}

/** Names an attention in engine.variants: which kernel, the most tokens, heads and their sizes, the window. */
const keyFor = (what: string, a: AttentionShape): string =>
  `${what} ${Math.floor(a.q.byteLength / 4 / a.heads / a.headDim)}x${a.heads}x${a.kvHeads}x${a.headDim}${a.window ? ` window ${a.window}` : ''}`;

/** Which kernel serves an attention. */
function chosen(e: Engine, a: AttentionArgs) {
  const few = a.q.byteLength / 4 / (a.heads * a.headDim) <= FEW_QUERIES;
  const kind = few ? 'attention.decode' : 'attention';
  const key = keyFor(kind, a);
  return { kind, key, variant: chosenRowVariant(e, kind, key) } as const;
}

/** Whether the kernel that serves an attention can begin out Aᵀ. */
export const attentionBegins = (e: Engine, a: AttentionArgs): boolean => chosen(e, a).variant === 'split';

/** out = softmax(scale q k^T) v and the log-sum-exp of the scores. */
export function attention(e: Engine, a: AttentionArgs): Op[] {
  const { kind, key, variant } = chosen(e, a);
  const tiles = (of: Tiled): Launch | null => tiledLaunch(e, a, `${keyValueTile}\n${tiled}`, of, 'forward');
  const made = variant === 'direct' ? null : variant === 'split' ? splitLaunch(a) : variant === 'blocked' ? blockedLaunch(e, a, `${attentionBlockKeys}\n${blocked}`, 'forward') ?? tiles('tiled') : tiles(variant);
  const l = made ?? directLaunch(e, a, direct);
  const flops = (tokens: number): number => 4 * tokens * typicalKeys(tokens, a) * a.heads * a.headDim;
  const begin = l.variant === 'split' ? a.begin : undefined;
  const tensors = [a.q, a.k, a.v, a.keyStart, a.keyEnd, a.out, ...(begin ? [begin.parts.tensor, begin.a.parts[0]!.tensor] : [a.lse])];
  const choice: Choice = { key, candidates: ROW_VARIANTS[kind], usual: variant, inputs: [a.q, a.k, a.v], output: a.out, remake: (view) => attention(view, a) };
  return [{ ...launch(e, l, 'attention', `${a.label} attention`, a.heads, ['read', 'read', 'read', 'read', 'read', 'write', 'write', ...(begin ? ['read'] as const : [])], tensors, flops), choice }];
}

/** dq, dk and dv, from the forward pass's out and lse. */
export function attentionBackward(e: Engine, a: AttentionBackwardArgs): Op[] {
  return [
    launch(
      e, { ...directLaunch(e, a, deltaBody), constants: { WORKGROUP: directWorkgroup(e), SOFTCAP: false } }, 'attention_delta', `${a.label} attentionDelta`, a.heads,
      ['read', 'read', 'read', 'write'], [a.out, a.dOut, a.lse, a.lseDelta], (tokens) => 2 * tokens * a.heads * a.headDim,
    ),
    queryGradient(e, a),
    keyGradients(e, a),
  ];
}

const pairs = (tokens: number, a: AttentionShape): number => tokens * typicalKeys(tokens, a) * a.heads * a.headDim;

/** A kernel of the backward pass, tiled or direct, with its choice. */
function backwardOp(e: Engine, a: AttentionBackwardArgs, what: 'dq' | 'dkv', bodies: { direct: string; tiled: string; blocked: string }, output: Tensor, make: (l: Launch) => Op, remake: (view: Engine) => Op): Op {
  const key = keyFor(`attention.${what}`, a);
  const variant = chosenRowVariant(e, 'attentionBackward', key);
  const tiles = (of: Tiled): Launch | null => tiledLaunch(e, a, bodies.tiled, of, 'backward');
  const made = variant === 'direct' ? null : variant === 'blocked' ? blockedLaunch(e, a, bodies.blocked, 'backward') ?? tiles('tiled') : tiles(variant);
  const l = made ?? directLaunch(e, a, bodies.direct);
  const choice: Choice = { key, candidates: ROW_VARIANTS.attentionBackward, usual: variant, inputs: [a.q, a.k, a.v, a.dOut], output, remake: (view) => [remake(view)] };
  return { ...make(l), choice };
}

function queryGradient(e: Engine, a: AttentionBackwardArgs): Op {
  const make = (l: Launch): Op => launch(
    e, l, 'attention_backward_dq', `${a.label} attentionBackwardDq`, a.heads,
    ['read', 'read', 'read', 'read', 'read', 'read', 'read', 'write'], [a.q, a.k, a.v, a.dOut, a.lseDelta, a.keyStart, a.keyEnd, a.dq],
    (tokens) => 6 * pairs(tokens, a),
  );
  return backwardOp(e, a, 'dq', { direct: dqDirect, tiled: `${keyValueTile}\n${dqTiled}`, blocked: `${attentionBlockKeys}\n${dqBlocked}` }, a.dq, make, (view) => queryGradient(view, a));
}

function keyGradients(e: Engine, a: AttentionBackwardArgs): Op {
  const make = (l: Launch): Op => launch(
    e, l, 'attention_backward_dkv', `${a.label} attentionBackwardDkv`, a.kvHeads,
    ['read', 'read', 'read', 'read', 'read', 'read', 'write', 'write'], [a.q, a.k, a.v, a.dOut, a.lseDelta, a.queryEnd, a.dk, a.dv],
    (tokens) => 8 * pairs(tokens, a),
  );
  return backwardOp(e, a, 'dkv', { direct: dkvDirect, tiled: dkvTiled, blocked: dkvBlocked }, a.dk, make, (view) => keyGradients(view, a));
}
