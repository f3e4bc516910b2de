/**
 * Owns the LoRA parameters of a model: one flat buffer each for parameters, gradients and Adam's two moments, with every
 * A [r, in] and B [out, r] a view into it, so that the optimizer is a dispatch or two. Those of projections that read the same input lie one below the
 * other where all are adapted alike, to be one product (joined.ts). Refuses to know files.
 *
 * y = x Wᵀ + scaling · (dropout(x) Aᵀ) Bᵀ, scaling = alpha / r, or alpha / sqrt(r) with rsLoRA (PEFT tuners/lora/layer.py).
 */
import { EtudeError } from '../config/errors.ts';
import { loraScaling, TARGET_MODULES, type LoraConfig, type TargetModule } from '../config/recipe.ts';
import type { Engine } from '../engine/device.ts';
import { createTensor, destroyTensor, readTensor, viewTensor, writeTensor, type Tensor, type Weight } from '../engine/tensor.ts';
import type { ModelConfig } from './config.ts';
import { GROUP_NAMES, GROUPS, type GroupName, type LoraGroup } from './joined.ts';

/** [out, in] of a projection. */
export function projectionShape(config: ModelConfig, module: TargetModule): [out: number, inFeatures: number] {
  const { hiddenSize: C, intermediateSize: F, numAttentionHeads: H, numKeyValueHeads: Hkv, headDim: D } = config;
  switch (module) {
    case 'q_proj': return [H * D, C];
    case 'k_proj':
    case 'v_proj': return [Hkv * D, C];
    case 'o_proj': return [C, H * D];
    case 'gate_proj':
    case 'up_proj': return [F, C];
    case 'down_proj': return [C, F];
  }
}

const isMlp = (module: TargetModule): boolean => module === 'gate_proj' || module === 'up_proj' || module === 'down_proj';

/** Path of a projection inside the model, e.g. `model.layers.0.self_attn.q_proj`. */
export const modulePath = (layer: number, module: TargetModule): string =>
  `model.layers.${layer}.${isMlp(module) ? 'mlp' : 'self_attn'}.${module}`;

/** PEFT's key of a LoRA tensor. */
export const loraKey = (layer: number, module: TargetModule, matrix: 'A' | 'B'): string =>
  `base_model.model.${modulePath(layer, module)}.lora_${matrix}.weight`;

export interface LoraEntry {
  layer: number;
  module: TargetModule;
  /** Distinguishes this module's dropout mask from every other's. */
  stream: number;
  a: Weight;
  b: Weight;
  dA: Tensor;
  dB: Tensor;
  /** Elements from the start of the flat buffers. */
  aStart: number;
  bStart: number;
  inFeatures: number;
  outFeatures: number;
  /** Rank and strength of this module: the adapter's own, unless its target gives others. */
  r: number;
  loraAlpha: number;
  scaling: number;
}

/** Where an adapter sits: layer and projection, with a rank or strength of its own where PEFT's patterns give one. */
export type LoraTarget = { layer: number; module: TargetModule; r?: number; loraAlpha?: number };

/** The targets of an adapter's entries; what differs from `config` stays written out. */
export const targetsOf = (adapter: Pick<LoraAdapter, 'entries' | 'config'>): LoraTarget[] =>
  adapter.entries.map(({ layer, module, r, loraAlpha }) => ({
    layer, module, ...(r === adapter.config.r ? {} : { r }), ...(loraAlpha === adapter.config.loraAlpha ? {} : { loraAlpha }),
  }));

export const allTargets = (config: ModelConfig, modules: readonly TargetModule[]): LoraTarget[] =>
  Array.from({ length: config.numHiddenLayers }, (_, layer) =>
    TARGET_MODULES.filter((m) => modules.includes(m)).map((module) => ({ layer, module })),
  ).flat();

export type LoraTensors = Map<string, { shape: [number, number]; data: Float32Array }>;

