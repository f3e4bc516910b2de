/**
 * Owns the buffers between the forward and the backward pass: which each layer keeps, which all layers share because they are computed
 * again, and the scratch of the backward pass. Refuses to know what is computed in them.
 */
import type { RecomputePolicy, TargetModule } from '../config/recipe.ts';
import type { Arena } from '../engine/arena.ts';
import { SPLITS } from '../engine/kernels/matmul.ts';
import { endToEnd, endToEndElements, type JoinedTensor } from '../engine/segments.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { ModelConfig } from './config.ts';
import { GROUP_NAMES, GROUPS, type GroupName } from './joined.ts';

/**
 * What the backward pass finds of a layer's forward pass.
 *   none    everything
 *   cheap   all but the outputs of norms, of the gate and of head norms, which it computes again
 *   layers  the layer's input; the rest is computed again, one layer at a time
 *   nothing there is no backward pass
 */
export type Kept = RecomputePolicy | 'nothing';

/** What the forward pass of one layer leaves for the backward pass. */
export interface LayerActivations {
  /** Input of the layer [M, C]. */
  x: Tensor;
  inputNormed: Tensor;
  /** After projection and, where there is one, before the head norm. */
  q: Tensor;
  k: Tensor;
  v: Tensor;
  /** q, k and v end to end, and gate and up: a joined projection writes them at once. Null where they lie apart. */
  qkv: JoinedTensor | null;
  gateUp: JoinedTensor | null;
  /** After head norm and rotary; the same tensors as q and k without head norm. */
  qRotated: Tensor;
  kRotated: Tensor;
  attnOut: Tensor;
  lse: Tensor;
  /** With sandwich norms: what attention and MLP give before their outer norm [M, C]. */
  attnBranch: Tensor | null;
  mlpBranch: Tensor | null;
  mid: Tensor;
  midNormed: Tensor;
  gate: Tensor;
  up: Tensor;
  activated: Tensor;
  /** x Aᵀ [M, r] of each adapted projection, or, in the same memory, those of a joined group side by side [M, g r]. */
  xa: Partial<Record<TargetModule, Tensor>>;
  xaJoined: Partial<Record<GroupName, Tensor>>;
}

export const widths = (c: ModelConfig) => ({ C: c.hiddenSize, F: c.intermediateSize, Q: c.numAttentionHeads * c.headDim, KV: c.numKeyValueHeads * c.headDim });

/** An arena, or something that counts what an arena would be asked for. */
export type Taker = Pick<Arena, 'take' | 'maxBinding'>;
/** The part of a LoraAdapter that decides buffer sizes. */
export interface AdapterPlaces {
  entries: readonly { layer: number; module: TargetModule; r?: number }[];
  config: { r: number };
}

/** Tensors end to end where one binding holds them and a kernel could write them at once, else each by itself. */
type Together<Each extends readonly Tensor[]> = { joined: JoinedTensor | null; each: Each };
function takeTogether(arena: Taker, labels: readonly string[], rows: number, columns: readonly number[]): Together<readonly Tensor[]> {
  if (columns.every((n) => n % 4 === 0) && 4 * endToEndElements(rows, columns) <= arena.maxBinding) {
    const joined = endToEnd((label, elements) => arena.take(label, elements), labels, rows, columns);
    return { joined, each: joined.each };
  }
  return { joined: null, each: labels.map((label, i) => arena.take(label, rows * columns[i]!)) };
}

