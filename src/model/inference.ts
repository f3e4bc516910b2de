/**
 * Owns forward passes without gradients: logits and hidden states of whole batches (checks, per-token loss), and text
 * generation with a key/value cache. Base and tuned model share the weights; `adapter` null is the base.
 */
import { EtudeError } from '../config/errors.ts';
import { outOfMemory } from '../config/messages.ts';
import { Arena } from '../engine/arena.ts';
import { autotune } from '../engine/autotune.ts';
import type { Engine } from '../engine/device.ts';
import type { Op } from '../engine/kernel.ts';
import { buildProgram, StepUniform, Submitter, type Program } from '../engine/program.ts';
import { createTensor, destroyTensor, readTensor, type Tensor } from '../engine/tensor.ts';
import { BatchInputs, flattenBatch, type BatchLike, type FlatBatch } from './batchInputs.ts';
import { windowsOf, type ModelConfig } from './config.ts';
import { takeActivations, type AdapterPlaces, type Taker } from './activations.ts';
import { forwardOps, lowRankParts, type DecoderContext, type LayerCache, type LoraUse, type RopeTables } from './decoder.ts';
import { logitsOps, pickOps, takeHead, type HeadBuffers } from './head.ts';
import type { LoraAdapter } from './lora.ts';
import { createRope, destroyRope } from './rope.ts';
import { GREEDY, sampler, type Sampling } from './sampling.ts';
import { plannedWeightBytes } from './storage.ts';
import type { ModelWeights } from './weights.ts';

export interface ModelOnGpu {
  engine: Engine;
  config: ModelConfig;
  weights: ModelWeights;
}

const use = (adapter: LoraAdapter | null, parts: LoraUse['parts'] = null): LoraUse | null => (adapter ? { adapter, dropout: 0, dropped: null, parts } : null);

/**
 * Logits [B, T, V] of a batch, zero at padding; meant for tests and checks, since all of it comes to JS.
 * With `hidden`, also the L + 1 hidden states [B, T, C] as transformers returns them: embeddings, outputs of the layers, the last after the final norm.
 */
export async function batchLogits(model: ModelOnGpu, adapter: LoraAdapter | null, batch: BatchLike, options: { hidden?: boolean } = {}): Promise<{ logits: Float32Array; hidden: Float32Array[] }> {
  const { engine, config } = model;
  const flat = flattenBatch(batch, 'all');
  const positions = flat.positions.reduce((max, p) => Math.max(max, p), 0) + 1;
  const { hiddenSize: C, vocabSize: V } = config;
  const arena = new Arena(engine);
  const inputs = new BatchInputs(engine, flat.tokens, flat.targets, windowsOf(config));
  const rope = createRope(engine, config, positions);
  const step = new StepUniform(engine);
  const stats = createTensor(engine, 'stats', 4);
  const programs: Program[] = [];
  try {
    const ctx: DecoderContext = { ...model, rope, inputs };
    const acts = takeActivations(config, arena, flat.tokens, adapter, options.hidden === true ? 'none' : 'nothing');
    const head = takeHead(engine, config, arena, flat.targets, stats, false);
    const submitter = new Submitter(engine);
    const run = async (label: string, ops: Parameters<typeof buildProgram>[3]): Promise<void> => {
      const program = await buildProgram(engine, label, step, ops);
      programs.push(program);
      await submitter.run([program], flat);
    };
    inputs.upload(flat);
    step.write(flat);
    await run('forward', [...forwardOps(ctx, acts, use(adapter)), ...pickOps(ctx, head, acts.last)]);
    const [B, T] = batch.shape;
    const spread = (data: Float32Array, cols: number, into: Float32Array, firstToken = 0): void => {
      for (let i = 0; i < data.length / cols; i++) into.set(data.subarray(i * cols, (i + 1) * cols), flat.source[firstToken + i]! * cols);
    };
    const logits = new Float32Array(B * T * V);
    for (let start = 0; start < flat.targets; start += head.chunkRows) {
      await run('logits', logitsOps(ctx, head, start));
      const rows = Math.min(head.chunkRows, flat.targets - start);
      spread(await readTensor(engine, head.logits, rows * V), V, logits, start);
    }
    const hidden: Float32Array[] = [];
    if (options.hidden) {
      for (const tensor of [...acts.layers.map((a) => a.x), head.normed]) {
        const out = new Float32Array(B * T * C);
        spread(await readTensor(engine, tensor, flat.tokens * C), C, out);
        hidden.push(out);
      }
    }
    return { logits, hidden };
  } finally {
    programs.forEach((p) => p.destroy());
    arena.destroy();
    inputs.destroy();
    destroyRope(engine, rope);
    step.destroy();
    destroyTensor(engine, stats);
  }
}

