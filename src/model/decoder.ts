/**
 * Owns the forward and backward pass of the decoder that a ModelConfig describes, as lists of dispatches over a set of buffers.
 * Refuses to know batches, optimizers and files.
 *
 * Shapes: M tokens of the batch end to end, C hidden, H / Hkv query / key-value heads of D, F intermediate, r LoRA rank.
 * Residual stream: x(l) -> mid(l) = x + attention(norm(x)) -> x(l+1) = mid + mlp(norm(mid)); with sandwich norms what is added is
 * norm(attention(norm(x))) and norm(mlp(norm(mid))).
 */
import type { TargetModule } from '../config/recipe.ts';
import { attention, attentionBackward } from '../engine/kernels/attention.ts';
import { dropout } from '../engine/kernels/dropout.ts';
import { embedding } from '../engine/kernels/embedding.ts';
import { gated, gatedBackward } from '../engine/kernels/gated.ts';
import { matmulNN, matmulNT, matmulTN } from '../engine/kernels/matmul.ts';
import { rmsNorm, rmsNormBackward } from '../engine/kernels/rmsNorm.ts';
import { rope } from '../engine/kernels/rope.ts';
import { kvAppend } from '../engine/kernels/rows.ts';
import type { Arena } from '../engine/arena.ts';
import type { Engine } from '../engine/device.ts';
import { TOKENS, type Op } from '../engine/kernel.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { BatchInputs } from './batchInputs.ts';
import { layerAt, type ModelConfig } from './config.ts';
import { modulePath, type LoraAdapter, type LoraEntry } from './lora.ts';
import type { ModelWeights } from './weights.ts';

export interface RopeTable {
  /** [maxPositions, D/2] */
  cos: Tensor;
  sin: Tensor;
}
export interface RopeTables {
  global: RopeTable;
  local: RopeTable | null;
}