/** Takes the activations of every layer from an arena; what is not kept, layers share. */
export function takeActivations(config: ModelConfig, arena: Taker, maxTokens: number, lora: AdapterPlaces | null, kept: Kept): { layers: LayerActivations[]; last: Tensor } {
  const { C, F, Q, KV } = widths(config);
  const take = (name: string, cols: number): Tensor => arena.take(name, maxTokens * cols);
  const streams = kept === 'nothing' ? [take('x even', C), take('x odd', C)] : null;
  const cheap = kept === 'cheap' ? cheapActivations(config, take) : null;
  const ranksOf = (entries: AdapterPlaces['entries']): Map<TargetModule, number> => {
    const ranks = new Map<TargetModule, number>();
    for (const e of entries) ranks.set(e.module, Math.max(ranks.get(e.module) ?? 0, e.r ?? lora!.config.r));
    return ranks;
  };
  const takeXa = (l: number | 'any', ranks: ReadonlyMap<TargetModule, number>): Pick<LayerActivations, 'xa' | 'xaJoined'> => {
    const xa: LayerActivations['xa'] = {};
    const xaJoined: LayerActivations['xaJoined'] = {};
    for (const group of GROUP_NAMES) {
      const modules = GROUPS[group].filter((m) => ranks.has(m));
      const columns = modules.map((m) => ranks.get(m)!);
      if (modules.length < GROUPS[group].length || 4 * endToEndElements(maxTokens, columns) > arena.maxBinding) continue;
      const { whole, each } = endToEnd((label, elements) => arena.take(label, elements), modules.map((m) => `xa ${m}.${l}`), maxTokens, columns);
      xaJoined[group] = whole;
      modules.forEach((m, i) => (xa[m] = each[i]!));
    }
    for (const [m, r] of ranks) xa[m] ??= take(`xa ${m}.${l}`, r);
    return { xa, xaJoined };
  };
  const takeLayer = (l: number | 'any'): Omit<LayerActivations, 'x'> => {
    const { joined: qkv, each: [q, k, v] } = takeTogether(arena, [`q.${l}`, `k.${l}`, `v.${l}`], maxTokens, [Q, KV, KV]) as Together<[Tensor, Tensor, Tensor]>;
    const { joined: gateUp, each: [gate, up] } = takeTogether(arena, [`gate.${l}`, `up.${l}`], maxTokens, [F, F]) as Together<[Tensor, Tensor]>;
    const layer = {
      qkv, q, k, v,
      attnOut: take(`attention.${l}`, Q),
      lse: take(`lse.${l}`, config.numAttentionHeads),
      attnBranch: config.sandwichNorms ? take(`attention branch.${l}`, C) : null,
      mlpBranch: config.sandwichNorms ? take(`mlp branch.${l}`, C) : null,
      mid: take(`mid.${l}`, C),
      gateUp, gate, up,
      ...(cheap ?? {
        inputNormed: take(`input norm.${l}`, C),
        midNormed: take(`mid norm.${l}`, C),
        activated: take(`activated.${l}`, F),
      }),
      qRotated: config.qkNorm ? cheap?.qRotated ?? take(`q rotated.${l}`, Q) : q,
      kRotated: config.qkNorm ? cheap?.kRotated ?? take(`k rotated.${l}`, KV) : k,
    };
    return { ...layer, ...takeXa(l, lora ? ranksOf(l === 'any' ? lora.entries : lora.entries.filter((e) => e.layer === l)) : new Map()) };
  };
  const shared = kept === 'layers' || kept === 'nothing' ? takeLayer('any') : null;
  const layers = Array.from({ length: config.numHiddenLayers }, (_, l) => {
    const x = streams ? streams[l % 2]! : take(`x.${l}`, C);
    return { x, ...(shared ?? takeLayer(l)) };
  });
  return { layers, last: streams ? streams[config.numHiddenLayers % 2]! : take('x last', C) };
}

/** The shared places of what is computed again one layer at a time. Both norms are never needed at once. */
function cheapActivations(config: ModelConfig, take: (name: string, cols: number) => Tensor) {
  const { C, F, Q, KV } = widths(config);
  const normed = take('norm', C);
  return {
    inputNormed: normed, midNormed: normed, activated: take('activated', F),
    ...(config.qkNorm ? { qRotated: take('q rotated', Q), kRotated: take('k rotated', KV) } : {}),
  };
}

/** Buffers that the backward pass needs beside the activations; shared by all layers. */
export interface BackwardScratch {
  /** Gradient of the residual stream [M, C]; holds d x(last) when the pass begins. */
  dStream: Tensor;
  dNormed: Tensor;
  dAct: Tensor;
  dGate: Tensor;
  dUp: Tensor;
  dAttnOut: Tensor;
  dq: Tensor;
  dk: Tensor;
  dv: Tensor;
  dqRaw: Tensor;
  dkRaw: Tensor;
  /** dqRaw, dkRaw and dv end to end, and dGate and dUp, where they are for a joined product. */
  dQkv: JoinedTensor | null;
  dGateUp: JoinedTensor | null;
  /** Log-sum-exp and row sums of dOut * out, interleaved [M, H, 2]. */
  lseDelta: Tensor;
  /** [M, 3 r]: of one projection, or of a joined group. */
  dxa: Tensor;
  /** What workgroups add up of a LoRA gradient before it is summed. */
  parts: Tensor;
  /** [M, widest input], needed when dropout > 0. */
  dDropped: Tensor | null;
}

export function takeScratch(config: ModelConfig, arena: Taker, M: number, r: number, withDropout: boolean): { scratch: BackwardScratch; dropped: Tensor | null } {
  const { C, F, Q, KV } = widths(config);
  const widest = Math.max(C, F, Q);
  const { joined: dQkv, each: [dqRaw, dkRaw, dv] } = takeTogether(arena, ['dq raw', 'dk raw', 'dv'], M, [Q, KV, KV]) as Together<[Tensor, Tensor, Tensor]>;
  const { joined: dGateUp, each: [dGate, dUp] } = takeTogether(arena, ['d gate', 'd up'], M, [F, F]) as Together<[Tensor, Tensor]>;
  return {
    dropped: withDropout ? arena.take('dropped', M * widest) : null,
    scratch: {
      dStream: arena.take('d stream', M * C),
      dNormed: arena.take('d normed', M * C),
      dAct: arena.take('d activated', M * F),
      dGateUp, dGate, dUp,
      dAttnOut: arena.take('d attention', M * Q),
      dQkv, dqRaw, dkRaw, dv,
      dq: config.qkNorm ? arena.take('dq', M * Q) : dqRaw,
      dk: config.qkNorm ? arena.take('dk', M * KV) : dkRaw,
      lseDelta: arena.take('lse and delta', M * config.numAttentionHeads * 2),
      dxa: arena.take('d xa', M * 3 * r),
      parts: arena.take('parts of gradients', SPLITS * r * Math.max(widest, Q + 2 * KV, 2 * F, 3 * C)),
      dDropped: withDropout ? arena.take('d dropped', M * widest) : null,
    },
  };
}
