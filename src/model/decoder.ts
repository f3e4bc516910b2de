/**
 * Owns the forward and backward pass of the decoder that a ModelConfig describes, as lists of dispatches over a set of buffers.
 * Refuses to know batches, optimizers and files.
 *
 * Shapes: M tokens of the batch end to end, C hidden, H / Hkv query / key-value heads of D, F intermediate, r LoRA rank.
 * Residual stream: x(l) -> mid(l) = x + attention(norm(x)) -> x(l+1) = mid + mlp(norm(mid)); with sandwich norms what is added is
 * norm(attention(norm(x))) and norm(mlp(norm(mid))).
 */
import type { RecomputePolicy, TargetModule } from '../config/recipe.ts';
import { attention, attentionBackward, attentionBegins, type AttentionArgs } from '../engine/kernels/attention.ts';
import { dropout } from '../engine/kernels/dropout.ts';
import { embedding } from '../engine/kernels/embedding.ts';
import { gated, gatedBackward, gatedLowRank, gatedParts } from '../engine/kernels/gated.ts';
import { matmulNN, matmulNT, matmulTN, type Begun, type InParts } from '../engine/kernels/matmul.ts';
import { rmsNorm, rmsNormBackward } from '../engine/kernels/rmsNorm.ts';
import { rope, ropeAppend } from '../engine/kernels/rope.ts';
import { kvAppend } from '../engine/kernels/rows.ts';
import type { Engine } from '../engine/device.ts';
import { TOKENS, type Op } from '../engine/kernel.ts';
import type { JoinedTensor } from '../engine/segments.ts';
import type { Tensor } from '../engine/tensor.ts';
import { widths, type BackwardScratch, type LayerActivations } from './activations.ts';
import type { BatchInputs } from './batchInputs.ts';
import { layerAt, type ModelConfig } from './config.ts';
import { GROUPS, isForFew, joinedBackward, joinedForward, joinedNormed, type Dropped, type GroupName, type JoinedProjection } from './joined.ts';
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

export interface DecoderContext {
  engine: Engine;
  config: ModelConfig;
  weights: ModelWeights;
  rope: RopeTables;
  inputs: BatchInputs;
  /** Whether projections that read the same input are one product where they can be; default true. */
  join?: boolean;
}

export interface LoraUse {
  adapter: LoraAdapter;
  /** 0 outside training. */
  dropout: number;
  /** Scratch [M, max(C, F, H·D)], needed when dropout > 0. */
  dropped: Tensor | null;
  /** Scratch for x Aᵀ in parts (`lowRankParts`): with it, kernels for a few tokens that make x begin the next branch. */
  parts?: Omit<InParts, 'count'> | null;
}

/** The most parts that x Aᵀ of a projection has where it is begun by what makes x. */
export const lowRankParts = (config: ModelConfig): number => Math.max(config.numAttentionHeads, gatedParts(config.intermediateSize));

/** Key/value cache of one layer, [context, Hkv·D] each. */
export interface LayerCache {
  k: Tensor;
  v: Tensor;
}

/** embedding, then every layer. `caches` switches to generation: keys and values of earlier tokens come from there. */
export function forwardOps(ctx: DecoderContext, acts: { layers: LayerActivations[]; last: Tensor }, lora: LoraUse | null, caches: LayerCache[] | null = null): Op[] {
  const { engine: e, inputs } = ctx;
  const ops: Op[] = embedding(e, { label: 'embedding', ids: inputs.ids, w: ctx.weights.embedding, out: acts.layers[0]?.x ?? acts.last, scale: ctx.config.embeddingScale });
  acts.layers.forEach((a, l) => ops.push(...layerForward(ctx, l, a, acts.layers[l + 1]?.x ?? acts.last, lora, caches?.[l] ?? null)));
  return ops;
}

