/**
 * Owns the frozen weights on the GPU: streams them from their source tensor by tensor, so that a checkpoint is never
 * whole in JS memory. Matrices stay as they are stored or are quantised chunk by chunk; norms and biases, a few kilobytes, are widened to f32.
 */
import { EtudeError } from '../config/errors.ts';
import { notFiniteWeights, outOfMemory } from '../config/messages.ts';
import { QUANTIZATIONS, type Quantization, type TargetModule } from '../config/recipe.ts';
import type { Engine } from '../engine/device.ts';
import {
  createTensor, createWeight, joinedWeight, storedBytes, viewTensor, writeTensor, writeWeightBytes, type FloatStorage, type StorageType, type Tensor, type Weight,
} from '../engine/tensor.ts';
import { firstNonFinite, isFloatDtype, type FloatDtype } from '../formats/halfFloats.ts';
import { readF32, streamTensor, type TensorEntry } from '../formats/safetensors.ts';
import type { ModelConfig } from './config.ts';
import { checkTensors, countParameters, expectedTensors, streamNorms } from './expectedTensors.ts';
import { plannedWeightBytes, storageOf, STORAGE_TYPE, storedForm } from './storage.ts';

export interface LayerWeights {
  /** Norms hold normOffset + weight. */
  inputNorm: Tensor;
  /** Over what attention gives, with sandwich norms. */
  attentionOutNorm: Tensor | null;
  mlpNorm: Tensor;
  mlpOutNorm: Tensor | null;
  /** Per-head norms. */
  qNorm: Tensor | null;
  kNorm: Tensor | null;
  projections: Record<TargetModule, Projection>;
  /** Projections of the same input one below the other, whose parts are those of `projections`; null where they lie apart. */
  qkv: Projection | null;
  gateUp: Projection | null;
}

export interface Projection {
  weight: Weight;
  bias: Tensor | null;
}

export interface ModelWeights {
  embedding: Weight;
  /** The same object as `embedding` when tied. */
  head: Weight;
  finalNorm: Tensor;
  layers: LayerWeights[];
  /** Bytes on the GPU. */
  bytes: number;
  /** What the file stores most of its matrices in. */
  dtype: FloatStorage;
  quantization: Quantization;
  parameters: number;
}

const CHUNK = 8 * 1024 * 1024;

export interface LoadOptions {
  onProgress?: (doneBytes: number, totalBytes: number) => void;
  signal?: AbortSignal;
  /** Default 'none': as stored. */
  quantization?: Quantization;
}

/**
 * @param tensors the checkpoint's tensors under HF names
 * Throws EtudeError: model.* for missing or misshaped tensors, model.notFinite, device.outOfMemory.
 */
