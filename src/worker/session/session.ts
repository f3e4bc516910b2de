/**
 * Owns what is loaded at a time (device, model, adapter, run) and answers the protocol's requests. The same object serves the
 * page's worker, the headless page and Node.
 */
import { EtudeError, toUserMessage, type UserMessage } from '../../config/errors.ts';
import type { LoraConfig, Recipe } from '../../config/recipe.ts';
import { openDatabase, type EtudeDatabase } from '../../data/db.ts';
import type { DataReport, DatasetSummary, TemplateId } from '../../data/types.ts';
import { openEngine, type Engine } from '../../engine/device.ts';
import { measureGflops } from '../../engine/measure.ts';
import { adapterTargets, type AdapterState } from '../../formats/peftAdapter.ts';
import type { ByteSource } from '../../formats/byteSource.ts';
import { openAdapterFolder } from '../../hub/adapterFolder.ts';
import { openBuiltinData, openBuiltinModel } from '../../hub/builtin.ts';
import { sourcesFromFiles } from '../../hub/droppedFiles.ts';
import { openModelFolder, type ModelFolder } from '../../hub/modelFolder.ts';
import { allTargets, LoraAdapter, type LoraTarget } from '../../model/lora.ts';
import type { DeviceInfo, Forecast, ModelSummary, RequestName, Requests, RunDetail, RunSummary } from '../protocol.ts';
import { ask } from './chat.ts';
import { Datasets, type RunFeed } from './datasets.ts';
import type { RequestContext, SessionEnvironment } from './environment.ts';
import { buildExport, type BuiltExport } from './exporting.ts';
import { LoadedModel } from './loadedModel.ts';
import { forecastRun, heldOutPrompts, samplePrompts } from './planning.ts';
import { LOST_WITHIN, RunControl } from './runControl.ts';
import { Runs, summaryOf } from './runs.ts';
import { loraConfigOf, type Tuned } from './tuned.ts';

type Handlers = { [N in RequestName]: (args: Requests[N]['args'], context: RequestContext) => Promise<Requests[N]['result']> };

const refuse = (code: string, what: string, nextStep: string): EtudeError => new EtudeError({ code, what, nextStep });

export class Session {
  readonly environment: SessionEnvironment;
  #engine: Promise<Engine> | null = null;
  /** Settles when the device opened last is lost. */
  #loss: Promise<UserMessage> | null = null;
  #gflops: number | null = null;
  #database: Promise<{ db: EtudeDatabase; datasets: Datasets; runs: Runs }> | null = null;
  #model: LoadedModel | null = null;
  #tuned: Tuned | null = null;
  #run: RunControl | null = null;
  /** From the request for a run to its end: reading rows and compiling come before there is a RunControl. */
  #busy = false;
  #work: Promise<unknown> | null = null;
  /** Tokens a second of the last run, and what it was measured with. */
  #measured: { key: string; tokensPerSecond: number } | null = null;
  readonly #streams = new Map<string, AbortController>();

  constructor(environment: SessionEnvironment) {
    this.environment = environment;
  }