/** `next` null: the layer is computed again for its backward pass, which needs nothing of what it hands on. */
function layerForward(ctx: DecoderContext, l: number, a: LayerActivations, next: Tensor | null, lora: LoraUse | null, cache: LayerCache | null): Op[] {
  const { engine: e, config, weights } = ctx;
  const { C, F } = widths(config);
  const { rmsNormEps: eps } = config;
  const w = weights.layers[l]!;
  const name = (part: string): string => `layer ${l} ${part}`;
  /** y = x Wᵀ + scaling · (dropout(x) Aᵀ) Bᵀ, keeping x Aᵀ unless it was begun, in so many parts. */
  const project = (module: TargetModule, x: Tensor, y: Tensor, add?: Tensor, begun = 0): Op[] => {
    const entry = lora?.adapter.at(l, module);
    const branch = entry && { left: a.xa[module]!, right: entry.b, scale: entry.scaling, parts: begun > 0 ? { ...lora!.parts!, count: begun } : undefined };
    return [
      ...(begun > 0 ? [] : loraA(ctx, lora, l, module, x, a)),
      ...matmulNT(e, { label: modulePath(l, module), rows: TOKENS, x, w: w.projections[module].weight, y, add, bias: w.projections[module].bias ?? undefined, branch }),
    ];
  };
  /** stream + projection, or stream + norm(projection) where there is an outer norm. */
  const intoStream = (module: TargetModule, x: Tensor, branch: Tensor | null, gain: Tensor | null, stream: Tensor, out: Tensor | null, begun: number): Op[] => {
    if (!branch || !gain) return out ? project(module, x, out, stream, begun) : loraA(ctx, lora, l, module, x, a);
    const ops = project(module, x, branch, undefined, begun);
    if (out) ops.push(...rmsNorm(e, { label: name(`${module} norm`), rows: TOKENS, cols: C, x: branch, gain, out, eps, add: stream }));
    return ops;
  };
  /** Projections of one normed input: one product where they can be. `branch` left: without LoRA's branch, but with x Aᵀ. */
  const projectNormed = (group: GroupName, outputs: readonly Tensor[], branch: 'added' | 'left' = 'added'): Op[] => {
    const [normed, x, gain, places] = group === 'qkv' ? ['inputNormed' as const, a.x, w.inputNorm, a.qkv] : ['midNormed' as const, a.mid, w.mlpNorm, a.gateUp];
    const xa = a.xaJoined[group] ?? null;
    const joined = joinedProjection(ctx, lora, l, group, a, places);
    if (joined && cache) return joinedNormed(e, joined, x, { gain, eps, out: a[normed] }, places!, xa, branch);
    const norm = cheapOps(ctx, l, a, normed);
    if (joined) return [...norm, ...joinedForward(e, joined, a[normed], places!, xa, droppedOf(ctx, lora, a[normed], null, null))];
    return [...norm, ...GROUPS[group].flatMap((module, i) => project(module, a[normed], outputs[i]!))];
  };
  const ops = projectNormed('qkv', [a.q, a.k, a.v]);
  ops.push(...(cache ? cachedKeys(ctx, l, a, cache, name) : cheapOps(ctx, l, a, 'rotated')));
  const attend = { label: name('attention'), ...scores(ctx, l), q: a.qRotated, k: cache?.k ?? a.kRotated, v: cache?.v ?? a.v, out: a.attnOut, lse: a.lse };
  const begin = beginOf(ctx, lora, l, attend);
  const gate = gateWithLora(ctx, lora, l, a);
  ops.push(
    ...attention(e, { ...attend, begin }),
    ...intoStream('o_proj', a.attnOut, a.attnBranch, w.attentionOutNorm, a.x, a.mid, begin ? config.numAttentionHeads : 0),
    ...projectNormed('gateUp', [a.gate, a.up], gate ? 'left' : 'added'),
    ...(gate ?? cheapOps(ctx, l, a, 'activated')),
    ...intoStream('down_proj', a.activated, a.mlpBranch, w.mlpOutNorm, a.mid, next, gate ? gatedParts(F) : 0),
  );
  return ops;
}

/** For a few tokens: o_proj's A, where the attention begins its branch. */
function beginOf({ engine: e }: DecoderContext, lora: LoraUse | null, l: number, attend: AttentionArgs): Begun | undefined {
  const entry = lora?.adapter.at(l, 'o_proj');
  return lora?.parts && entry && attentionBegins(e, attend) ? { a: entry.a, parts: lora.parts } : undefined;
}

/** For a few tokens with the whole MLP adapted: the gate that adds the branches of gate and up, and begins that of down. */
function gateWithLora(ctx: DecoderContext, lora: LoraUse | null, l: number, a: LayerActivations): Op[] | null {
  const { engine: e, config } = ctx;
  const joined = lora?.parts && joinedProjection(ctx, lora, l, 'gateUp', a, a.gateUp);
  const down = lora?.adapter.at(l, 'down_proj');
  if (!joined || !joined.lora || !down || !isForFew(e, joined, a.mid, a.gateUp!)) return null;
  return gatedLowRank(e, {
    label: `layer ${l} gate`, activation: config.activation, cols: config.intermediateSize, gate: a.gate, up: a.up, out: a.activated,
    branch: { left: a.xaJoined.gateUp!, right: joined.lora.b, scale: joined.lora.scaling }, begin: { a: down.a, parts: lora.parts! },
  });
}