const ALIGN = 64; // elements; a binding's offset is a multiple of 256 bytes

const aligned = (n: number): number => Math.ceil(n / ALIGN) * ALIGN;

/** Elements of each flat buffer of an adapter. */
export const adapterElements = (model: ModelConfig, r: number, targets: readonly LoraTarget[]): number =>
  targets.reduce((sum, t) => sum + projectionShape(model, t.module).reduce((n, side) => n + aligned((t.r ?? r) * side), 0), 0);

interface Place extends Pick<LoraEntry, 'layer' | 'module' | 'outFeatures' | 'inFeatures' | 'r' | 'loraAlpha' | 'scaling'> {
  /** Elements from the start of the flat arrays of a checkpoint: target by target, A before B. */
  aStored: number;
  bStored: number;
}

/** The places of a whole group that is adapted alike, without gaps between them; null where there is no such group. */
function groupOf(places: readonly Place[], layer: number, name: GroupName): Place[] | null {
  const found = GROUPS[name].map((module) => places.find((p) => p.layer === layer && p.module === module));
  const whole = found.filter((p) => p !== undefined);
  const [first] = whole;
  if (!first || whole.length < found.length) return null;
  const alike = whole.every((p) => p.r === first.r && p.scaling === first.scaling && (p.r * p.inFeatures) % ALIGN === 0 && (p.r * p.outFeatures) % ALIGN === 0);
  return alike ? whole : null;
}

/** Where each A and B lies in the flat buffers: a group's A one below the other, then its B; everything else as it is stored. */
function flatOrder(places: readonly Place[], groups: readonly (readonly Place[])[]): Map<Place, { aStart: number; bStart: number }> {
  const starts = new Map<Place, { aStart: number; bStart: number }>();
  let cursor = 0;
  for (const place of places) {
    if (starts.has(place)) continue;
    const together = groups.find((g) => g.includes(place)) ?? [place];
    for (const p of together) {
      starts.set(p, { aStart: cursor, bStart: 0 });
      cursor += aligned(p.r * p.inFeatures);
    }
    for (const p of together) {
      starts.get(p)!.bStart = cursor;
      cursor += aligned(p.r * p.outFeatures);
    }
  }
  return starts;
}

export class LoraAdapter {
  readonly config: LoraConfig;
  /** Largest rank of any module. */
  readonly maxRank: number;
  readonly entries: readonly LoraEntry[];
  /** Elements of each flat buffer, alignment gaps included (gaps stay zero). */
  readonly elements: number;
  readonly params: Tensor;
  /** Trainable parameters, gaps not counted. */
  readonly parameterCount: number;
  /** Layers of the base model, adapted or not. */
  readonly modelLayers: number;
  readonly #engine: Engine;
  readonly #byTarget = new Map<string, LoraEntry>();
  readonly #groups = new Map<string, LoraGroup>();
  readonly #places: readonly (Place & { aStart: number; bStart: number })[];
  #training: { grads: Tensor; m: Tensor; v: Tensor } | null = null;

