/**
 * A session in Node as tests need it: database of its own, collected events, a GPU and a lock manager that fail on demand,
 * and model folders made from a tiny random model with the built-in tokenizer.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from 'vitest';
import { sourceFromPath } from '../../src/cli/fsSource.ts';
import { EtudeError } from '../../src/config/errors.ts';
import { recipeSchema, type Recipe } from '../../src/config/recipe.ts';
import { openDatabase } from '../../src/data/db.ts';
import type { BuiltinLoader } from '../../src/hub/builtin.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import type { ModelSource, RequestName, Requests, RunSummary, WorkerEvent } from '../../src/worker/protocol.ts';
import type { SessionEnvironment } from '../../src/worker/session/environment.ts';
import type { Checkpoint } from '../../src/worker/session/runs.ts';
import { Session } from '../../src/worker/session/session.ts';
import { testGpu } from '../setup/gpu.ts';
import { checkpointOf, randomValues, TINY } from '../setup/tinyModel.ts';

const builtin = resolve(import.meta.dirname, '../../public/builtin');
export const loadBuiltin: BuiltinLoader = (path) => sourceFromPath(resolve(builtin, path));
export const builtinFile = (path: string): Buffer => readFileSync(resolve(builtin, path));

let databases = 0;
export const newDatabase = (): string => `session test ${databases++}`;

/** One device for all sessions of a test file: compiling kernels is most of the time a session takes on a software adapter. */
let shared: Promise<GPU> | null = null;
export const sharedGpu = (): Promise<GPU> => (shared ??= (async () => {
  const adapter = (await (await testGpu()).requestAdapter({ powerPreference: 'high-performance' }))!;
  const { limits } = adapter;
  let device: Promise<GPUDevice> | null = null;
  const open = async (descriptor: GPUDeviceDescriptor): Promise<GPUDevice> => {
    const made = await adapter.requestDevice(descriptor);
    const own = made as unknown as Record<string, unknown>;
    // Sessions free their buffers one by one; the device stays for the next.
    own['destroy'] = () => {};
    const compile = made.createComputePipelineAsync.bind(made);
    const kept: GPUComputePipeline[] = [];
    own['createComputePipelineAsync'] = async (pipeline: GPUComputePipelineDescriptor) => {
      const compiled = await compile(pipeline);
      kept.push(compiled);
      return compiled;
    };
    return made;
  };
  return {
    requestAdapter: () => Promise.resolve({ limits, features: adapter.features, info: adapter.info, requestDevice: (d: GPUDeviceDescriptor) => (device ??= open(d)) }),
  } as unknown as GPU;
})());

export interface Tab {
  session: Session;
  events: WorkerEvent[];
  /** Called with every event as it is sent. */
  onEvent: (event: WorkerEvent) => void;
  database: string;
  call<N extends RequestName>(name: N, args: Requests[N]['args'], signal?: AbortSignal): Promise<Requests[N]['result']>;
  ofType<T extends WorkerEvent['type']>(type: T): Extract<WorkerEvent, { type: T }>[];
}

export async function openTab(overrides: Partial<SessionEnvironment> = {}): Promise<Tab> {
  const events: WorkerEvent[] = [];
  const database = overrides.database ?? newDatabase();
  const tab: Tab = {
    events, database,
    onEvent: () => {},
    session: new Session({
      gpu: 'gpu' in overrides ? overrides.gpu : await sharedGpu(), loadBuiltin, pageUrl: 'https://etude.example/studio/',
      emit(event) {
        events.push(event);
        tab.onEvent(event);
      },
      ...overrides, database,
    }),
    call: (name, args, signal = new AbortController().signal) => tab.session.handle(name, args, {
      signal, progress: (label, done, total, unit) => events.push({ type: 'progress', requestId: 0, label, done, total, unit }),
    }),
    ofType: (type) => events.filter((e): e is Extract<WorkerEvent, { type: typeof type }> => e.type === type),
  };
  return tab;
}

/** The code of the EtudeError that a request must end with; its message must say what to do. */
export async function refusal(request: Promise<unknown>): Promise<EtudeError> {
  const error = await request.then(() => null, (e: unknown) => e);
  expect(error).toBeInstanceOf(EtudeError);
  const { userMessage } = error as EtudeError;
  expect(userMessage.what.length).toBeGreaterThan(10);
  expect(userMessage.nextStep, userMessage.code).toBeTruthy();
  return error as EtudeError;
}

/** A model of 30,000 weights that reads and writes with the built-in tokenizer. */
export const SMALL: ModelConfig = { ...TINY, numHiddenLayers: 1, vocabSize: 2048, maxPositionEmbeddings: 48 };