/** The parts of a layer that cost next to nothing: norms, head norms with rotary, the gate. */
function cheapOps(ctx: DecoderContext, l: number, a: LayerActivations, part: 'inputNormed' | 'rotated' | 'midNormed' | 'activated'): Op[] {
  const { engine: e, config } = ctx;
  const { C, F } = widths(config);
  const { rmsNormEps: eps } = config;
  const w = ctx.weights.layers[l]!;
  const name = (of: string): string => `layer ${l} ${of}`;
  switch (part) {
    case 'inputNormed': return rmsNorm(e, { label: name('input norm'), rows: TOKENS, cols: C, x: a.x, gain: w.inputNorm, out: a.inputNormed, eps });
    case 'midNormed': return rmsNorm(e, { label: name('mlp norm'), rows: TOKENS, cols: C, x: a.mid, gain: w.mlpNorm, out: a.midNormed, eps });
    case 'activated': return gated(e, { label: name('gate'), activation: config.activation, cols: F, gate: a.gate, up: a.up, out: a.activated });
    case 'rotated': return [...headNormOps(ctx, l, a, name), ...rotaryOps(ctx, l, name, a.qRotated, a.kRotated, false)];
  }
}

/** qRotated and kRotated, but for the turn: nothing without head norms. */
function headNormOps({ engine: e, config, weights }: DecoderContext, l: number, a: LayerActivations, name: (part: string) => string): Op[] {
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim: cols, rmsNormEps: eps } = config;
  const { qNorm, kNorm } = weights.layers[l]!;
  return [
    ...(qNorm ? rmsNorm(e, { label: name('q norm'), rows: { kind: 'tokens', perToken: heads }, cols, x: a.q, gain: qNorm, out: a.qRotated, eps }) : []),
    ...(kNorm ? rmsNorm(e, { label: name('k norm'), rows: { kind: 'tokens', perToken: kvHeads }, cols, x: a.k, gain: kNorm, out: a.kRotated, eps }) : []),
  ];
}

/** Queries turned in place; keys, turned, and values in the cache behind those of earlier tokens. */
function cachedKeys(ctx: DecoderContext, l: number, a: LayerActivations, cache: LayerCache, name: (part: string) => string): Op[] {
  const { engine: e, config, inputs } = ctx;
  const { KV } = widths(config);
  const norms = headNormOps(ctx, l, a, name);
  const which = layerAt(config, l).rope;
  const table = which && ctx.rope[which];
  if (table) {
    const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
    return [...norms, ...ropeAppend(e, {
      label: name('keys'), heads, kvHeads, headDim, positions: inputs.positions, ...table, q: a.qRotated, k: a.kRotated, v: a.v, kCache: cache.k, vCache: cache.v,
    })];
  }
  return [
    ...norms,
    ...kvAppend(e, { label: name('k cache'), cols: KV, src: a.kRotated, cache: cache.k }),
    ...kvAppend(e, { label: name('v cache'), cols: KV, src: a.v, cache: cache.v }),
  ];
}

/** The projections of a group as one product: where their weights and what they give lie together and, if one is adapted, all are alike. */
function joinedProjection(ctx: DecoderContext, lora: LoraUse | null, l: number, group: GroupName, a: LayerActivations, places: JoinedTensor | null): JoinedProjection | null {
  const projection = ctx.weights.layers[l]![group];
  if (!projection || !places || ctx.join === false) return null;
  const label = `layer ${l} ${GROUPS[group].join(' ')}`;
  if (!lora || !GROUPS[group].some((module) => lora.adapter.at(l, module))) return { label, ...projection, lora: null };
  const adapted = a.xaJoined[group] && lora.adapter.group(l, group);
  return adapted ? { label, ...projection, lora: adapted } : null;
}

