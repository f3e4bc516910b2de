/**
 * A worker that answers the protocol with plausible data, for looking at the interface and for tests of the stores.
 * Lives here only: nothing in src/ or in the build knows it. It has no engine and no tokenizer, and claims none.
 */
import { drawnPerEpoch } from '../../src/config/balance.ts';
import type { UserMessage } from '../../src/config/errors.ts';
import type { Recipe } from '../../src/config/recipe.ts';
import { needsToken } from '../../src/hub/messages.ts';
import type { WorkerLike } from '../../src/worker/client.ts';
import type {
  CachedModel, DatasetSummary, DataReport, DeviceInfo, FixSummary, FromWorker, InspectedRow, InspectedToken, ModelSummary, RequestName, Requests, RunDetail, TokenLosses, ToWorker, TrainingMix, WorkerEvent,
} from '../../src/worker/protocol.ts';
import { FakeRows } from './fakeRows.ts';
import { fakeLoss, fakeRun } from './fakeRuns.ts';

export interface FakeOptions {
  /** Milliseconds between two training steps. */
  stepMs?: number;
  /** Delay of every answer. */
  delay?: number;
  device?: Partial<DeviceInfo> | UserMessage;
  runs?: RunDetail[];
  datasets?: DatasetSummary[];
  rows?: number;
  /** Requests that fail, by name. */
  fail?: Partial<Record<RequestName, UserMessage>>;
  findings?: DataReport['findings'];
  totalSteps?: number;
  /** Where a resumed run goes on from. */
  checkpointStep?: number;
  /** The run fails after this step. */
  breakAt?: number;
}

const DEVICE: DeviceInfo = {
  vendor: 'apple', architecture: 'metal-3', description: 'Apple GPU', software: false, f16: true, subgroups: true,
  maxBufferSize: 4e9, memoryBudget: 4e9, maxBindingSize: 4e9, gflops: null,
};

const MODEL: ModelSummary = {
  source: 'builtin', revision: null, name: 'builtin', architecture: 'LlamaForCausalLM', parameters: 1_049_728, weightBytes: 2_099_456, dtype: 'f16', quantization: 'none',
  tiedEmbeddings: true, hiddenSize: 128, numHiddenLayers: 4, vocabSize: 2048, maxPositionEmbeddings: 256, hasChatTemplate: true, knownTemplates: ['chatml'],
};

const FAKE_COMMIT = '0123456789abcdef0123456789abcdef01234567';
const HUB_BYTES = 269_060_552;

const PAIRS = [
  ['Name three decomposers in a forest ecosystem', '1. Fungi\n2. Bacteria\n3. Earthworms\n\nThese organisms play an essential role in breaking down dead plant and animal matter, releasing nutrients back into the soil for other organisms to use.'],
  ['What is the capital of Norway?', 'The capital of Norway is Oslo.'],
  ['Explain the term "network latency" in one sentence.', 'Network latency is the time it takes for data to travel from its source to its destination across a network.'],
  ['Give the chemical symbol of iron.', 'The chemical symbol for iron is Fe.'],
] as const;

const pairOf = (index: number) => PAIRS[index % PAIRS.length]!;

/** Splits like a byte-pair tokenizer would: a space belongs to the word after it. */
function fakeTokens(text: string, trained: boolean): InspectedToken[] {
  return (text.match(/ ?[A-Za-z]+| ?[0-9]+|\n| ?[^\sA-Za-z0-9]+|\s+/g) ?? []).map((piece) => ({
    id: piece.split('').reduce((h, c) => (h * 31 + c.charCodeAt(0)) % 49_152, 7), text: piece, trained, special: false, cut: false, from: 'field "messages", turn 1',
  }));
}

const special = (text: string, trained = false): InspectedToken => ({ id: text.includes('start') ? 1 : 2, text, trained, special: true, cut: false, from: 'the template' });