  handle<N extends RequestName>(name: N, args: Requests[N]['args'], context: RequestContext): Promise<Requests[N]['result']> {
    const handler = this.#handlers[name];
    if (!handler) return Promise.reject(refuse('protocol.unknown', `The page asked for ${name}, which this worker does not know.`, 'Reload the page.'));
    return handler(args, context).catch((error: unknown) => this.#explain(error));
  }

  /** Loads a model from files, for callers without a page. */
  async loadFolder(source: ModelSummary['source'], open: () => Promise<ModelFolder>, context: RequestContext): Promise<ModelSummary> {
    if (this.#busy) throw refuse('run.busy', 'A run is going on with the loaded model.', 'Stop the run first.');
    const engine = await this.#open();
    const folder = await open();
    const load = (): Promise<LoadedModel> => LoadedModel.load(engine, source, folder, {
      signal: context.signal,
      onProgress: (done, total) => context.progress('Weights to the GPU', done, total, 'bytes'),
    });
    // Beside the old model where both fit, so that a folder that cannot be loaded costs nothing.
    const loaded = await load().catch(async (error: unknown) => {
      if (!this.#model || toUserMessage(error).code !== 'device.outOfMemory') throw error;
      await this.#unload();
      this.environment.emit({ type: 'model.unloaded' });
      return load();
    });
    await this.#unload();
    this.#model = loaded;
    return loaded.summary;
  }

  async importBlob(blob: Blob, name: string, kind: DatasetSummary['source'], context: RequestContext): Promise<DatasetSummary> {
    return (await this.#data()).datasets.import(blob, name, kind, context);
  }

  async report(datasetId: string, template: TemplateId, maxLength: number, context: RequestContext): Promise<DataReport> {
    return (await (await this.#data()).datasets.report(this.#needModel(), datasetId, template, maxLength, context)).report;
  }

  /** Makes an adapter from files the tuned one. */
  async importAdapter(name: string, files: ReadonlyMap<string, ByteSource>): Promise<{ name: string; config: LoraConfig }> {
    const model = this.#needModel();
    if (this.#busy) throw refuse('run.busy', 'A run is going on.', 'Stop the run before importing an adapter.');
    const state = await openAdapterFolder(name, files, model.loraModules);
    const adapter = this.#adapterFrom(model, state);
    await this.#setTuned({ adapter, recipe: null, runId: null, name });
    return { name, config: adapter.config };
  }

  /**
   * Starts a run and resolves at its end. @param options.fromTuned goes on from the tuned adapter's weights instead of a
   * fresh one; its rank and layers win over the recipe's.
   */
  async train(datasetId: string, recipe: Recipe, options: { name?: string; fromTuned?: boolean; answers?: boolean; context?: RequestContext } = {}): Promise<RunDetail> {
    return this.#alone(() => this.#startRun(datasetId, recipe, options));
  }

  async #startRun(datasetId: string, recipe: Recipe, options: { name?: string; fromTuned?: boolean; answers?: boolean; context?: RequestContext }): Promise<RunDetail> {
    const model = this.#needModel();
    const { datasets } = await this.#data();
    const dataset = await datasets.get(datasetId);
    const start = options.fromTuned && this.#tuned ? this.#tuned.adapter : null;
    const lora = start ? start.config : recipe.lora;
    const used: Recipe = { ...recipe, lora };
    const feed = await datasets.feed(model, datasetId, used, options.context ? { context: options.context } : {});
    const targets = start ? start.entries.map(({ layer, module }): LoraTarget => ({ layer, module })) : allTargets(model.config, lora.targetModules);
    const adapter = new LoraAdapter(model.gpu.engine, model.config, lora, targets);
    if (start) adapter.load(await start.read());
    else adapter.initialise(recipe.training.seed);
    const now = Date.now();
    const detail: RunDetail = {
      id: crypto.randomUUID(),
      name: options.name ?? `${dataset.name} · rank ${lora.r}`,
      status: 'running',
      createdAt: now,
      updatedAt: now,
      recipe: used,
      model: { source: model.summary.source, name: model.summary.name, architecture: model.summary.architecture },
      dataset: { id: dataset.id, name: dataset.name, rows: dataset.rows },
      step: 0,
      totalSteps: feed.feed.totalSteps,
      finalLoss: null,
      bestEvalLoss: null,
      seconds: 0,
      resumable: false,
      metrics: [],
      answers: [],
      alerts: [],
    };
    return this.#runToEnd(model, adapter, feed, detail, null, options.answers !== false);
  }

  async buildExport(): Promise<BuiltExport> {
    const model = this.#needModel();
    const tuned = this.#needTuned();
    if (this.#run && !this.#run.resting) throw refuse('run.busy', 'The adapter is being trained and changes at every step.', 'Pause or stop the run, then export.');
    const { runs, datasets } = await this.#data();
    const detail = tuned.runId ? await runs.detail(tuned.runId) : null;
    const recipe = tuned.recipe;
    if (!recipe) throw refuse('export.imported', `${tuned.name} was imported, not trained here; its files are the ones you have.`, 'Train a run, or reopen one under Runs.');
    const [question] = detail ? await datasets.prompts(model, detail.dataset.id, [0], recipe.data.template).catch(() => []) : [];
    return buildExport({
      model, adapter: tuned.adapter, recipe, metrics: detail?.metrics ?? [], question: question?.prompt ?? 'What can you tell me?', pageUrl: this.environment.pageUrl,
    });
  }

  async destroy(): Promise<void> {
    this.#run?.stop();
    await this.#work?.catch(() => null);
    await this.#unload();
    (await this.#engine?.catch(() => null))?.destroy();
    this.#engine = null;
    (await this.#database?.catch(() => null))?.db.close();
    this.#database = null;
  }

  readonly #handlers: Handlers = {
    'device.open': ({ measure }) => this.deviceInfo(measure === true),
    'model.load': async ({ source }, context) => {
      const open = source.kind === 'builtin'
        ? () => openBuiltinModel(this.environment.loadBuiltin)
        : () => openModelFolder(source.name, sourcesFromFiles(source.files));
      return this.loadFolder(source.kind === 'builtin' ? 'builtin' : 'folder', open, context);
    },
    'model.unload': async () => (await this.#unload(), null),
    'data.import': async ({ source }, context) => {
      if (source.kind === 'file') return this.importBlob(source.file, source.file.name, 'file', context);
      return this.importBuiltinData(context);
    },
    'data.list': async () => (await this.#data()).datasets.store.list(),
    'data.delete': async ({ datasetId }) => {
      const { datasets, runs } = await this.#data();
      await runs.refuseIfTrainedOn(datasetId);
      await datasets.delete(datasetId);
      return null;
    },
    'data.setMapping': async ({ datasetId, mapping }) => (await this.#data()).datasets.setMapping(datasetId, mapping),
    'data.rows': async ({ datasetId, offset, limit }) => (await this.#data()).datasets.rows(datasetId, offset, limit),
    'data.preview': async ({ datasetId, index, mapping }) => (await this.#data()).datasets.preview(datasetId, index, mapping),
    'data.inspect': async (args) => (await this.#data()).datasets.inspect(this.#needModel(), args),
    'data.setTrainedTurns': async ({ datasetId, index, trainedTurns }) => (await (await this.#data()).datasets.setTrainedTurns(datasetId, index, trainedTurns), null),
    'data.report': ({ datasetId, template, maxLength }, context) => this.report(datasetId, template, maxLength, context),
    'train.forecast': (args, context) => this.#forecast(args.datasetId, args.recipe, context),
    'train.start': async ({ datasetId, recipe, name }, context) => summaryOf(await this.train(datasetId, recipe, { ...(name ? { name } : {}), context })),
    'train.resume': async ({ runId }, context) => summaryOf(await this.#alone(() => this.#resume(runId, context))),
    'train.pause': async () => (this.#needRun().pause(), null),
    'train.continue': async () => (this.#needRun().continue(), null),
    'train.stop': async () => (this.#needRun().stop(), null),
    'runs.list': async () => (await this.#data()).runs.list(),
    'runs.get': async ({ runId }) => (await this.#data()).runs.detail(runId),
    'runs.rename': async ({ runId, name }) => this.#rename(runId, name),
    'runs.delete': async ({ runId }) => {
      if (this.#run?.id === runId) throw refuse('run.busy', 'This run is going on.', 'Stop it before deleting it.');
      const { runs } = await this.#data();
      await runs.refuseIfElsewhere(runId);
      await runs.store.deleteRun(runId);
      return null;
    },
    'runs.open': ({ runId }) => this.#openRun(runId),
    'chat.generate': (args) => this.#chat(args),
    'chat.stop': async ({ streamId }) => (this.#streams.get(streamId)?.abort(), null),
    'chat.heldOutPrompts': async ({ datasetId, limit }) => heldOutPrompts({ ...(await this.#data()), model: this.#model, loadBuiltin: this.environment.loadBuiltin }, datasetId, limit),
    'export.build': async () => {
      const { zip, fileName, checks, ok } = await this.buildExport();
      return { zip: new Blob([zip], { type: 'application/zip' }), fileName, checks, ok };
    },
    'adapter.import': async ({ name, files }) => {
      const { config } = await this.importAdapter(name, sourcesFromFiles(files));
      return { name, r: config.r, targetModules: config.targetModules };
    },
    'storage.info': async () => {
      const { storage } = this.environment;
      const { usage = 0, quota = 0 } = (await storage?.estimate()) ?? {};
      return { usage, quota, persisted: (await storage?.persisted()) ?? false };
    },
    // Handled where the messages arrive.
    cancel: async () => null,
  };

  async deviceInfo(measure: boolean): Promise<DeviceInfo> {
    const engine = await this.#open();
    // Not while a run uses the device: both would be wrong.
    if (measure && this.#gflops === null && !this.#busy) this.#gflops = await measureGflops(engine);
    const { vendor, architecture, description, software, f16, subgroups } = engine.info;
    return { vendor, architecture, description, software, f16, subgroups, maxBufferSize: engine.limits.maxBufferSize, maxBindingSize: engine.maxBinding, gflops: this.#gflops };
  }

  /** The built-in rows, imported once and then found again. */
  async importBuiltinData(context: RequestContext): Promise<DatasetSummary> {
    const { datasets } = await this.#data();
    const stored = (await datasets.store.list()).find((d) => d.source === 'builtin');
    if (stored) return stored;
    const source = await openBuiltinData(this.environment.loadBuiltin);
    return datasets.import(new Blob([await source.read(0, source.size)]), 'Built-in questions.jsonl', 'builtin', context);
  }

  #open(): Promise<Engine> {
    this.#engine ??= openEngine(this.environment.gpu).then((engine) => {
      this.#loss = engine.lost;
      void engine.lost.then((message) => this.#deviceLost(message));
      return engine;
    }).catch((error: unknown) => {
      this.#engine = null;
      throw error;
    });
    return this.#engine;
  }

  #deviceLost(message: UserMessage): void {
    const run = this.#run;
    this.#engine = null;
    this.#model = null;
    this.#tuned = null;
    this.environment.emit({ type: 'device.lost', message: run ? run.lost(message.likelyCause ?? '') : message });
  }

  /** What fails on a lost device may fail before the device says that it is lost. */
  async #explain(failure: unknown): Promise<never> {
    if (failure instanceof EtudeError || !this.#loss) throw failure;
    const lost = await Promise.race([this.#loss, new Promise<null>((resolve) => setTimeout(resolve, LOST_WITHIN, null))]);
    throw lost ? new EtudeError(lost, { cause: failure }) : failure;
  }

  #data() {
    this.#database ??= openDatabase(this.environment.database).then((db) => ({
      db, datasets: new Datasets(db, this.environment), runs: new Runs(db, this.environment.locks),
    })).catch((error: unknown) => {
      this.#database = null;
      throw error;
    });
    return this.#database;
  }

  async #unload(): Promise<void> {
    if (this.#busy) throw refuse('run.busy', 'A run is going on with the loaded model.', 'Stop the run first.');
    const model = this.#model;
    this.#endAnswers();
    await this.#setTuned(null);
    this.#model = null;
    await model?.destroy();
  }

  #endAnswers(): void {
    for (const stream of this.#streams.values()) stream.abort();
  }

  async #setTuned(tuned: Tuned | null): Promise<void> {
    const before = this.#tuned;
    this.#tuned = tuned;
    if (!before || before.adapter === tuned?.adapter) return;
    this.#endAnswers();
    await this.#model?.release(before.adapter);
  }

  #adapterFrom(model: LoadedModel, state: AdapterState): LoraAdapter {
    const targets = adapterTargets(state);
    const adapter = new LoraAdapter(model.gpu.engine, model.config, loraConfigOf(state, [...new Set(targets.map((t) => t.module))]), targets);
    adapter.load(state.tensors);
    return adapter;
  }

  async #runToEnd(model: LoadedModel, adapter: LoraAdapter, feed: RunFeed, detail: RunDetail, checkpoint: Awaited<ReturnType<Runs['store']['getCheckpoint']>>, answers: boolean): Promise<RunDetail> {
    const { runs, datasets } = await this.#data();
    await runs.claim(detail.id, detail.name);
    try {
      const prompts = answers ? await samplePrompts({ model, datasets, detail, feed, loadBuiltin: this.environment.loadBuiltin }) : [];
      this.#run = new RunControl({ model, adapter, feed, detail, checkpoint, prompts, runs, emit: this.environment.emit });
      await this.#run.prepare();
      await runs.store.putRun(detail);
      await this.#setTuned({ adapter, recipe: detail.recipe, runId: detail.id, name: detail.name });
      await this.#run.run();
      const last = detail.metrics.at(-1);
      if (last && detail.seconds > 0) this.#measured = { key: this.#speedKey(detail.recipe), tokensPerSecond: last.numTokens / detail.seconds };
      return detail;
    } catch (error) {
      if (this.#tuned?.adapter !== adapter) adapter.destroy();
      // The adapter is the one the run began with: nothing to try or export.
      else if (detail.step === 0) await this.#setTuned(null);
      throw error;
    } finally {
      this.#run?.release();
      this.#run = null;
      runs.release(detail.id);
    }
  }

  /** Runs one at a time; a second request is refused, not queued. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseSecondRun();
    this.#busy = true;
    try {
      const promise = work();
      this.#work = promise;
      return await promise;
    } finally {
      this.#busy = false;
    }
  }

  async #resume(runId: string, context: RequestContext): Promise<RunDetail> {
    const model = this.#needModel();
    const { runs, datasets } = await this.#data();
    await runs.refuseIfElsewhere(runId);
    const detail = await runs.detail(runId);
    const checkpoint = await runs.store.getCheckpoint(runId);
    if (!checkpoint) throw refuse('run.notResumable', `${detail.name} has no checkpoint to go on from.`, 'Start a new run with the same recipe.');
    await datasets.get(detail.dataset.id);
    if (!detail.resumable) throw refuse('run.notResumable', `${detail.name} has made all of its ${detail.totalSteps} steps.`, 'Start a new run.');
    this.#checkModel(model, detail);
    // The same variants give the same bits; on another device they may not exist, and its own are used.
    if (checkpoint.device === model.gpu.engine.info.key) Object.assign(model.gpu.engine.variants, checkpoint.variants);
    const feed = await datasets.feed(model, detail.dataset.id, detail.recipe, { heldOut: checkpoint.heldOut, context });
    const adapter = new LoraAdapter(model.gpu.engine, model.config, detail.recipe.lora, checkpoint.targets);
    const { step } = checkpoint.state;
    const resumed: RunDetail = {
      ...detail, status: 'running', step, resumable: false,
      metrics: detail.metrics.filter((m) => m.step <= step),
      answers: detail.answers.filter((a) => a.step <= step),
    };
    return this.#runToEnd(model, adapter, feed, resumed, checkpoint, true);
  }

  async #openRun(runId: string): Promise<RunDetail> {
    const model = this.#needModel();
    const { runs } = await this.#data();
    const detail = await runs.detail(runId);
    if (this.#run) {
      if (this.#run.id === runId) return detail;
      throw refuse('run.busy', 'Another run is going on.', 'Stop it before reopening this one.');
    }
    const checkpoint = await runs.store.getCheckpoint(runId);
    if (!checkpoint) throw refuse('run.noAdapter', `${detail.name} was stopped before its first checkpoint, so it has no adapter.`, 'Start a new run with the same recipe.');
    this.#checkModel(model, detail);
    const adapter = new LoraAdapter(model.gpu.engine, model.config, detail.recipe.lora, checkpoint.targets);
    adapter.restore({ params: checkpoint.state.params });
    await this.#setTuned({ adapter, recipe: detail.recipe, runId, name: detail.name });
    return detail;
  }

  async #rename(runId: string, name: string): Promise<RunSummary> {
    const { runs } = await this.#data();
    await runs.refuseIfElsewhere(runId);
    const detail = await runs.detail(runId);
    const renamed = { ...detail, name: name.trim().slice(0, 120) || detail.name };
    if (this.#run?.id === runId) this.#run.rename(renamed.name);
    else await runs.store.putRun(renamed);
    return summaryOf(renamed);
  }

  async #forecast(datasetId: string, recipe: Recipe, context: RequestContext): Promise<Forecast> {
    const model = this.#needModel();
    const feed = await (await this.#data()).datasets.feed(model, datasetId, recipe, { context });
    return forecastRun(model, feed, recipe, { gflops: this.#gflops, tokensPerSecond: this.#measured?.key === this.#speedKey(recipe) ? this.#measured.tokensPerSecond : null });
  }

  #speedKey(recipe: Recipe): string {
    const { r, targetModules } = recipe.lora;
    return [this.#model?.summary.name, r, targetModules.join(), recipe.training.perDeviceTrainBatchSize].join('\n');
  }

  async #chat({ streamId, messages, template, which, sampling }: Requests['chat.generate']['args']): Promise<Requests['chat.generate']['result']> {
    const model = this.#needModel();
    const adapter = which === 'tuned' ? this.#needTuned().adapter : null;
    const abort = new AbortController();
    this.#streams.set(streamId, abort);
    try {
      return await ask(model, {
        messages, template, adapter, sampling, signal: abort.signal, onText: (text) => this.environment.emit({ type: 'chat.token', streamId, text }),
      });
    } finally {
      this.#streams.delete(streamId);
    }
  }

  #checkModel(model: LoadedModel, detail: RunDetail): void {
    const { name, architecture } = detail.model;
    if (name === model.summary.name && architecture === model.summary.architecture) return;
    throw refuse('run.otherModel', `${detail.name} was trained on ${name}; ${model.summary.name} is loaded.`, `Load ${name} under Model, then try again.`);
  }

  #refuseSecondRun(): void {
    if (this.#busy) throw refuse('run.busy', 'A run is going on already.', 'Stop it, or wait for its end.');
  }

  #needModel(): LoadedModel {
    if (!this.#model) throw refuse('model.none', 'No model is loaded.', 'Choose a model first.');
    return this.#model;
  }

  #needTuned(): Tuned {
    if (!this.#tuned) throw refuse('adapter.none', 'There is no tuned model yet.', 'Train a run, reopen one under Runs, or import an adapter.');
    return this.#tuned;
  }

  #needRun(): RunControl {
    if (!this.#run) throw refuse('run.none', 'No run is going on.', 'Start one under Train.');
    return this.#run;
  }
}