/** Dropout between x and a joined group's A, and back into dx; null without. */
function droppedOf(ctx: DecoderContext, lora: LoraUse | null, x: Tensor, dx: Tensor | null, s: BackwardScratch | null): Dropped | null {
  if (!lora || lora.dropout === 0) return null;
  const labelOf = (entry: LoraEntry): string => `${modulePath(entry.layer, entry.module)} lora`;
  return {
    input: (entry) => droppedInput(ctx.engine, lora, entry, x, labelOf(entry)),
    branch: s?.dDropped ?? null,
    back: (entry) => dropBack(ctx.engine, lora, entry, `${labelOf(entry)} dX`, dx!, s!),
  };
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
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  return rope(e, { label: name('rotary'), heads, kvHeads, headDim, q, k, positions: inputs.positions, ...table, inverse });
}

/** dropout(x) Aᵀ. */
function loraA(ctx: DecoderContext, lora: LoraUse | null, l: number, module: TargetModule, x: Tensor, a: LayerActivations): Op[] {
  const entry = lora?.adapter.at(l, module);
  if (!lora || !entry) return [];
  const label = `${modulePath(l, module)} lora`;
  const [input, drop] = droppedInput(ctx.engine, lora, entry, x, label);
  return [...drop, ...matmulNT(ctx.engine, { label: `${label} A`, rows: TOKENS, x: input, w: entry.a, y: a.xa[module]! })];
}

function droppedInput(e: Engine, lora: LoraUse, entry: LoraEntry, x: Tensor, label: string): [Tensor, Op[]] {
  if (lora.dropout === 0) return [x, []];
  const out = lora.dropped!;
  return [out, dropout(e, { label: `${label} dropout`, cols: entry.inFeatures, x, out, p: lora.dropout, stream: entry.stream })];
}

/** From d x(last) in scratch.dStream to the LoRA gradients, which accumulate. `kept` as the activations were taken. */
export function backwardOps(ctx: DecoderContext, layers: LayerActivations[], lora: LoraUse, scratch: BackwardScratch, kept: RecomputePolicy = 'none'): Op[] {
  const lowest = Math.min(...lora.adapter.entries.map((e) => e.layer));
  const ops: Op[] = [];
  for (let l = layers.length - 1; l >= lowest; l--) {
    // What the last layer left is still there.
    if (kept === 'layers' && l < layers.length - 1) ops.push(...again(layerForward(ctx, l, layers[l]!, null, lora, null)));
    ops.push(...layerBackward(ctx, l, layers[l]!, lora, scratch, kept, l > lowest));
  }
  return ops;
}

const again = (ops: Op[]): Op[] => ops.map((op) => ({ ...op, label: `${op.label} again` }));