export async function loadWeights(engine: Engine, config: ModelConfig, tensors: Map<string, TensorEntry>, options: LoadOptions = {}): Promise<ModelWeights> {
  checkTensors(tensors, config);
  const wanted = [...tensors.values()].filter((t) => isFloatDtype(t.dtype));
  const totalBytes = wanted.reduce((n, t) => n + t.end - t.start, 0);
  let doneBytes = 0;
  const { quantization = 'none' } = options;
  const made = await allocate(engine, config, tensors, quantization);
  const progress = (bytes: number): void => options.onProgress?.((doneBytes += bytes), totalBytes);

  const matrix = async (name: string): Promise<Weight> => {
    const entry = tensors.get(name)!;
    const dtype = entry.dtype as FloatDtype;
    const weight = made.tensors.get(name) as Weight;
    const storage = weight.dtype;
    const width = dtype === 'F32' ? 4 : 2;
    for await (const { offset, bytes } of streamTensor(entry, CHUNK)) {
      options.signal?.throwIfAborted();
      checkFinite(name, bytes, dtype, offset);
      // Chunks are whole blocks, but for the last.
      writeWeightBytes(engine, weight, storedBytes(storage, offset / width), storedForm(bytes, dtype, storage));
      progress(bytes.byteLength);
    }
    return weight;
  };
  const vector = async (name: string, offset: 0 | 1 = 0): Promise<Tensor> => {
    const entry = tensors.get(name)!;
    const data = await readF32(entry);
    checkFinite(name, new Uint8Array(data.buffer), 'F32', 0);
    const tensor = made.tensors.get(name) as Tensor;
    writeTensor(engine, tensor, offset === 0 ? data : data.map((w) => offset + w));
    progress(entry.end - entry.start);
    return tensor;
  };

  const norm = (name: string): Promise<Tensor> => vector(`${name}.weight`, config.normOffset);
  const norms = streamNorms(config);

  try {
    const embedding = await matrix('model.embed_tokens.weight');
    const head = config.tieWordEmbeddings ? embedding : await matrix('lm_head.weight');
    const layers: LayerWeights[] = [];
    for (let l = 0; l < config.numHiddenLayers; l++) {
      const at = `model.layers.${l}`;
      const projection = async (part: 'self_attn' | 'mlp', name: TargetModule, hasBias: boolean) => ({
        weight: await matrix(`${at}.${part}.${name}.weight`),
        bias: hasBias ? await vector(`${at}.${part}.${name}.bias`) : null,
      });
      layers.push({
        inputNorm: await norm(`${at}.${norms.input}`),
        attentionOutNorm: norms.attentionOut ? await norm(`${at}.${norms.attentionOut}`) : null,
        mlpNorm: await norm(`${at}.${norms.mlp}`),
        mlpOutNorm: norms.mlpOut ? await norm(`${at}.${norms.mlpOut}`) : null,
        qNorm: config.qkNorm ? await norm(`${at}.self_attn.q_norm`) : null,
        kNorm: config.qkNorm ? await norm(`${at}.self_attn.k_norm`) : null,
        projections: {
          q_proj: await projection('self_attn', 'q_proj', config.qkvBias),
          k_proj: await projection('self_attn', 'k_proj', config.qkvBias),
          v_proj: await projection('self_attn', 'v_proj', config.qkvBias),
          o_proj: await projection('self_attn', 'o_proj', config.oBias),
          gate_proj: await projection('mlp', 'gate_proj', config.mlpBias),
          up_proj: await projection('mlp', 'up_proj', config.mlpBias),
          down_proj: await projection('mlp', 'down_proj', config.mlpBias),
        },
        qkv: made.joined.get(`${at}.self_attn.qkv`) ?? null,
        gateUp: made.joined.get(`${at}.mlp.gate_up`) ?? null,
      });
    }
    const finalNorm = await norm('model.norm');
    return {
      embedding, head, finalNorm, layers,
      bytes: [...made.tensors.values()].reduce((n, t) => n + ('parts' in t ? t.parts.reduce((m, p) => m + p.tensor.byteLength, 0) : t.byteLength), 0),
      dtype: storedType(config, tensors),
      quantization,
      parameters: countParameters(config),
    };
  } catch (error) {
    release(engine, [...made.tensors.values()]);
    throw error;
  }
}

/** Everything by name, and what owns the buffers of those that share one. */
interface Made {
  tensors: Map<string, Tensor | Weight>;
  joined: Map<string, Projection>;
}

/** Buffers may be shared: each is given back once. */
function release(engine: Engine, tensors: readonly (Tensor | Weight)[]): void {
  const buffers = new Set(tensors.flatMap((t) => ('parts' in t ? t.parts.map((p) => p.tensor.buffer) : [t.buffer])));
  for (const buffer of buffers) engine.destroyBuffer(buffer);
}

/** Projections that read the same input: together they are one product. */
const JOINED = [
  { name: 'self_attn.qkv', parts: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] },
  { name: 'mlp.gate_up', parts: ['mlp.gate_proj', 'mlp.up_proj'] },
];

