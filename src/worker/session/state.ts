/**
 * Owns what is loaded at a time (device, model, adapter, run) and the rule that one run goes on at a time.
 * Refuses to know the requests.
 */
import { EtudeError, type UserMessage } from '../../config/errors.ts';
import { openDatabase, type EtudeDatabase } from '../../data/db.ts';
import { openEngine, submitBudget, type Engine } from '../../engine/device.ts';
import { measureGflops } from '../../engine/measure.ts';
import type { DeviceInfo } from '../protocol.ts';
import { Datasets } from './datasets.ts';
import type { SessionEnvironment } from './environment.ts';
import type { LoadedModel } from './loadedModel.ts';
import { DeviceMemory } from './memoryPlanning.ts';
import { refuse } from './refuse.ts';
import { RowTables } from './rowTables.ts';
import { LOST_WITHIN, type RunControl } from './runControl.ts';
import { Runs } from './runs.ts';
import type { Tuned } from './tuned.ts';
import { rememberVariants } from './tuning.ts';

interface StoredData { db: EtudeDatabase; datasets: Datasets; tables: RowTables; runs: Runs }

export class SessionState {
  readonly environment: SessionEnvironment;
  model: LoadedModel | null = null;
  run: RunControl | null = null;
  gflops: number | null = null;
  readonly memory = new DeviceMemory();
  /** Tokens a second of the last run, and what it was measured with. */
  measured: { key: string; tokensPerSecond: number } | null = null;
  /** Answers under way, by stream. */
  readonly streams = new Map<string, AbortController>();
  #tuned: Tuned | null = null;
  #engine: Promise<Engine> | null = null;
  /** Settles when the device opened last is lost. */
  #loss: Promise<UserMessage> | null = null;
  #database: Promise<StoredData> | null = null;
  /** From the request for a run to its end: reading rows and compiling come before there is a RunControl. */
  #busy = false;
  #work: Promise<unknown> | null = null;

  /** Whether a person looks at the page; without a page nobody does. */
  #watched: boolean;

  constructor(environment: SessionEnvironment) {
    this.environment = environment;
    this.#watched = environment.pageUrl !== null;
  }

  /** A hidden page has no frames that would queue behind the training. */
  async watch(watched: boolean): Promise<void> {
    this.#watched = watched;
    const engine = await this.#engine?.catch(() => null);
    if (engine) engine.submitBudgetMs = submitBudget(watched);
  }

  get busy(): boolean {
    return this.#busy;
  }

  get tuned(): Tuned | null {
    return this.#tuned;
  }

  engine(): Promise<Engine> {
    this.#engine ??= openEngine(this.environment.gpu, { watched: this.#watched }).then(async (engine) => {
      this.#loss = engine.lost;
      void engine.lost.then((message) => this.#deviceLost(message));
      await rememberVariants(engine, async () => (await this.data()).db);
      return engine;
    }).catch((error: unknown) => {
      this.#engine = null;
      throw error;
    });
    return this.#engine;
  }

  async deviceInfo(measure: boolean): Promise<DeviceInfo> {
    const engine = await this.engine();
    // Not while a run uses the device: both would be wrong.
    if (measure && this.gflops === null && !this.#busy) this.gflops = await measureGflops(engine);
    const { vendor, architecture, description, software, f16, subgroups } = engine.info;
    return { vendor, architecture, description, software, f16, subgroups, maxBufferSize: engine.limits.maxBufferSize, memoryBudget: this.memory.budget(engine.limits.maxBufferSize).bytes, maxBindingSize: engine.maxBinding, gflops: this.gflops };
  }

  data(): Promise<StoredData> {
    this.#database ??= openDatabase(this.environment.database).then((db) => {
      const datasets = new Datasets(db, this.environment);
      return { db, datasets, tables: new RowTables(db, datasets, this.environment.emit), runs: new Runs(db, this.environment.locks) };
    }).catch((error: unknown) => {
      this.#database = null;
      throw error;
    });
    return this.#database;
  }

  #deviceLost(message: UserMessage): void {
    const { run } = this;
    this.#engine = null;
    this.model = null;
    this.#tuned = null;
    this.memory.forget();
    this.environment.emit({ type: 'device.lost', message: run ? run.lost(message.likelyCause ?? '') : message });
  }

  /** What fails on a lost device may fail before the device says that it is lost. */
  async explain(failure: unknown): Promise<never> {
    if (failure instanceof EtudeError || !this.#loss) throw failure;
    const lost = await Promise.race([this.#loss, new Promise<null>((resolve) => setTimeout(resolve, LOST_WITHIN, null))]);
    throw lost ? new EtudeError(lost, { cause: failure }) : failure;
  }

  async unload(): Promise<void> {
    if (this.#busy) throw refuse('run.busy', 'A run is going on with the loaded model.', 'Stop the run first.');
    const { model } = this;
    this.#endAnswers();
    await this.setTuned(null);
    this.model = null;
    await model?.destroy();
  }

  #endAnswers(): void {
    for (const stream of this.streams.values()) stream.abort();
  }

  async setTuned(tuned: Tuned | null): Promise<void> {
    const before = this.#tuned;
    this.#tuned = tuned;
    if (!before || before.adapter === tuned?.adapter) return;
    this.#endAnswers();
    await this.model?.release(before.adapter);
  }

  /** Runs one at a time; a second request is refused, not queued. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy) throw refuse('run.busy', 'A run is going on already.', 'Stop it, or wait for its end.');
    this.#busy = true;
    try {
      const promise = work();
      this.#work = promise;
      return await promise;
    } finally {
      this.#busy = false;
    }
  }

  needModel(): LoadedModel {
    if (!this.model) throw refuse('model.none', 'No model is loaded.', 'Choose a model first.');
    return this.model;
  }

  needTuned(): Tuned {
    if (!this.#tuned) throw refuse('adapter.none', 'There is no tuned model yet.', 'Train a run, reopen one under Runs, or import an adapter.');
    return this.#tuned;
  }

  needRun(): RunControl {
    if (!this.run) throw refuse('run.none', 'No run is going on.', 'Start one under Train.');
    return this.run;
  }

  async destroy(): Promise<void> {
    this.run?.stop();
    await this.#work?.catch(() => null);
    await this.unload();
    (await this.#engine?.catch(() => null))?.destroy();
    this.#engine = null;
    (await this.#database?.catch(() => null))?.db.close();
    this.#database = null;
  }
}