/** What the forward pass of one layer leaves for the backward pass. */
export interface LayerActivations {
  /** Input of the layer [M, C]. */
  x: Tensor;
  inputNormed: Tensor;
  /** After projection and, where there is one, before the head norm. */
  q: Tensor;
  k: Tensor;
  v: Tensor;
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

export interface DecoderContext {
  engine: Engine;
  config: ModelConfig;
  weights: ModelWeights;
  rope: RopeTables;
  inputs: BatchInputs;
}

export interface LoraUse {
  adapter: LoraAdapter;
  /** 0 outside training. */
  dropout: number;
  /** Scratch [M, max(C, F, H·D)], needed when dropout > 0. */
  dropped: Tensor | null;
}

/** Key/value cache of one layer, [context, Hkv·D] each. */
export interface LayerCache {
  k: Tensor;
  v: Tensor;
}

const widths = (c: ModelConfig) => ({ C: c.hiddenSize, F: c.intermediateSize, Q: c.numAttentionHeads * c.headDim, KV: c.numKeyValueHeads * c.headDim });

/** An arena, or something that counts what an arena would be asked for. */
export type Taker = Pick<Arena, 'take'>;
/** The part of a LoraAdapter that decides buffer sizes. */
export interface AdapterPlaces {
  entries: readonly { layer: number; module: TargetModule; r?: number }[];
  config: { r: number };
}

/**
 * Takes the activations of every layer from an arena. `keep` true gives each layer its own (training); false lets all
 * layers share one set (inference), only the residual stream alternates.
 */
export function takeActivations(config: ModelConfig, arena: Taker, maxTokens: number, lora: AdapterPlaces | null, keep: boolean): { layers: LayerActivations[]; last: Tensor } {
  const { C, F, Q, KV } = widths(config);
  const M = maxTokens;
  const take = (name: string, cols: number): Tensor => arena.take(name, M * cols);
  const layers: LayerActivations[] = [];
  let shared: LayerActivations | null = null;
  const streams = keep ? null : [take('x even', C), take('x odd', C)];
  for (let l = 0; l < config.numHiddenLayers; l++) {
    const x = streams ? streams[l % 2]! : take(`x.${l}`, C);
    if (!keep && shared) {
      layers.push({ ...shared, x });
      continue;
    }
    const q = take(`q.${l}`, Q);
    const k = take(`k.${l}`, KV);
    const layer: LayerActivations = {
      x,
      inputNormed: take(`input norm.${l}`, C),
      q,
      k,
      v: take(`v.${l}`, KV),
      qRotated: config.qkNorm ? take(`q rotated.${l}`, Q) : q,
      kRotated: config.qkNorm ? take(`k rotated.${l}`, KV) : k,
      attnOut: take(`attention.${l}`, Q),
      lse: take(`lse.${l}`, config.numAttentionHeads),
      attnBranch: config.sandwichNorms ? take(`attention branch.${l}`, C) : null,
      mlpBranch: config.sandwichNorms ? take(`mlp branch.${l}`, C) : null,
      mid: take(`mid.${l}`, C),
      midNormed: take(`mid norm.${l}`, C),
      gate: take(`gate.${l}`, F),
      up: take(`up.${l}`, F),
      activated: take(`activated.${l}`, F),
      xa: {},
    };
    if (lora) {
      const ranks = new Map<TargetModule, number>();
      for (const e of keep ? lora.entries.filter((e) => e.layer === l) : lora.entries) {
        ranks.set(e.module, Math.max(ranks.get(e.module) ?? 0, e.r ?? lora.config.r));
      }
      for (const [m, r] of ranks) layer.xa[m] = take(`xa ${m}.${l}`, r);
    }
    layers.push(layer);
    shared = layer;
  }
  const last = streams ? streams[config.numHiddenLayers % 2]! : take('x last', C);
  return { layers, last };
}

/** embedding, then every layer. `caches` switches to generation: keys and values of earlier tokens come from there. */
export function forwardOps(ctx: DecoderContext, acts: { layers: LayerActivations[]; last: Tensor }, lora: LoraUse | null, caches: LayerCache[] | null = null): Op[] {
  const { engine: e, inputs } = ctx;
  const ops: Op[] = embedding(e, { label: 'embedding', ids: inputs.ids, w: ctx.weights.embedding, out: acts.layers[0]?.x ?? acts.last, scale: ctx.config.embeddingScale });
  acts.layers.forEach((a, l) => ops.push(...layerForward(ctx, l, a, acts.layers[l + 1]?.x ?? acts.last, lora, caches?.[l] ?? null)));
  return ops;
}

function layerForward(ctx: DecoderContext, l: number, a: LayerActivations, next: Tensor, lora: LoraUse | null, cache: LayerCache | null): Op[] {
  const { engine: e, config, weights } = ctx;
  const { C, F, KV } = widths(config);
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim, rmsNormEps: eps } = config;
  const w = weights.layers[l]!;
  const name = (part: string): string => `layer ${l} ${part}`;
  const project = (module: TargetModule, x: Tensor, y: Tensor, add?: Tensor): Op[] => [
    ...matmulNT(e, { label: modulePath(l, module), rows: TOKENS, x, w: w.projections[module].weight, y, add, bias: w.projections[module].bias ?? undefined }),
    ...loraForward(ctx, lora, l, module, x, y, a),
  ];
  /** stream + projection, or stream + norm(projection) where there is an outer norm. */
  const intoStream = (module: TargetModule, x: Tensor, branch: Tensor | null, gain: Tensor | null, stream: Tensor, out: Tensor): Op[] =>
    branch && gain
      ? [...project(module, x, branch), ...rmsNorm(e, { label: name(`${module} norm`), rows: TOKENS, cols: C, x: branch, gain, out, eps, add: stream })]
      : project(module, x, out, stream);
  const ops = [
    ...rmsNorm(e, { label: name('input norm'), rows: TOKENS, cols: C, x: a.x, gain: w.inputNorm, out: a.inputNormed, eps }),
    ...project('q_proj', a.inputNormed, a.q),
    ...project('k_proj', a.inputNormed, a.k),
    ...project('v_proj', a.inputNormed, a.v),
  ];
  if (w.qNorm && w.kNorm) {
    ops.push(
      ...rmsNorm(e, { label: name('q norm'), rows: { kind: 'tokens', perToken: heads }, cols: headDim, x: a.q, gain: w.qNorm, out: a.qRotated, eps }),
      ...rmsNorm(e, { label: name('k norm'), rows: { kind: 'tokens', perToken: kvHeads }, cols: headDim, x: a.k, gain: w.kNorm, out: a.kRotated, eps }),
    );
  }
  ops.push(...rotaryOps(ctx, l, name, a.qRotated, a.kRotated, false));
  if (cache) {
    ops.push(
      ...kvAppend(e, { label: name('k cache'), cols: KV, src: a.kRotated, cache: cache.k }),
      ...kvAppend(e, { label: name('v cache'), cols: KV, src: a.v, cache: cache.v }),
    );
  }
  ops.push(
    ...attention(e, {
      label: name('attention'), ...scores(ctx, l), q: a.qRotated, k: cache?.k ?? a.kRotated, v: cache?.v ?? a.v, out: a.attnOut, lse: a.lse,
    }),
    ...intoStream('o_proj', a.attnOut, a.attnBranch, w.attentionOutNorm, a.x, a.mid),
    ...rmsNorm(e, { label: name('mlp norm'), rows: TOKENS, cols: C, x: a.mid, gain: w.mlpNorm, out: a.midNormed, eps }),
    ...project('gate_proj', a.midNormed, a.gate),
    ...project('up_proj', a.midNormed, a.up),
    ...gated(e, { label: name('gate'), activation: config.activation, cols: F, gate: a.gate, up: a.up, out: a.activated }),
    ...intoStream('down_proj', a.activated, a.mlpBranch, w.mlpOutNorm, a.mid, next),
  );
  return ops;
}