const CONFIG_JSON = {
  architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: SMALL.hiddenSize, intermediate_size: SMALL.intermediateSize, num_hidden_layers: SMALL.numHiddenLayers,
  num_attention_heads: SMALL.numAttentionHeads, num_key_value_heads: SMALL.numKeyValueHeads, head_dim: SMALL.headDim, vocab_size: SMALL.vocabSize,
  max_position_embeddings: SMALL.maxPositionEmbeddings, rms_norm_eps: SMALL.rmsNormEps, rope_theta: SMALL.ropeTheta, tie_word_embeddings: true, bos_token_id: null, eos_token_id: 2,
};

/** The files of the small model, after `change`. */
export function smallFolder(change: (files: Map<string, Uint8Array | string>) => void = () => {}, seed = 1): Extract<ModelSource, { kind: 'folder' }> {
  const files = new Map<string, Uint8Array | string>([
    ['config.json', JSON.stringify(CONFIG_JSON)],
    ['tokenizer.json', builtinFile('model/tokenizer.json')],
    ['tokenizer_config.json', builtinFile('model/tokenizer_config.json')],
    ['model.safetensors', checkpointOf(randomValues(SMALL, seed))],
  ]);
  change(files);
  return { kind: 'folder', name: 'small', files: [...files].map(([name, content]) => new File([content as BlobPart], name)) };
}

export const jsonl = (rows: readonly unknown[], name = 'rows.jsonl'): File => new File([rows.map((row) => JSON.stringify(row)).join('\n')], name);

const THINGS = ['iron', 'honey', 'the moon', 'a harp', 'rain', 'chess', 'salt', 'a comet', 'silk', 'tea', 'a bridge', 'thunder'];
/** n rows of a question and a short answer. */
export const questions = (n: number): { instruction: string; input: string; output: string }[] =>
  Array.from({ length: n }, (_, i) => ({ instruction: `What is ${THINGS[i % THINGS.length]}?`, input: '', output: `It is number ${i}${'!'.repeat(i % 4)}.` }));

export const smallRecipe = (training: Partial<Recipe['training']> = {}, lora: Partial<Recipe['lora']> = {}): Recipe => recipeSchema.parse({
  model: { source: 'folder', name: 'small' }, dataset: { source: 'file', name: 'rows.jsonl' }, data: { maxLength: 48 },
  lora: { r: 4, loraAlpha: 8, loraDropout: 0, ...lora },
  training: { perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 1, learningRate: 5e-3, maxSteps: 3, ...training },
});

/** The small model loaded and rows imported. */
export async function ready(tab: Tab, rows: readonly unknown[] = questions(8)): Promise<string> {
  await tab.call('model.load', { source: smallFolder() });
  return (await tab.call('data.import', { source: { kind: 'file', file: jsonl(rows) } })).id;
}

export const ask = (tab: Tab, which: 'base' | 'tuned', question = 'What is iron?', sampling: Partial<Requests['chat.generate']['args']['sampling']> = {}) =>
  tab.call('chat.generate', {
    streamId: `stream ${tab.events.length}`, messages: [{ role: 'user', content: question }], template: 'model', which,
    sampling: { temperature: 0, topK: 0, topP: 1, maxNewTokens: 8, seed: 1, ...sampling },
  });

/** Resolves at the first event for which `wanted` holds. */
export const eventOf = (tab: Tab, wanted: (event: WorkerEvent) => boolean): Promise<WorkerEvent> => new Promise((resolve) => {
  const before = tab.onEvent;
  tab.onEvent = (event) => {
    before(event);
    if (wanted(event)) resolve(event);
  };
});

/** Does something once, while the run is going on, right after step n has been told. */
export function atStep(tab: Tab, step: number, act: () => void): void {
  void eventOf(tab, (e) => e.type === 'train.step' && e.metrics.step === step).then(act);
}

/** Runs by their clockless numbers: equal means equal bits. */
export const numbersOf = (metrics: readonly { step: number; loss: number; gradNorm: number; learningRate: number; numTokens: number; evalLoss?: number }[]) =>
  metrics.map(({ step, loss, gradNorm, learningRate, numTokens, evalLoss }) => ({ step, loss, gradNorm, learningRate, numTokens, evalLoss }));

export const startSmall = (tab: Tab, datasetId: string, training: Partial<Recipe['training']> = {}, lora: Partial<Recipe['lora']> = {}): Promise<RunSummary> =>
  tab.call('train.start', { datasetId, recipe: smallRecipe(training, lora) });

/** A GPU whose adapter, device and memory fail when told to. */
export class FragileGpu {
  refuseAdapter = false;
  refuseDevice = false;
  /** Out-of-memory scopes that close well before one reports a full GPU; Infinity for never. */
  fullAfter = Infinity;
  /** How many then report it in a row. */
  fullScopes = 1;
  /** Bytes that its buffers may take together. */
  room = Infinity;
  opened = 0;
  #taken = 0;
  readonly #mayDie: boolean;
  #device: GPUDevice | null = null;
  #lose: ((info: { reason: string; message: string }) => void) | null = null;