function inspected(index: number, maxLength: number, trainedTurns: Record<number, boolean>): InspectedRow {
  const [prompt, answer] = pairOf(index);
  const on = trainedTurns[1] ?? true;
  const turns: InspectedRow['turns'] = [
    { role: 'system', messageIndex: null, trained: false, tokens: [special('<|im_start|>'), ...fakeTokens('system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face', false), special('<|im_end|>'), ...fakeTokens('\n', false)] },
    { role: 'user', messageIndex: 0, trained: false, tokens: [special('<|im_start|>'), ...fakeTokens(`user\n${prompt}`, false), special('<|im_end|>'), ...fakeTokens('\n', false)] },
    { role: 'assistant', messageIndex: 1, trained: on, tokens: [special('<|im_start|>'), ...fakeTokens('assistant\n', false), ...fakeTokens(answer, on), special('<|im_end|>', on), ...fakeTokens('\n', false)] },
  ];
  const all = turns.flatMap((t) => t.tokens);
  all.forEach((t, i) => { if (i >= maxLength) { t.cut = true; t.trained = false; } });
  return { index, line: index + 1, totalTokens: all.length, trainedTokens: all.filter((t) => t.trained).length, keptTokens: Math.min(all.length, maxLength), turns };
}

/** Any numbers between 0 and 5 nats; a fifth of them on trained tokens once tuned. */
function lossesOf(row: InspectedRow, which: 'base' | 'tuned'): TokenLosses {
  const tokens = row.turns.flatMap((turn) => turn.tokens);
  const losses = tokens.map((token, i) => (i === 0 || token.cut ? null : ((token.id % 97) / 97) * 5 * (which === 'tuned' && token.trained ? 0.2 : 1)));
  const trained = losses.filter((loss, i) => loss !== null && tokens[i]!.trained) as number[];
  const mean = trained.length > 0 ? trained.reduce((a, b) => a + b, 0) / trained.length : null;
  return { losses, mean, perplexity: mean === null ? null : Math.exp(mean) };
}

const CHARTS: DataReport['charts'] = {
  prompts: { width: 4, counts: [0, 3, 40, 180, 320, 240, 120, 60, 24, 9, 3] }, answers: { width: 20, counts: [320, 260, 160, 110, 60, 40, 22, 14, 8, 4, 1] },
  shares: [0, 6, 40, 96, 180, 260, 240, 120, 44, 9], clusters: { sizes: [[2, 14], [3, 4], [7, 1], [21, 1]], largest: [{ size: 21, rows: Array.from({ length: 21 }, (_, i) => 11 * i) }, { size: 7, rows: [2, 5, 6, 9, 30, 44, 61] }] },
};

/** Two thirds questions, the rest code: by the core's own arithmetic. */
function fakeMix(rows: number, { data }: Recipe, steps: number): TrainingMix {
  const groups = [{ name: 'question-answering', rows: Math.ceil((2 * rows) / 3) }, { name: 'code', rows: Math.floor(rows / 3) }];
  const drawn = drawnPerEpoch(groups, data);
  return { by: data.balanceBy, groups: groups.map((group, i) => ({ ...group, perEpoch: drawn[i]! })), rowsPerEpoch: drawn.reduce((a, b) => a + b, 0), asItIs: { steps, stepsPerEpoch: steps } };
}

const FINDINGS: DataReport['findings'] = [
  { kind: 'injected-text', severity: 'warning', title: 'System turn added', detail: 'The template inserts “You are a helpful AI assistant named SmolLM”.', count: 999, rows: [] },
  { kind: 'cut', severity: 'warning', title: 'Answer cut off', detail: 'Longer than 512 tokens, so these answers have no end. 4 lose the whole answer and are left out.', count: 41, rows: Array.from({ length: 41 }, (_, i) => i * 20 + 3) },
  { kind: 'duplicate', severity: 'warning', title: 'Same prompt twice', detail: 'Kept together, so none leaks from training into validation.', count: 17, rows: [0, 4, 8, 12] },
];

const ADVICE: DataReport['advice'] = {
  band: 'Under 1,000 examples', advice: 'Focus entirely on response quality: every example must be excellent.',
  mix: [{ type: 'question answering', rows: 300 }, { type: 'generation', rows: 120 }, { type: 'other', rows: 60 }],
  quality: { score: 90, parts: [{ name: 'Usable', weight: 30, value: 0.99, words: '476 of 480 rows can be trained' }, { name: 'Told once', weight: 25, value: 1, words: '0 rows repeat another, exactly or nearly' }] },
};