/** What the scores of a layer's attention are and which tokens they join. */
function scores({ config, inputs }: DecoderContext, l: number) {
  const { window } = layerAt(config, l);
  return {
    heads: config.numAttentionHeads, kvHeads: config.numKeyValueHeads, headDim: config.headDim,
    scale: config.attentionScale, softcap: config.attentionSoftcap, window, keyEnd: inputs.keyEnd, ...inputs.reach(window),
  };
}

/** Turns queries and keys in place by the layer's table, or back; nothing in a layer without rotary positions. */
function rotaryOps(ctx: DecoderContext, l: number, name: (part: string) => string, q: Tensor, k: Tensor, inverse: boolean): Op[] {
  const { engine: e, config, inputs } = ctx;
  const which = layerAt(config, l).rope;
  const table = which && ctx.rope[which];
  if (!table) return [];
  const rotary = { headDim: config.headDim, positions: inputs.positions, ...table, inverse };
  return [
    ...rope(e, { label: name('q rotary'), heads: config.numAttentionHeads, x: q, ...rotary }),
    ...rope(e, { label: name('k rotary'), heads: config.numKeyValueHeads, x: k, ...rotary }),
  ];
}

/** y += scaling · (dropout(x) Aᵀ) Bᵀ, keeping x Aᵀ. */
function loraForward(ctx: DecoderContext, lora: LoraUse | null, l: number, module: TargetModule, x: Tensor, y: Tensor, a: LayerActivations): Op[] {
  const entry = lora?.adapter.at(l, module);
  if (!lora || !entry) return [];
  const { engine: e } = ctx;
  const xa = a.xa[module]!;
  const label = `${modulePath(l, module)} lora`;
  const [input, drop] = droppedInput(e, lora, entry, x, label);
  return [
    ...drop,
    ...matmulNT(e, { label: `${label} A`, rows: TOKENS, x: input, w: entry.a, y: xa }),
    ...matmulNT(e, { label: `${label} B`, rows: TOKENS, x: xa, w: entry.b, y, alpha: entry.scaling, add: 'accumulate' }),
  ];
}