  /** @param mayDie devices of its own, which can be lost; without, the shared one is used, which saves compiling */
  constructor({ mayDie = false } = {}) {
    this.#mayDie = mayDie;
  }

  /** Bytes of its live buffers. */
  get taken(): number {
    return this.#taken;
  }

  get gpu(): GPU {
    return { requestAdapter: () => this.#adapter() } as unknown as GPU;
  }

  /** What a crashed driver does: all that is under way fails, and the device says that it is lost. */
  lose(message = 'the driver hung'): void {
    if (!this.#mayDie) throw new Error('the shared device must not be lost');
    this.#device!.destroy();
    this.#lose!({ reason: 'unknown', message });
  }

  async #adapter(): Promise<unknown> {
    if (this.refuseAdapter) return null;
    const adapter = (await (this.#mayDie ? await testGpu() : await sharedGpu()).requestAdapter({ powerPreference: 'high-performance' }))!;
    return {
      limits: adapter.limits, features: adapter.features, info: adapter.info,
      requestDevice: async (descriptor: GPUDeviceDescriptor) => {
        if (this.refuseDevice) throw new DOMException('the adapter is consumed', 'OperationError');
        const device = await adapter.requestDevice(descriptor);
        this.#device = device;
        this.opened++;
        const lost = new Promise((resolve) => (this.#lose = resolve));
        const scopes: { filter: GPUErrorFilter; overflowed: boolean }[] = [];
        const own: Record<string, unknown> = {
          lost,
          pushErrorScope: (filter: GPUErrorFilter) => {
            scopes.push({ filter, overflowed: false });
            device.pushErrorScope(filter);
          },
          popErrorScope: async () => {
            const scope = scopes.pop()!;
            const full = scope.overflowed || (scope.filter === 'out-of-memory' && this.#isFull());
            const real = await device.popErrorScope();
            return full ? { message: 'not enough memory left' } : real;
          },
        };
        const createBuffer = (descriptor: GPUBufferDescriptor): GPUBuffer => {
          const buffer = device.createBuffer(descriptor);
          const { size } = descriptor;
          this.#taken += size;
          const scope = scopes.findLast((s) => s.filter === 'out-of-memory');
          if (this.#taken > this.room && scope) scope.overflowed = true;
          const destroy = buffer.destroy.bind(buffer);
          let there = true;
          (buffer as { destroy: () => unknown }).destroy = () => {
            if (there) this.#taken -= size;
            there = false;
            return destroy();
          };
          return buffer;
        };
        own['createBuffer'] = createBuffer;
        return new Proxy(device, {
          get: (target, key) => {
            if (typeof key === 'string' && Object.hasOwn(own, key)) return own[key];
            const value: unknown = Reflect.get(target, key, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
    };
  }

  #isFull(): boolean {
    if (this.fullAfter-- > 0) return false;
    if (--this.fullScopes > 0) this.fullAfter = 0;
    else [this.fullAfter, this.fullScopes] = [Infinity, 1];
    return true;
  }
}

/** navigator.locks for the tabs of one browser: exclusive, ifAvailable, query. */
export class FakeLocks {
  readonly #held = new Map<string, unknown>();

  async request(name: string, options: { ifAvailable?: boolean }, callback: (lock: { name: string } | null) => unknown): Promise<unknown> {
    if (this.#held.has(name)) {
      if (options.ifAvailable) return callback(null);
      throw new Error('a tab would wait here');
    }
    this.#held.set(name, true);
    try {
      return await callback({ name });
    } finally {
      this.#held.delete(name);
    }
  }

  query(): Promise<{ held: { name: string }[]; pending: never[] }> {
    return Promise.resolve({ held: [...this.#held.keys()].map((name) => ({ name })), pending: [] });
  }

  /** As when a tab is closed or crashes. */
  releaseAll(): void {
    this.#held.clear();
  }

  get manager(): LockManager {
    return this as unknown as LockManager;
  }
}

export async function checkpointIn(database: string, runId: string): Promise<Checkpoint> {
  const db = await openDatabase(database);
  const checkpoint = (await db.get('checkpoints', runId)) as Checkpoint;
  db.close();
  return checkpoint;
}

/** Copies every store: what a crash at this moment would leave. */
export async function copyDatabase(from: string, to: string): Promise<void> {
  const [source, target] = [await openDatabase(from), await openDatabase(to)];
  for (const store of ['datasets', 'rows', 'turns', 'runs', 'checkpoints'] as const) {
    const keys = await source.getAllKeys(store);
    for (const key of keys) {
      const value = await source.get(store, key as never);
      const inline = target.transaction(store).store.keyPath !== null;
      await target.put(store, value as never, (inline ? undefined : key) as never);
    }
  }
  source.close();
  target.close();
}
