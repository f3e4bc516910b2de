/**
 * Owns the buffers between the forward and the backward pass: which each layer keeps, which all layers share because they are computed
 * again, and the scratch of the backward pass. Refuses to know what is computed in them.
 */
import type { RecomputePolicy, TargetModule } from '../config/recipe.ts';
import type { Arena } from '../engine/arena.ts';
import { SPLITS } from '../engine/kernels/matmul.ts';
import { viewTensor, type Tensor } from '../engine/tensor.ts';
import type { ModelConfig } from './config.ts';

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
  /** q, k and v end to end, and gate and up: for a single token a joined projection writes them as one row. Null where they lie apart. */
  qkv: Tensor | null;
  gateUp: Tensor | null;
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
  /** x Aᵀ [M, r] of each adapted projection. */
  xa: Partial<Record<TargetModule, Tensor>>;
}

export const widths = (c: ModelConfig) => ({ C: c.hiddenSize, F: c.intermediateSize, Q: c.numAttentionHeads * c.headDim, KV: c.numKeyValueHeads * c.headDim });

/** An arena, or something that counts what an arena would be asked for. */
export type Taker = Pick<Arena, 'take'>;
/** The part of a LoraAdapter that decides buffer sizes. */
export interface AdapterPlaces {
  entries: readonly { layer: number; module: TargetModule; r?: number }[];
  config: { r: number };
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
  /** Rows of several widths: of a single token in one tensor, if each can be bound there. */
  const endToEnd = <N extends 2 | 3>(names: string[], cols: number[], l: number | 'any'): [whole: Tensor | null, each: N extends 2 ? [Tensor, Tensor] : [Tensor, Tensor, Tensor]] => {
    type Each = N extends 2 ? [Tensor, Tensor] : [Tensor, Tensor, Tensor];
    if (maxTokens > 1 || cols.some((n) => n % 64 !== 0)) return [null, names.map((name, i) => take(`${name}.${l}`, cols[i]!)) as Each];
    const whole = take(`${names.join(' ')}.${l}`, cols.reduce((a, b) => a + b));
    const starts = cols.map((_, i) => cols.slice(0, i).reduce((a, b) => a + b, 0));
    return [whole, names.map((name, i) => viewTensor(whole, `${name}.${l}`, starts[i]!, cols[i]!)) as Each];
  };
  const takeLayer = (l: number | 'any'): Omit<LayerActivations, 'x'> => {
    const [qkv, [q, k, v]] = endToEnd<3>(['q', 'k', 'v'], [Q, KV, KV], l);
    const [gateUp, [gate, up]] = endToEnd<2>(['gate', 'up'], [F, F], l);
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
    const ranks = lora ? ranksOf(l === 'any' ? lora.entries : lora.entries.filter((e) => e.layer === l)) : [];
    return { ...layer, xa: Object.fromEntries([...ranks].map(([m, r]) => [m, take(`xa ${m}.${l}`, r)])) };
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
  /** Log-sum-exp and row sums of dOut * out, interleaved [M, H, 2]. */
  lseDelta: Tensor;
  dxa: Tensor;
  /** What workgroups add up of a LoRA gradient before it is summed. */
  parts: Tensor;
  /** [M, widest input], needed when dropout > 0. */
  dDropped: Tensor | null;
}

export function takeScratch(config: ModelConfig, arena: Taker, M: number, r: number, withDropout: boolean): { scratch: BackwardScratch; dropped: Tensor | null } {
  const { C, F, Q, KV } = widths(config);
  const widest = Math.max(C, F, Q);
  const dq = arena.take('dq', M * Q);
  const dk = arena.take('dk', M * KV);
  return {
    dropped: withDropout ? arena.take('dropped', M * widest) : null,
    scratch: {
      dStream: arena.take('d stream', M * C),
      dNormed: arena.take('d normed', M * C),
      dAct: arena.take('d activated', M * F),
      dGate: arena.take('d gate', M * F),
      dUp: arena.take('d up', M * F),
      dAttnOut: arena.take('d attention', M * Q),
      dq,
      dk,
      dv: arena.take('dv', M * KV),
      dqRaw: config.qkNorm ? arena.take('dq raw', M * Q) : dq,
      dkRaw: config.qkNorm ? arena.take('dk raw', M * KV) : dk,
      lseDelta: arena.take('lse and delta', M * config.numAttentionHeads * 2),
      dxa: arena.take('d xa', M * r),
      parts: arena.take('parts of gradients', SPLITS * r * widest),
      dDropped: withDropout ? arena.take('d dropped', M * widest) : null,
    },
  };
}