function droppedInput(e: Engine, lora: LoraUse, entry: LoraEntry, x: Tensor, label: string): [Tensor, Op[]] {
  if (lora.dropout === 0) return [x, []];
  const out = lora.dropped!;
  return [out, dropout(e, { label: `${label} dropout`, cols: entry.inFeatures, x, out, p: lora.dropout, stream: entry.stream })];
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
      dDropped: withDropout ? arena.take('d dropped', M * widest) : null,
    },
  };
}

/** From d x(last) in scratch.dStream to the LoRA gradients, which accumulate. */
export function backwardOps(ctx: DecoderContext, layers: LayerActivations[], lora: LoraUse, scratch: BackwardScratch): Op[] {
  const lowest = Math.min(...lora.adapter.entries.map((e) => e.layer));
  const ops: Op[] = [];
  for (let l = layers.length - 1; l >= lowest; l--) ops.push(...layerBackward(ctx, l, layers[l]!, lora, scratch, l > lowest));
  return ops;
}

function layerBackward(ctx: DecoderContext, l: number, a: LayerActivations, lora: LoraUse, s: BackwardScratch, needInput: boolean): Op[] {
  const { engine: e, config, weights } = ctx;
  const { C, F } = widths(config);
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim, rmsNormEps: eps } = config;
  const w = weights.layers[l]!;
  const name = (part: string): string => `layer ${l} ${part} backward`;
  const adapted = (...modules: TargetModule[]): boolean => modules.some((m) => lora.adapter.at(l, m));
  /** LoRA gradients of a projection, and d x (+)= d y W + the LoRA branch's share unless d x is not wanted. */
  const back = (module: TargetModule, x: Tensor, dy: Tensor, dx: Tensor | null, accumulate: boolean): Op[] => [
    ...(dx ? matmulNN(e, { label: `${modulePath(l, module)} dX`, rows: TOKENS, dy, w: w.projections[module].weight, dx, accumulate }) : []),
    ...loraBackward(ctx, lora, l, module, x, dy, dx, a, s),
  ];
  const belowAttention = needInput || adapted('q_proj', 'k_proj', 'v_proj');
  const belowMlp = belowAttention || adapted('o_proj');
  const belowDown = belowMlp || adapted('gate_proj', 'up_proj');

  /** The gradient of a projection from that of the stream it joined; an outer norm's goes through dNormed, free at both places. */
  const outOfStream = (module: TargetModule, branch: Tensor | null, gain: Tensor | null): [dy: Tensor, ops: Op[]] =>
    branch && gain
      ? [s.dNormed, rmsNormBackward(e, { label: name(`${module} norm`), rows: TOKENS, cols: C, x: branch, gain, dOut: s.dStream, dx: s.dNormed, eps })]
      : [s.dStream, []];

  const [dMlp, mlpNormOps] = outOfStream('down_proj', a.mlpBranch, w.mlpOutNorm);
  const ops = [...mlpNormOps, ...back('down_proj', a.activated, dMlp, belowDown ? s.dAct : null, false)];
  if (!belowDown) return ops;
  ops.push(
    ...gatedBackward(e, { label: name('gate'), activation: config.activation, cols: F, gate: a.gate, up: a.up, dOut: s.dAct, dGate: s.dGate, dUp: s.dUp }),
    ...back('gate_proj', a.midNormed, s.dGate, belowMlp ? s.dNormed : null, false),
    ...back('up_proj', a.midNormed, s.dUp, belowMlp ? s.dNormed : null, true),
  );
  if (!belowMlp) return ops;
  const [dAttention, attentionNormOps] = outOfStream('o_proj', a.attnBranch, w.attentionOutNorm);
  ops.push(
    ...rmsNormBackward(e, { label: name('mlp norm'), rows: TOKENS, cols: C, x: a.mid, gain: w.mlpNorm, dOut: s.dNormed, dx: s.dStream, eps, accumulate: true }),
    ...attentionNormOps,
    ...back('o_proj', a.attnOut, dAttention, belowAttention ? s.dAttnOut : null, false),
  );
  if (!belowAttention) return ops;
  ops.push(
    ...attentionBackward(e, {
      label: name('attention'), ...scores(ctx, l), q: a.qRotated, k: a.kRotated, v: a.v, out: a.attnOut, lse: a.lse, dOut: s.dAttnOut,
      lseDelta: s.lseDelta, dq: s.dq, dk: s.dk, dv: s.dv,
    }),
    ...rotaryOps(ctx, l, name, s.dq, s.dk, true),
  );
  if (w.qNorm && w.kNorm) {
    ops.push(
      ...rmsNormBackward(e, { label: name('q norm'), rows: { kind: 'tokens', perToken: heads }, cols: headDim, x: a.q, gain: w.qNorm, dOut: s.dq, dx: s.dqRaw, eps }),
      ...rmsNormBackward(e, { label: name('k norm'), rows: { kind: 'tokens', perToken: kvHeads }, cols: headDim, x: a.k, gain: w.kNorm, dOut: s.dk, dx: s.dkRaw, eps }),
    );
  }
  const dx = needInput ? s.dNormed : null;
  ops.push(
    ...back('q_proj', a.inputNormed, s.dqRaw, dx, false),
    ...back('k_proj', a.inputNormed, s.dkRaw, dx, true),
    ...back('v_proj', a.inputNormed, s.dv, dx, true),
  );
  if (needInput) {
    ops.push(...rmsNormBackward(e, { label: name('input norm'), rows: TOKENS, cols: C, x: a.x, gain: w.inputNorm, dOut: s.dNormed, dx: s.dStream, eps, accumulate: true }));
  }
  return ops;
}