export interface GenerateOptions {
  maxNewTokens: number;
  stopIds: readonly number[];
  sampling?: Sampling;
  signal?: AbortSignal;
  onLogits?: (logits: Float32Array) => void;
}

/** Tokens of a prompt that go through the model at once. */
export const PREFILL = 64;

/** What a generator takes from an arena: caches of every layer, one row of logits, activations of a prompt's piece and of a token. */
export function takeGeneration(engine: Pick<Engine, 'maxBinding'>, config: ModelConfig, arena: Taker, lora: AdapterPlaces | null, contextLength: number, stats: Tensor) {
  const elements = contextLength * config.numKeyValueHeads * config.headDim;
  const caches = Array.from({ length: config.numHiddenLayers }, (_, l): LayerCache => ({ k: arena.take(`k cache.${l}`, elements), v: arena.take(`v cache.${l}`, elements) }));
  const head = takeHead(engine, config, arena, 1, stats, false);
  const rank = lora ? Math.max(1, ...lora.entries.map((e) => e.r ?? lora.config.r)) : 0;
  const parts = lora ? { tensor: arena.take('parts of x A', rank * lowRankParts(config)), size: rank } : null;
  return { caches, head, parts, prefill: takeActivations(config, arena, PREFILL, lora, 'nothing'), decode: takeActivations(config, arena, 1, lora, 'nothing') };
}

/** A program over so many tokens at a time: the kernels for one row are others than those for many. */
interface Pass {
  inputs: BatchInputs;
  program: Program;
}

/** A piece of a text whose first `past` tokens are in the cache. */
function continuation(ids: readonly number[], past: number, wantLogits: boolean): FlatBatch {
  const n = ids.length;
  return {
    tokens: n,
    targets: wantLogits ? 1 : 0,
    ids: Uint32Array.from(ids),
    positions: Uint32Array.from(ids, (_, i) => past + i),
    keyStart: new Uint32Array(n),
    keyEnd: Uint32Array.from(ids, (_, i) => past + i + 1),
    queryEnd: new Uint32Array(n),
    targetRows: Uint32Array.of(n - 1),
    targetLabels: new Uint32Array(1),
    slot: new Uint32Array(n),
    source: new Uint32Array(0),
  };
}

/** One resident generator: buffers, caches and programs for a context of fixed size. */
export class Generator {
  readonly contextLength: number;
  readonly #model: ModelOnGpu;
  readonly #arena: Arena;
  readonly #prefillInputs: BatchInputs;
  readonly #decodeInputs: BatchInputs;
  readonly #rope: RopeTables;
  readonly #step: StepUniform;
  readonly #stats: Tensor;
  readonly #submitter: Submitter;
  #head!: HeadBuffers;
  #prefill: Pass | null = null;
  #decode: Pass | null = null;
  #lastTurn: Promise<void> = Promise.resolve();

  private constructor(model: ModelOnGpu, contextLength: number) {
    const { engine, config } = model;
    this.#model = model;
    this.contextLength = contextLength;
    this.#arena = new Arena(engine);
    this.#prefillInputs = new BatchInputs(engine, PREFILL, 1, windowsOf(config));
    this.#decodeInputs = new BatchInputs(engine, 1, 1, windowsOf(config));
    this.#rope = createRope(engine, config, contextLength);
    this.#step = new StepUniform(engine);
    this.#stats = createTensor(engine, 'stats', 4);
    this.#submitter = new Submitter(engine);
  }

  /** Throws EtudeError device.outOfMemory. */
  static async create(model: ModelOnGpu, adapter: LoraAdapter | null, contextLength: number): Promise<Generator> {
    const { engine } = model;
    const inUse = engine.memory.live;
    engine.device.pushErrorScope('out-of-memory');
    const generator = new Generator(model, contextLength);
    const built = await generator.#build(adapter).then(() => null, (error: unknown) => error ?? new Error('unknown'));
    const full = await engine.device.popErrorScope();
    if (!full && !built) return generator;
    const answers = engine.memory.live - inUse;
    generator.destroy();
    if (!full) throw built;
    const { bytes, dtype, quantization } = model.weights;
    const smaller = quantization === 'nf4' ? [] : [{ change: 'the model in 4 bits', bytes: plannedWeightBytes(model.config, dtype, 'nf4') + answers }];
    throw new EtudeError(outOfMemory({ purpose: `this model and answers in a context of ${contextLength} tokens`, needed: bytes + answers, inUse, fits: null, smaller }), { cause: full });
  }