/** The joined projections of a layer, where their storage allows it. */
function joinLayer(engine: Engine, at: string, shapes: ReadonlyMap<string, readonly number[]>, storage: (name: string) => StorageType, made: Made): void {
  for (const { name, parts } of JOINED) {
    const weights = parts.map((part) => ({ label: `${at}.${part}.weight`, rows: shapes.get(`${at}.${part}.weight`)![0]! }));
    const biases = parts.map((part) => `${at}.${part}.bias`).filter((bias) => shapes.has(bias));
    const types = new Set(weights.map(({ label }) => storage(label)));
    const aligned = biases.length === 0 || (biases.length === parts.length && weights.every(({ rows }) => rows % 64 === 0));
    const weight = types.size === 1 && aligned ? joinedWeight(engine, `${at}.${name}`, [...types][0]!, weights, shapes.get(weights[0]!.label)![1]!) : null;
    if (!weight) continue;
    weights.forEach(({ label }, i) => made.tensors.set(label, weight.views[i]!));
    const bias = biases.length === 0 ? null : createTensor(engine, `${at}.${name} bias`, weight.whole.rows);
    let start = 0;
    biases.forEach((label, i) => {
      made.tensors.set(label, viewTensor(bias!, label, start, weights[i]!.rows));
      start += weights[i]!.rows;
    });
    made.joined.set(`${at}.${name}`, { weight: weight.whole, bias });
  }
}

/** Every buffer of the model, before a byte of it is read: what does not fit is known at once. */
async function allocate(engine: Engine, config: ModelConfig, tensors: ReadonlyMap<string, TensorEntry>, quantization: Quantization): Promise<Made> {
  const inUse = engine.memory.live;
  const made: Made = { tensors: new Map(), joined: new Map() };
  engine.device.pushErrorScope('out-of-memory');
  let failure: unknown = null;
  try {
    const expected = expectedTensors(config);
    const shapes = new Map(expected.map(({ name, shape }) => [name, shape]));
    const storage = (name: string): StorageType => storageOf(name, STORAGE_TYPE[tensors.get(name)!.dtype as FloatDtype], quantization);
    for (let l = 0; l < config.numHiddenLayers; l++) joinLayer(engine, `model.layers.${l}`, shapes, storage, made);
    for (const { name, shape } of expected) {
      if (made.tensors.has(name)) continue;
      const [rows, cols] = shape;
      made.tensors.set(name, cols === undefined ? createTensor(engine, name, rows!) : createWeight(engine, name, storage(name), rows!, cols));
    }
  } catch (error) {
    failure = error ?? new Error('unknown');
  }
  const full = await engine.device.popErrorScope();
  if (!full && failure === null) return made;
  release(engine, [...made.tensors.values()]);
  if (!full) throw failure;
  const planned = (q: Quantization): number => plannedWeightBytes(config, storedType(config, tensors), q);
  const needed = planned(quantization);
  const smaller = QUANTIZATIONS.slice(QUANTIZATIONS.indexOf(quantization) + 1).map((q) => ({ change: q === 'int8' ? 'the model in 8 bits' : 'the model in 4 bits', bytes: planned(q) }));
  throw new EtudeError(outOfMemory({ purpose: 'the weights of this model', needed, inUse, fits: null, smaller }), { cause: full });
}

/** What most matrix elements are stored in. */
function storedType(config: ModelConfig, tensors: ReadonlyMap<string, TensorEntry>): FloatStorage {
  const counts = new Map<FloatStorage, number>();
  for (const { name, shape } of expectedTensors(config)) {
    if (shape.length === 1) continue;
    const type = STORAGE_TYPE[tensors.get(name)!.dtype as FloatDtype];
    counts.set(type, (counts.get(type) ?? 0) + shape.reduce((a, b) => a * b));
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
}

export function destroyWeights(engine: Engine, w: ModelWeights): void {
  const matrices = [w.embedding, w.head, ...w.layers.flatMap((layer) => Object.values(layer.projections).map((p) => p.weight))];
  const vectors = [w.finalNorm, ...w.layers.flatMap((layer) => [
    layer.inputNorm, layer.attentionOutNorm, layer.mlpNorm, layer.mlpOutNorm, layer.qNorm, layer.kNorm, ...Object.values(layer.projections).map((p) => p.bias),
  ])];
  release(engine, [...matrices, ...vectors].filter((t) => t !== null));
}

function checkFinite(name: string, bytes: Uint8Array, dtype: FloatDtype, offset: number): void {
  const bad = firstNonFinite(bytes, dtype);
  if (bad >= 0) throw new EtudeError(notFiniteWeights(name, offset / (dtype === 'F32' ? 4 : 2) + bad));
}