const HISTOGRAM = [0, 0, 98, 160, 88, 58, 54, 33, 46, 46, 29, 30, 34, 22, 27, 28, 26, 27, 30, 20, 28, 28, 30, 24, 26, 14, 12, 11, 5, 6, 7, 5, 3, 3, 4];

export class FakeWorker implements WorkerLike {
  onmessage: ((event: MessageEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  readonly received: ToWorker[] = [];
  readonly #o: FakeOptions;
  readonly #runs: RunDetail[];
  #datasets: DatasetSummary[];
  #training: { run: RunDetail; paused: boolean; stopped: boolean } | null = null;
  #stopped = new Set<string>();
  #cancelled = new Set<number>();

  constructor(options: FakeOptions = {}) {
    this.#o = options;
    this.#runs = options.runs ?? [];
    this.#datasets = options.datasets ?? [];
  }

  /** From now on this request fails, or so many times. */
  fail(name: RequestName, error: UserMessage, times = Infinity): void {
    this.#o.fail = { ...this.#o.fail, [name]: error };
    this.#failures.set(name, times);
  }
  terminate(): void { this.onmessage = null; }

  postMessage(message: ToWorker): void {
    this.received.push(message);
    void this.#answer(message);
  }

  #post(data: FromWorker): void { this.onmessage?.({ data } as MessageEvent); }
  emit(event: WorkerEvent): void { this.#post({ kind: 'event', event }); }
  wait(ms: number): Promise<void> { return new Promise((done) => setTimeout(done, ms)); }

  async #answer({ id, name, args }: ToWorker): Promise<void> {
    if (this.#o.delay) await this.wait(this.#o.delay);
    const failure = this.#o.fail?.[name];
    const left = this.#failures.get(name) ?? Infinity;
    this.#failures.set(name, left - 1);
    if (failure && left > 0) return this.#post({ kind: 'error', id, error: failure });
    try {
      const handler = this.#handlers[name] as (args: unknown, id: number) => unknown;
      const result = await handler(args, id);
      if (!this.#cancelled.has(id)) this.#post({ kind: 'result', id, result });
    } catch (error) {
      this.#post({ kind: 'error', id, error: (error as { userMessage?: UserMessage }).userMessage ?? { code: 'fake', what: String(error) } });
    }
  }

  #dataset(name: string, source: 'builtin' | 'file', rows: number, bytes: number): DatasetSummary {
    return {
      id: `${source}-${name}`, name, source, bytes, rows, skipped: 0, skippedLines: [], mapping: { shape: 'alpaca', instruction: 'instruction', input: 'input', output: 'output' },
      detectedBecause: 'All of the first 100 rows have instruction and output, so they are read as Alpaca.', fields: ['instruction', 'input', 'output'], createdAt: Date.now(),
    };
  }

  async #train(run: RunDetail): Promise<RunDetail> {
    const total = run.totalSteps;
    const training = { run, paused: false, stopped: false };
    this.#training = training;
    run.status = 'running';
    this.emit({ type: 'train.started', run });
    const startedAt = Date.now();
    for (let step = run.step + 1; step <= total && !training.stopped; step++) {
      await this.wait(this.#o.stepMs ?? 30);
      while (training.paused && !training.stopped) await this.wait(20);
      const metrics = fakeLoss(step, total);
      run.metrics.push(metrics);
      run.step = step;
      const elapsed = (Date.now() - startedAt) / 1000;
      this.emit({ type: 'train.step', runId: run.id, metrics, totalSteps: total, elapsedSeconds: elapsed, secondsLeft: ((total - step) * elapsed) / step });
      if (step === 1 || step % 40 === 0) {
        PAIRS.slice(0, 3).forEach(([prompt, answer], i) => this.emit({ type: 'train.answer', runId: run.id, answer: { step: step === 1 ? 0 : step, promptIndex: i, prompt, answer: step === 1 ? `${prompt} ${prompt}` : answer } }));
      }
      run.finalLoss = metrics.loss;
      if (step === this.#o.breakAt) {
        run.status = 'failed';
        this.#training = null;
        const message = { code: 'train.notFinite', what: `Training stopped at step ${step + 1}: the loss is not a number.` };
        this.emit({ type: 'train.status', runId: run.id, status: 'failed', message });
        // oxlint-disable-next-line no-throw-literal -- carried to the page as the error of the request
        throw { userMessage: message };
      }
    }
    run.status = training.stopped ? 'stopped' : 'finished';
    run.seconds = (Date.now() - startedAt) / 1000;
    this.#training = null;
    this.emit({ type: 'train.status', runId: run.id, status: run.status });
    return run;
  }

  #fixes: FixSummary[] = [];
  /** Rows switched off whole. */
  #off: number[] = [];
  #cached: CachedModel[] = [];
  readonly #failures = new Map<RequestName, number>();
  readonly #rows = new FakeRows({
    pairOf,
    dataset: (id) => this.#datasets.find((d) => d.id === id)!,
    change: (dataset) => { this.#datasets = this.#datasets.some((d) => d.id === dataset.id) ? this.#datasets.map((d) => (d.id === dataset.id ? dataset : d)) : [dataset, ...this.#datasets]; },
    emit: (event) => this.emit(event),
    wait: (ms) => this.wait(ms),
    finding: (kind) => (this.#o.findings ?? FINDINGS).find((f) => f.kind === kind)?.rows ?? null,
  });
  #token: string | null = null;

  readonly #run = (id: string): RunDetail => this.#runs.find((r) => r.id === id)!;

  readonly #handlers: { [N in RequestName]: (args: Requests[N]['args'], id: number) => Promise<Requests[N]['result']> | Requests[N]['result'] } = {
    ...this.#rows.handlers,
    'page.watched': () => null,
    'device.setMemoryLimit': () => null,
    'device.open': ({ measure }) => {
      const d = this.#o.device;
      // oxlint-disable-next-line no-throw-literal -- carried to the page as the error of the request
      if (d && 'code' in d) throw { userMessage: d };
      return { ...DEVICE, gflops: measure ? 1840 : null, ...d } as DeviceInfo;
    },
    'model.load': async ({ source, quantization = 'none' }, id) => {
      for (let i = 1; i <= 4; i++) {
        await this.wait(this.#o.delay ?? 10);
        this.emit({ type: 'progress', requestId: id, label: '', done: (i * MODEL.weightBytes) / 4, total: MODEL.weightBytes, unit: 'bytes' });
      }
      if (source.kind === 'hub') {
        this.#cached = [{ kind: 'model', repo: source.repo, commit: FAKE_COMMIT, revisions: ['main'], bytes: HUB_BYTES, totalBytes: HUB_BYTES, complete: true, lastUsedAt: Date.now() }];
        return { ...MODEL, source: 'hub', name: source.repo, revision: FAKE_COMMIT, quantization };
      }
      return source.kind === 'builtin' ? MODEL : { ...MODEL, source: 'folder', name: source.name, quantization };
    },
    'model.unload': () => null,
    'hub.search': ({ query, limit }) => [
      { repo: `someone/${query || 'model'}-135M`, downloads: 1_200_000, likes: 410, gated: false, licence: 'apache-2.0', parameters: 134_515_008, architecture: 'LlamaForCausalLM', supported: true, reason: null },
      { repo: `someone/${query || 'model'}-gated`, downloads: 90_000, likes: 22, gated: true, licence: 'llama3.2', parameters: 1_235_814_400, architecture: 'LlamaForCausalLM', supported: true, reason: null },
      { repo: `someone/${query || 'model'}-gguf`, downloads: 4000, likes: 3, gated: false, licence: null, parameters: null, architecture: null, supported: false, reason: 'Its weights are not in safetensors.' },
    ].slice(0, limit),
    'hub.inspect': ({ repo, revision }) => ({
      repo, revision: revision ?? 'main', commit: FAKE_COMMIT, licence: 'apache-2.0', gated: repo.endsWith('gated'),
      files: [{ path: 'config.json', bytes: 700, cachedBytes: 0 }, { path: 'model.safetensors', bytes: HUB_BYTES - 700, cachedBytes: 0 }],
      totalBytes: HUB_BYTES, cachedBytes: this.#cached.some((c) => c.repo === repo) ? HUB_BYTES : 0,
      architecture: 'LlamaForCausalLM', parameters: 134_515_008, hasTokenizer: true, hasChatTemplate: true,
      memory: { weights: HUB_BYTES, training: 2 * HUB_BYTES },
      problem: repo.endsWith('gated') && this.#token === null ? needsToken(repo) : null,
    }),
    'hub.inspectDataset': ({ repo, revision }) => {
      const files = (split: string, count: number, bytes: number) => ({ name: split, bytes: count * bytes, cachedBytes: 0, files: Array.from({ length: count }, (_, i) => ({ path: `data/${split}-${i}.parquet`, bytes, cachedBytes: 0 })) });
      const configs = repo.endsWith('empty') ? [] : [{ name: 'default', splits: [files('train', 2, 43_000_000), files('test', 1, 5_100_000)] }];
      return { repo, revision: revision ?? 'main', commit: FAKE_COMMIT, licence: 'cc-by-4.0', gated: repo.endsWith('gated'), configs, because: 'Divided by the names of its Parquet files.', problem: repo.endsWith('gated') && this.#token === null ? needsToken(repo, 'dataset') : null };
    },
    'data.importHub': ({ repo, revision = FAKE_COMMIT, config = 'default', split = 'train', mapping }) => {
      const made: DatasetSummary = { ...this.#dataset(`${repo} ${split}`, 'file', this.#o.rows ?? 999, 86_000_000), source: 'hub', hub: { repo, commit: revision, config, split }, ...(mapping ? { mapping } : {}) };
      this.#datasets = [made, ...this.#datasets.filter((d) => d.id !== made.id)];
      return made;
    },
    'hub.setToken': ({ token }) => { this.#token = token; return null; },
    'cache.list': () => this.#cached,
    'cache.delete': ({ repo }) => { this.#cached = this.#cached.filter((c) => c.repo !== repo); return null; },
    'data.import': async ({ source }, id) => {
      const rows = source.kind === 'builtin' ? 480 : this.#o.rows ?? 999;
      for (let i = 1; i <= 4; i++) {
        await this.wait(this.#o.delay ?? 10);
        this.emit({ type: 'progress', requestId: id, label: '', done: (i * rows) / 4, total: null, unit: 'rows' });
      }
      const made = source.kind === 'builtin' ? this.#dataset('builtin', 'builtin', rows, 61_231) : this.#dataset(source.file.name, 'file', rows, source.file.size || 860_000);
      this.#datasets = [made, ...this.#datasets.filter((d) => d.id !== made.id)];
      return made;
    },
    'data.importFiles': ({ files }) => files.map((file) => this.#dataset(file.name, 'file', this.#o.rows ?? 999, file.size)),
    'data.importText': ({ text, name }) => this.#dataset(name ?? 'Pasted rows.txt', 'file', 3, text.length),
    'data.list': () => this.#datasets,
    'data.delete': ({ datasetId }) => { this.#datasets = this.#datasets.filter((d) => d.id !== datasetId); return null; },
    'data.setMapping': ({ datasetId, mapping }) => {
      this.#datasets = this.#datasets.map((d) => (d.id === datasetId ? { ...d, mapping } : d));
      return this.#datasets.find((d) => d.id === datasetId)!;
    },
    'data.rows': ({ offset, limit }) => Array.from({ length: limit }, (_, i) => {
      const [prompt, answer] = pairOf(offset + i);
      return { index: offset + i, line: offset + i + 1, prompt, answer: answer.replaceAll('\n', ' ') };
    }),
    'data.rejected': () => null,
    'data.preview': ({ datasetId, index }) => this.#rows.turns(datasetId, index),
    'data.inspect': ({ index, maxLength, trainedTurns }) => ({ ...inspected(index, maxLength, trainedTurns ?? {}), ...(this.#off.includes(index) ? { leftOutBy: ['Rows switched off one by one'] } : {}) }),
    'data.setTrainedTurns': () => null,
    'data.applyFix': ({ kind }) => {
      this.#fixes = [...this.#fixes, { id: `fix-${this.#fixes.length + 1}`, kind, action: 'drop', title: 'Exact copies: the first of each is kept', appliedAt: Date.now(), rows: 17 }];
      return this.#fixes;
    },
    'data.undoFix': ({ fixId }) => { this.#fixes = this.#fixes.filter((fix) => fix.id !== fixId); return this.#fixes; },
    'data.fixes': () => this.#fixes,
    'data.overlap': () => ({ count: 2, rows: [1, 4], otherRows: [5, 8], near: { count: 1, rows: [10], otherRows: [2] }, partial: false }),
    'data.leaveOutOverlap': ({ near }) => {
      this.#fixes = [...this.#fixes, { id: 'overlap', kind: 'overlap', action: 'drop', title: 'Rows that ask what test.jsonl asks', appliedAt: Date.now(), rows: near ? 3 : 2 }];
      return this.#fixes;
    },
    'data.setRowTrained': ({ index, trained }) => {
      this.#off = trained ? this.#off.filter((row) => row !== index) : [...this.#off, index];
      this.#fixes = [...this.#fixes.filter(({ kind }) => kind !== 'row-switch'), ...(this.#off.length > 0 ? [{ id: 'rows', kind: 'row-switch' as const, action: 'drop' as const, title: 'Rows switched off one by one', appliedAt: Date.now(), rows: this.#off.length }] : [])];
      return this.#fixes;
    },
    'data.trainingPlace': ({ index, recipe }) => (recipe.training.packing
      ? { part: 'train', pack: { number: 2, of: 31, from: 118, tokens: 402, capacity: recipe.data.maxLength, rows: [index, index + 2, index + 5] } } : { part: 'train', pack: null }),
    'data.tokenLoss': ({ index, maxLength, trainedTurns, which }) => lossesOf(inspected(index, maxLength, trainedTurns ?? {}), which),
    'data.changes': ({ format }) => ({ fileName: `changes.${format === 'json' ? 'json' : 'txt'}`, blob: new Blob(['']), entries: 0 }),
    'data.report': ({ datasetId }) => {
      const rows = this.#datasets.find((d) => d.id === datasetId)?.rows ?? 0;
      const findings = this.#o.findings ?? (datasetId.startsWith('builtin') ? [] : FINDINGS);
      return { rows, usableRows: rows - 4, droppedRows: findings.length ? 4 : 0, leftOutRows: 0, languages: [], advice: ADVICE, cutRows: 41, tokens: 175_666, labelledTokens: 111_666, longest: 702, histogram: { width: 20, counts: HISTOGRAM }, charts: CHARTS, checksPassed: 12 - findings.length, findings };
    },
    'train.forecast': ({ recipe }) => {
      const rows = this.#datasets[0]?.rows ?? 480;
      const steps = Math.ceil((rows * recipe.training.numTrainEpochs) / (recipe.training.perDeviceTrainBatchSize * recipe.training.gradientAccumulationSteps));
      const adapter = recipe.lora.r * 9728;
      return {
        trainingRows: rows, heldOutRows: 0, droppedRows: rows === 480 ? 0 : 4, tokensSeen: 30_552, labelledTokensSeen: 13_802, steps, stepsPerEpoch: Math.ceil(steps / recipe.training.numTrainEpochs), warmupSteps: 6,
        trainableParameters: adapter, modelParameters: MODEL.parameters, adapterBytes: adapter * 4 + 9000,
        memory: {
          weights: 2_099_456, activations: recipe.data.maxLength * 180_000, scratch: 0, logits: 4_200_000, adapter: adapter * 16, generation: 0, other: 0,
          total: 2_099_456 + recipe.data.maxLength * 180_000 + 4_200_000 + adapter * 16, policy: 'none', extraFlops: 0, fits: true, policies: [],
          budget: { bytes: 8e9, basis: 'largestBuffer', words: 'Browsers do not tell how much memory an adapter has.' }, smaller: [],
        },
        seconds: steps * 0.17, measured: true,
        mix: fakeMix(rows, recipe, steps),
      };
    },
    'train.start': ({ recipe, datasetId }) => {
      const dataset = this.#datasets.find((d) => d.id === datasetId)!;
      const run = fakeRun({ id: `run-${this.#runs.length + 1}`, recipe, dataset, totalSteps: this.#o.totalSteps ?? 120 });
      this.#runs.push(run);
      return this.#train(run);
    },
    'train.resume': ({ runId }) => {
      const run = { ...this.#run(runId) };
      run.step = this.#o.checkpointStep ?? run.step;
      run.metrics = run.metrics.filter((m) => m.step <= run.step);
      return this.#train(run);
    },
    'train.pause': () => { if (this.#training) { this.#training.paused = true; this.emit({ type: 'train.status', runId: this.#training.run.id, status: 'paused' }); } return null; },
    'train.continue': () => { if (this.#training) { this.#training.paused = false; this.emit({ type: 'train.status', runId: this.#training.run.id, status: 'running' }); } return null; },
    'train.stop': () => { if (this.#training) this.#training.stopped = true; return null; },
    'runs.list': () => this.#runs,
    'runs.get': ({ runId }) => this.#run(runId),
    'runs.rename': ({ runId, name }) => { const run = this.#run(runId); run.name = name; return { ...run }; },
    'runs.delete': ({ runId }) => { this.#runs.splice(this.#runs.findIndex((r) => r.id === runId), 1); return null; },
    'runs.open': ({ runId }) => this.#run(runId),
    'chat.generate': async ({ streamId, which, messages }) => {
      const prompt = messages[0]!.content;
      const answer = which === 'tuned' ? PAIRS.find(([p]) => p === prompt)?.[1] ?? 'The capital of Norway is Oslo.' : `${prompt} ${PAIRS[1][0]} ${PAIRS[3][0]} `.repeat(6);
      let text = '';
      let tokens = 0;
      for (const piece of answer.match(/\s?\S+/g) ?? []) {
        await this.wait(this.#o.stepMs ?? 25);
        if (this.#stopped.delete(streamId)) return { text, tokens, tokensPerSecond: 24.6, stoppedBy: 'user' };
        text += piece;
        tokens++;
        this.emit({ type: 'chat.token', streamId, text: piece });
      }
      return { text, tokens, tokensPerSecond: 22.9, stoppedBy: which === 'tuned' ? 'eos' : 'length' };
    },
    'chat.stop': ({ streamId }) => { this.#stopped.add(streamId); return null; },
    'chat.heldOutPrompts': ({ limit }) => PAIRS.slice(0, limit).map(([prompt, reference], i) => ({ index: datasetIndex(i), prompt, reference })),
    'export.build': async () => {
      await this.wait(100);
      return {
        zip: new Blob([new Uint8Array(331_000)]), fileName: 'etude-builtin-r8.zip', ok: true,
        checks: [
          { file: 'adapter_model.safetensors', bytes: 319_488, ok: true, detail: 'Same logits as the model you tried: 56 tensors read back, largest difference 0 on 8 rows' },
          { file: 'adapter_config.json', bytes: 740, ok: true, detail: 'Scale and modules agree with the tensors: alpha / r = 2.00, 7 of 7 target modules found' },
          { file: 'recipe.json', bytes: 1_204, ok: true, detail: 'Opens here and gives the same run: 31 settings, none changed' },
          { file: 'metrics.jsonl', bytes: 21_500, ok: true, detail: 'Every logged step: 120 lines' },
          { file: 'README.md', bytes: 1_996, ok: true, detail: 'Written' },
        ],
      };
    },
    'adapter.import': ({ name }) => ({ name, r: 8, targetModules: ['q_proj'], base: 'their/base' }),
    'storage.info': () => ({ usage: 1.2e9, quota: 39.4e9, persisted: true }),
    cancel: ({ requestId }) => { this.#cancelled.add(requestId); return null; },
  };
}

const datasetIndex = (i: number): number => 235 + i;