  async #build(adapter: LoraAdapter | null): Promise<void> {
    const { engine, config } = this.#model;
    const { caches, head, parts, prefill, decode } = takeGeneration(engine, config, this.#arena, adapter, this.contextLength, this.#stats);
    this.#head = head;
    const pass = async (name: string, inputs: BatchInputs, acts: typeof prefill, lora: LoraUse | null): Promise<Pass> => {
      const ctx: DecoderContext = { ...this.#model, rope: this.#rope, inputs };
      const ops = (): Op[] => [...forwardOps(ctx, acts, lora, caches), ...pickOps(ctx, head, acts.last), ...logitsOps(ctx, head, 0)];
      if (!engine.info.software) {
        // Measured where a context is half full.
        inputs.upload(continuation(Array.from({ length: inputs.maxTokens }, () => 0), Math.max(0, Math.floor(this.contextLength / 2) - inputs.maxTokens), true));
        await autotune(engine, ops(), { tokens: inputs.maxTokens, targets: 1 });
      }
      return { inputs, program: await buildProgram(engine, `${name}, ${adapter ? 'tuned' : 'base'}`, this.#step, ops()) };
    };
    this.#prefill = await pass('prompt', this.#prefillInputs, prefill, use(adapter));
    this.#decode = await pass('next token', this.#decodeInputs, decode, use(adapter, parts));
  }

  /** Dispatches of a prompt's piece and of a token. */
  get dispatches(): { prompt: number; token: number } {
    return { prompt: this.#prefill!.program.dispatches.length, token: this.#decode!.program.dispatches.length };
  }

  /**
   * Yields new token ids, the stop token included. Ends at a stop token, after maxNewTokens, at a full context or on abort.
   * A second question waits until the first is answered or left.
   * @param promptIds at least one id, fewer than contextLength
   */
  async *generate(promptIds: readonly number[], options: GenerateOptions): AsyncGenerator<number> {
    if (promptIds.length === 0 || promptIds.length >= this.contextLength) {
      throw new Error(`a prompt of ${promptIds.length} tokens does not fit a context of ${this.contextLength}`);
    }
    const release = await this.#turn();
    try {
      yield* this.#answer(promptIds, options);
    } finally {
      release();
    }
  }

  /** One question at a time: they share the cache. */
  async #turn(): Promise<() => void> {
    const before = this.#lastTurn;
    let release!: () => void;
    this.#lastTurn = new Promise((resolve) => (release = resolve));
    await before;
    return release;
  }

  async *#answer(promptIds: readonly number[], options: GenerateOptions): AsyncGenerator<number> {
    const pick = sampler(options.sampling ?? GREEDY);
    let past = 0;
    let pending = [...promptIds];
    for (let made = 0; made < options.maxNewTokens && past + pending.length <= this.contextLength; made++) {
      while (pending.length > PREFILL) past = await this.#forward(pending.splice(0, PREFILL), past, false);
      past = await this.#forward(pending, past, true);
      const logits = await readTensor(this.#model.engine, this.#head.logits, this.#model.config.vocabSize);
      if (options.signal?.aborted) return;
      options.onLogits?.(logits);
      const id = pick(logits);
      yield id;
      if (options.stopIds.includes(id)) return;
      pending = [id];
    }
  }

  async #forward(ids: number[], past: number, wantLogits: boolean): Promise<number> {
    const n = ids.length;
    const flat = continuation(ids, past, wantLogits);
    const { inputs, program } = n === 1 ? this.#decode! : this.#prefill!;
    inputs.upload(flat);
    this.#step.write({ tokens: n, targets: flat.targets, kvPast: past });
    await this.#submitter.run([program], flat);
    return past + n;
  }

  /** Waits for the answers asked for so far, then destroys. */
  async close(): Promise<void> {
    await this.#turn();
    this.destroy();
  }

  destroy(): void {
    for (const pass of [this.#prefill, this.#decode]) pass?.program.destroy();
    this.#arena.destroy();
    this.#prefillInputs.destroy();
    this.#decodeInputs.destroy();
    destroyRope(this.#model.engine, this.#rope);
    this.#step.destroy();
    destroyTensor(this.#model.engine, this.#stats);
  }
}