function layerBackward(ctx: DecoderContext, l: number, a: LayerActivations, lora: LoraUse, s: BackwardScratch, kept: RecomputePolicy, needInput: boolean): Op[] {
  const { engine: e, config, weights } = ctx;
  const { C, F } = widths(config);
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim, rmsNormEps: eps } = config;
  const w = weights.layers[l]!;
  const name = (part: string): string => `layer ${l} ${part} backward`;
  const adapted = (...modules: TargetModule[]): boolean => modules.some((m) => lora.adapter.at(l, m));
  /** LoRA gradients of a projection, and d x (+)= d y W + the LoRA branch's share unless d x is not wanted. */
  const back = (module: TargetModule, x: Tensor, dy: Tensor, dx: Tensor | null, accumulate: boolean): Op[] => {
    const entry = lora.adapter.at(l, module);
    // Dropout stands between the branch and dx: then it is added apart.
    const branch = entry && lora.dropout === 0 ? { left: s.dxa, right: entry.a } : undefined;
    return [
      ...loraGradients(ctx, lora, l, module, x, dy, a, s),
      ...(dx ? matmulNN(e, { label: `${modulePath(l, module)} dX`, rows: TOKENS, dy, w: w.projections[module].weight, dx, accumulate, branch }) : []),
      ...(dx && entry && lora.dropout > 0 ? droppedBranch(e, lora, entry, `${modulePath(l, module)} lora dX`, dx, s) : []),
    ];
  };
  /** The same of a group that reads x. */
  const backGroup = (group: GroupName, x: Tensor, places: JoinedTensor | null, gradients: readonly Tensor[], dx: Tensor | null): Op[] => {
    const joined = joinedProjection(ctx, lora, l, group, a, places);
    if (joined) return joinedBackward(e, joined, x, places!, a.xaJoined[group] ?? null, dx, s, droppedOf(ctx, lora, x, dx, s));
    return GROUPS[group].flatMap((module, i) => back(module, x, gradients[i]!, dx, i > 0));
  };
  /** What the backward pass needs again: the input of an adapted projection, rotated queries and keys. */
  const restored = (part: Parameters<typeof cheapOps>[3], needed: boolean): Op[] => (kept === 'cheap' && needed ? again(cheapOps(ctx, l, a, part)) : []);
  const belowAttention = needInput || adapted('q_proj', 'k_proj', 'v_proj');
  const belowMlp = belowAttention || adapted('o_proj');
  const belowDown = belowMlp || adapted('gate_proj', 'up_proj');

  /** The gradient of a projection from that of the stream it joined; an outer norm's goes through dNormed, free at both places. */
  const outOfStream = (module: TargetModule, branch: Tensor | null, gain: Tensor | null): [dy: Tensor, ops: Op[]] =>
    branch && gain
      ? [s.dNormed, rmsNormBackward(e, { label: name(`${module} norm`), rows: TOKENS, cols: C, x: branch, gain, dOut: s.dStream, dx: s.dNormed, eps })]
      : [s.dStream, []];

  const [dMlp, mlpNormOps] = outOfStream('down_proj', a.mlpBranch, w.mlpOutNorm);
  const ops = [...mlpNormOps, ...restored('activated', adapted('down_proj')), ...back('down_proj', a.activated, dMlp, belowDown ? s.dAct : null, false)];
  if (!belowDown) return ops;
  ops.push(
    ...gatedBackward(e, { label: name('gate'), activation: config.activation, cols: F, gate: a.gate, up: a.up, dOut: s.dAct, dGate: s.dGate, dUp: s.dUp }),
    ...restored('midNormed', adapted('gate_proj', 'up_proj')),
    ...backGroup('gateUp', a.midNormed, s.dGateUp, [s.dGate, s.dUp], belowMlp ? s.dNormed : null),
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
    // Without head norms q and k were rotated in place.
    ...restored('rotated', w.qNorm !== null),
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
  ops.push(
    ...restored('inputNormed', adapted('q_proj', 'k_proj', 'v_proj')),
    ...backGroup('qkv', a.inputNormed, s.dQkv, [s.dqRaw, s.dkRaw, s.dv], needInput ? s.dNormed : null),
  );
  if (needInput) {
    ops.push(...rmsNormBackward(e, { label: name('input norm'), rows: TOKENS, cols: C, x: a.x, gain: w.inputNorm, dOut: s.dNormed, dx: s.dStream, eps, accumulate: true }));
  }
  return ops;
}

/** dB += s dyᵀ (x Aᵀ), dxa = s dy B, dA += dxaᵀ dropout(x). */
function loraGradients(ctx: DecoderContext, lora: LoraUse, l: number, module: TargetModule, x: Tensor, dy: Tensor, a: LayerActivations, s: BackwardScratch): Op[] {
  const entry = lora.adapter.at(l, module);
  if (!entry) return [];
  const { engine: e } = ctx;
  const { r, scaling: alpha } = entry;
  const label = `${modulePath(l, module)} lora`;
  const [input, drop] = droppedInput(e, lora, entry, x, label);
  return [
    ...matmulTN(e, { label: `${label} dB`, rows: TOKENS, p: dy, pCols: entry.outFeatures, q: a.xa[module]!, qCols: r, out: entry.dB, alpha, parts: s.parts }),
    ...matmulNN(e, { label: `${label} dxa`, rows: TOKENS, dy, w: entry.b, dx: s.dxa, alpha }),
    ...drop,
    ...matmulTN(e, { label: `${label} dA`, rows: TOKENS, p: s.dxa, pCols: r, q: input, qCols: entry.inFeatures, out: entry.dA, parts: s.parts }),
  ];
}

/** dx += dropout(dxa A). */
function droppedBranch(e: Engine, lora: LoraUse, entry: LoraEntry, label: string, dx: Tensor, s: BackwardScratch): Op[] {
  return [
    ...matmulNN(e, { label, rows: TOKENS, dy: s.dxa, w: entry.a, dx: s.dDropped! }),
    ...dropBack(e, lora, entry, label, dx, s),
  ];
}

const dropBack = (e: Engine, lora: LoraUse, entry: LoraEntry, label: string, dx: Tensor, s: BackwardScratch): Op[] =>
  dropout(e, { label: `${label} dropout`, cols: entry.inFeatures, x: s.dDropped!, out: dx, p: lora.dropout, stream: entry.stream, accumulate: true });