  constructor(engine: Engine, model: ModelConfig, config: LoraConfig, targets: readonly LoraTarget[]) {
    this.#engine = engine;
    this.config = config;
    this.modelLayers = model.numHiddenLayers;
    let cursor = 0;
    const stored = targets.map(({ layer, module, r = config.r, loraAlpha = config.loraAlpha }): Place => {
      const [outFeatures, inFeatures] = projectionShape(model, module);
      const aStored = cursor;
      const bStored = aStored + aligned(r * inFeatures);
      cursor = bStored + aligned(outFeatures * r);
      const scaling = loraScaling({ r, loraAlpha, useRslora: config.useRslora });
      return { layer, module, outFeatures, inFeatures, aStored, bStored, r, loraAlpha, scaling };
    });
    const groups = [...new Set(targets.map((t) => t.layer))].flatMap((layer) => GROUP_NAMES.flatMap((name) => {
      const members = groupOf(stored, layer, name);
      return members ? [{ layer, name, members }] : [];
    }));
    const starts = flatOrder(stored, groups.map((g) => g.members));
    const places = stored.map((p) => ({ ...p, ...starts.get(p)! }));
    this.#places = places;
    this.maxRank = places.reduce((max, p) => Math.max(max, p.r), 1);
    this.elements = cursor;
    this.params = createTensor(engine, 'lora params', cursor);
    this.parameterCount = places.reduce((n, p) => n + p.r * (p.inFeatures + p.outFeatures), 0);
    const weight = (label: string, start: number, rows: number, cols: number): Weight => ({
      label, dtype: 'f32', rows, cols,
      parts: [{ rowStart: 0, rows, tensor: viewTensor(this.params, label, start, rows * cols) }],
    });
    this.entries = places.map(({ aStored: _a, bStored: _b, ...p }) => {
      const path = modulePath(p.layer, p.module);
      const entry: LoraEntry = {
        ...p,
        stream: p.layer * TARGET_MODULES.length + TARGET_MODULES.indexOf(p.module),
        a: weight(`${path}.lora_A`, p.aStart, p.r, p.inFeatures),
        b: weight(`${path}.lora_B`, p.bStart, p.outFeatures, p.r),
        // Gradients exist once training() was called; until then nothing reads them.
        dA: this.params,
        dB: this.params,
      };
      this.#byTarget.set(`${p.layer}.${p.module}`, entry);
      return entry;
    });
    for (const { layer, name, members } of groups) {
      const [{ r, scaling, inFeatures }] = members as [Place];
      const { aStart, bStart } = starts.get(members[0]!)!;
      const label = `layer ${layer} ${GROUPS[name].join(' ')}`;
      this.#groups.set(`${layer}.${name}`, {
        a: weight(`${label} lora_A`, aStart, r * members.length, inFeatures),
        b: weight(`${label} lora_B`, bStart, members.reduce((n, p) => n + p.outFeatures, 0), r),
        dA: this.params, dB: this.params, r, scaling, entries: members.map((p) => this.at(layer, p.module)!),
      });
    }
  }

  /** The A of a whole group as one matrix, and its B; undefined where it is not adapted alike. */
  group(layer: number, name: GroupName): LoraGroup | undefined {
    return this.#groups.get(`${layer}.${name}`);
  }

  at(layer: number, module: TargetModule): LoraEntry | undefined {
    return this.#byTarget.get(`${layer}.${module}`);
  }

  /** Gradient and moment buffers, made on first use and zero at first. */
  training(): { grads: Tensor; m: Tensor; v: Tensor } {
    if (!this.#training) {
      const make = (label: string): Tensor => createTensor(this.#engine, `lora ${label}`, this.elements);
      this.#training = { grads: make('gradients'), m: make('first moments'), v: make('second moments') };
      const { grads } = this.#training;
      for (const e of this.entries) {
        e.dA = viewTensor(grads, `d ${e.a.label}`, e.aStart, e.a.rows * e.a.cols);
        e.dB = viewTensor(grads, `d ${e.b.label}`, e.bStart, e.b.rows * e.b.cols);
      }
      const sameIn = (of: Weight): Tensor => {
        const { tensor } = of.parts[0]!;
        return { ...tensor, label: `d ${of.label}`, buffer: grads.buffer };
      };
      for (const g of this.#groups.values()) Object.assign(g, { dA: sameIn(g.a), dB: sameIn(g.b) });
    }
    return this.#training;
  }

  /** PEFT's initialisation: A ~ U(±1/sqrt(in)) (kaiming_uniform with a = sqrt 5), B = 0. */
  initialise(seed: number): void {
    const flat = new Float32Array(this.elements);
    const random = uniformStream(seed);
    for (const e of this.entries) {
      const bound = 1 / Math.sqrt(e.inFeatures);
      for (let i = 0; i < e.a.rows * e.a.cols; i++) flat[e.aStart + i] = (2 * random() - 1) * bound;
    }
    writeTensor(this.#engine, this.params, flat);
  }

  /** Writes tensors under PEFT's keys; every key of this adapter must be there with its shape. */
  load(tensors: LoraTensors): void {
    const flat = new Float32Array(this.elements);
    for (const [key, start, rows, cols] of this.#layout()) {
      const t = tensors.get(key);
      if (!t || t.shape[0] !== rows || t.shape[1] !== cols) {
        throw new EtudeError({
          code: 'adapter.shape',
          what: `The adapter's tensor ${key} ${t ? `has shape [${t.shape.join(', ')}]` : 'is missing'}.`,
          expected: `A tensor of shape [${rows}, ${cols}].`,
          likelyCause: 'The adapter was trained on another base model.',
          nextStep: 'Load the base model that adapter_config.json names, then import again.',
        });
      }
      flat.set(t.data, start);
    }
    writeTensor(this.#engine, this.params, flat);
  }

  /** Reads the parameters (or the gradients) back under PEFT's keys. */
  async read(what: 'params' | 'grads' = 'params'): Promise<LoraTensors> {
    const flat = await readTensor(this.#engine, what === 'params' ? this.params : this.training().grads);
    return new Map(
      this.#layout().map(([key, start, rows, cols]) => [key, { shape: [rows, cols], data: flat.slice(start, start + rows * cols) }]),
    );
  }

  /** Everything a checkpoint needs, as flat arrays: target by target, A before B, each from a multiple of 64 elements. */
  async snapshot(): Promise<{ params: Float32Array; m: Float32Array; v: Float32Array }> {
    const { m, v } = this.training();
    const stored = async (tensor: Tensor): Promise<Float32Array> => this.#reordered(await readTensor(this.#engine, tensor), 'stored');
    return { params: await stored(this.params), m: await stored(m), v: await stored(v) };
  }

  restore(state: { params: Float32Array; m?: Float32Array; v?: Float32Array }): void {
    const write = (tensor: Tensor, flat: Float32Array): void => writeTensor(this.#engine, tensor, this.#reordered(flat, 'placed'));
    write(this.params, state.params);
    const { m, v } = state;
    if (m) write(this.training().m, m);
    if (v) write(this.training().v, v);
  }

  /** A flat array in the order of checkpoints, or in that of the buffers. */
  #reordered(flat: Float32Array, into: 'stored' | 'placed'): Float32Array {
    if (this.#groups.size === 0) return flat;
    const out = new Float32Array(flat.length);
    for (const p of this.#places) {
      for (const [stored, placed, n] of [[p.aStored, p.aStart, p.r * p.inFeatures], [p.bStored, p.bStart, p.outFeatures * p.r]] as const) {
        const [from, to] = into === 'stored' ? [placed, stored] : [stored, placed];
        out.set(flat.subarray(from, from + n), to);
      }
    }
    return out;
  }

  destroy(): void {
    destroyTensor(this.#engine, this.params);
    if (this.#training) for (const t of Object.values(this.#training)) destroyTensor(this.#engine, t);
  }

  #layout(): [key: string, start: number, rows: number, cols: number][] {
    return this.entries.flatMap((e): [string, number, number, number][] => [
      [loraKey(e.layer, e.module, 'A'), e.aStart, e.a.rows, e.a.cols],
      [loraKey(e.layer, e.module, 'B'), e.bStart, e.b.rows, e.b.cols],
    ]);
  }
}

/** Uniform numbers in [0, 1) with 24 bits, from a seeded counter (splitmix-style 32-bit mixing of Steele et al.). */
export function uniformStream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    z = (z ^ (z >>> 15)) >>> 0;
    return (z >>> 8) / 0x1000000;
  };
}