/** dB += s dyᵀ (x Aᵀ), dA += (s dy B)ᵀ dropout(x), dx += dropout(s dy B A). */
function loraBackward(ctx: DecoderContext, lora: LoraUse, l: number, module: TargetModule, x: Tensor, dy: Tensor, dx: Tensor | null, a: LayerActivations, s: BackwardScratch): Op[] {
  const entry = lora.adapter.at(l, module);
  if (!entry) return [];
  const { engine: e } = ctx;
  const { r, scaling: alpha } = entry;
  const label = `${modulePath(l, module)} lora`;
  const [input, drop] = droppedInput(e, lora, entry, x, label);
  const ops = [
    ...matmulTN(e, { label: `${label} dB`, rows: TOKENS, p: dy, pCols: entry.outFeatures, q: a.xa[module]!, qCols: r, out: entry.dB, alpha }),
    ...matmulNN(e, { label: `${label} dxa`, rows: TOKENS, dy, w: entry.b, dx: s.dxa, alpha }),
    ...drop,
    ...matmulTN(e, { label: `${label} dA`, rows: TOKENS, p: s.dxa, pCols: r, q: input, qCols: entry.inFeatures, out: entry.dA }),
  ];
  if (!dx) return ops;
  if (lora.dropout === 0) return [...ops, ...matmulNN(e, { label: `${label} dX`, rows: TOKENS, dy: s.dxa, w: entry.a, dx, accumulate: true })];
  return [
    ...ops,
    ...matmulNN(e, { label: `${label} dX`, rows: TOKENS, dy: s.dxa, w: entry.a, dx: s.dDropped! }),
    ...dropout(e, { label: `${label} dX dropout`, cols: entry.inFeatures, x: s.dDropped!, out: dx, p: lora.dropout, stream: entry.stream, accumulate: true }),
  ];
}
