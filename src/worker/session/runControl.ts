/**
 * Owns one run from start or checkpoint to its end: pulls the trainer, keeps record and checkpoint, raises alerts, asks the
 * fixed prompts. Pausing is not pulling. Refuses to know what a page shows.
 */
import { EtudeError, toUserMessage, type UserMessage } from '../../config/errors.ts';
import { deviceLostInRun, outOfMemory } from '../../config/messages.ts';
import type { Recipe } from '../../config/recipe.ts';
import type { DataCursor } from '../../data/loader.ts';
import { variantsInForce } from '../../engine/variants.ts';
import { targetsOf, type LoraAdapter } from '../../model/lora.ts';
import { forecastMemory } from '../../train/memory.ts';
import { TrainingPlan } from '../../train/plan.ts';
import { Trainer, type TrainerOptions, type TrainerState } from '../../train/trainer.ts';
import { RunWatch } from '../../train/watch.ts';
import type { PromptAnswer, RunDetail, RunStatus, SamplingConfig, StepMetrics, WorkerEvent } from '../protocol.ts';
import { ask } from './chat.ts';
import type { RunFeed } from './datasets.ts';
import type { LoadedModel } from './loadedModel.ts';
import { summaryOf, type Checkpoint, type Runs } from './runs.ts';
import type { Message } from '../../data/types.ts';

export interface SamplePrompt {
  messages: Message[];
  prompt: string;
}

export interface RunParts {
  model: LoadedModel;
  adapter: LoraAdapter;
  feed: RunFeed;
  detail: RunDetail;
  /** Null starts afresh. */
  checkpoint: Checkpoint | null;
  /** Asked a few times while the run goes on; empty for none. */
  prompts: SamplePrompt[];
  runs: Runs;
  emit: (event: WorkerEvent) => void;
}

const ANSWER: SamplingConfig = { temperature: 0, topK: 0, topP: 1, maxNewTokens: 48, seed: 0 };
/** Rounds of answers in a run, the one before it not counted. */
const ANSWER_ROUNDS = 6;
/** Milliseconds between two writes of a run's record while it goes on. */
const RECORD_EVERY = 2000;
/** Milliseconds between a failure and the word that the device is lost. */
export const LOST_WITHIN = 500;

export class RunControl {
  readonly #p: RunParts;
  #trainer: Trainer<DataCursor> | null = null;
  #stopped = false;
  #paused = false;
  #wake: (() => void) | null = null;
  #pausedMs = 0;
  #savedStep: number | null = null;
  #plan: TrainingPlan | null = null;
  /** Asks no more prompts. */
  #mute = false;
  #resting = false;
  /** Set once the device is gone: nothing is saved any more, and whatever fails fails because of it. */
  #lost: UserMessage | null = null;

  constructor(parts: RunParts) {
    this.#p = parts;
    this.#savedStep = parts.checkpoint?.state.step ?? null;
  }

  get id(): string {
    return this.#p.detail.id;
  }

  get adapter(): LoraAdapter {
    return this.#p.adapter;
  }

  /** Paused for good: the adapter stays as it is until `continue`. */
  get resting(): boolean {
    return this.#resting;
  }

  /** Takes effect after the step under way, with a checkpoint first. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#trainer?.checkpoint();
  }

  continue(): void {
    this.#paused = false;
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#trainer?.stop();
    this.continue();
  }

  rename(name: string): void {
    this.#p.detail.name = name;
  }

  /** The device is gone: ends the run, and gives what to say of it. */
  lost(reason: string): UserMessage {
    this.#lost ??= deviceLostInRun(this.#p.detail.step, this.#savedStep, reason);
    this.stop();
    return this.#lost;
  }

  /** Takes the GPU memory and compiles. Throws EtudeError device.outOfMemory, which names what would fit. */
  async prepare(): Promise<void> {
    this.#plan = await this.#makePlan();
  }

  /** Runs to the end, once prepared. Rejects only for faults that leave no usable adapter; the record says what happened in any case. */
  async run(): Promise<RunDetail> {
    const { detail, emit } = this.#p;
    emit({ type: 'train.started', run: summaryOf(detail) });
    try {
      await this.#train(this.#plan!);
    } catch (cause) {
      const error = await this.#explain(cause);
      await this.#end('failed', toUserMessage(error));
      throw error;
    }
    return detail;
  }

  /** Gives back the GPU memory of training; the adapter stays. */
  release(): void {
    this.#plan?.destroy();
    this.#plan = null;
  }

  /** What fails on a lost device may fail before the device says that it is lost. */
  async #explain(cause: unknown): Promise<unknown> {
    if (!this.#lost && !(cause instanceof EtudeError)) {
      const { lost } = this.#p.model.gpu.engine;
      await Promise.race([lost.then((m) => this.lost(m.likelyCause ?? '')), new Promise((resolve) => setTimeout(resolve, LOST_WITHIN))]);
    }
    return this.#lost ? new EtudeError(this.#lost, { cause }) : cause;
  }

  async #makePlan(): Promise<TrainingPlan> {
    const { model, adapter, feed, detail } = this.#p;
    const { recipe } = detail;
    const { engine, config } = model.gpu;
    const widest = Math.max(config.intermediateSize, config.hiddenSize, config.numAttentionHeads * config.headDim) * 4;
    try {
      if (feed.largest.tokens * widest > engine.maxBinding) throw new EtudeError({ code: 'device.outOfMemory', what: 'A batch exceeds one binding.' });
      return await TrainingPlan.create({
        ...model.gpu, adapter,
        maxTokens: feed.largest.tokens,
        maxTargets: feed.largest.targets,
        maxPositions: feed.largest.positions,
        loraDropout: recipe.lora.loraDropout,
        training: recipe.training,
      });
    } catch (cause) {
      if (!(cause instanceof EtudeError) || cause.code !== 'device.outOfMemory') throw cause;
      throw new EtudeError(this.#noRoom(recipe), { cause });
    }
  }

  /** What did not fit, and a smaller setting that takes less than half of it. */
  #noRoom(recipe: Recipe): UserMessage {
    const { model, feed } = this.#p;
    const { engine, config } = model.gpu;
    const question = (batchSize: number, maxLength: number) => ({
      config, weightBytes: model.summary.weightBytes, lora: recipe.lora, maxBinding: engine.maxBinding,
      maxTokens: Math.min(feed.largest.tokens, batchSize * maxLength), maxTargets: Math.min(feed.largest.targets, batchSize * maxLength),
    });
    let batchSize = recipe.training.perDeviceTrainBatchSize;
    let { maxLength } = recipe.data;
    const needed = forecastMemory(question(batchSize, maxLength)).total;
    let bytes = needed;
    while (bytes > needed / 2 && (batchSize > 1 || maxLength > 64)) {
      if (batchSize > 1) batchSize = Math.floor(batchSize / 2);
      else maxLength = Math.floor(maxLength / 2);
      bytes = forecastMemory(question(batchSize, maxLength)).total;
    }
    return outOfMemory({
      purpose: `training with ${recipe.training.perDeviceTrainBatchSize} rows of ${recipe.data.maxLength.toLocaleString('en')} tokens`,
      needed, inUse: engine.memory.live, fits: bytes < needed ? { batchSize, maxLength, bytes } : null,
    });
  }

  async #train(plan: TrainingPlan): Promise<void> {
    const { adapter, feed, detail, checkpoint, prompts, emit } = this.#p;
    const { totalSteps } = feed.feed;
    const watch = new RunWatch(totalSteps);
    for (const m of detail.metrics) {
      watch.step(m);
      if (m.evalLoss !== undefined) watch.evaluation(m.step, m.evalLoss);
    }
    const options: TrainerOptions<DataCursor> = {
      plan, adapter, feed: feed.feed, training: detail.recipe.training,
      start: checkpoint?.state ?? { cursor: { epoch: 0, window: 0 } },
      sampleEvery: prompts.length > 0 ? Math.max(1, Math.ceil(totalSteps / ANSWER_ROUNDS)) : 0,
    };
    const trainer = new Trainer(options);
    this.#trainer = trainer;
    if (this.#stopped) trainer.stop();
    if (this.#paused) trainer.checkpoint();
    const secondsBefore = detail.seconds;
    const stepsBefore = detail.step;
    const started = performance.now();
    let lastWrite = started;
    let latest = null as StepMetrics | null;
    const seconds = (): number => secondsBefore + (performance.now() - started - this.#pausedMs) / 1000;
    for await (const event of trainer.run()) {
      detail.seconds = seconds();
      detail.updatedAt = Date.now();
      switch (event.type) {
        case 'step': {
          const { metrics } = event;
          latest = metrics;
          detail.step = metrics.step;
          detail.finalLoss = metrics.loss;
          if (metrics.step % detail.recipe.training.loggingSteps === 0 || metrics.step === totalSteps || metrics.step === 1) {
            detail.metrics.push(metrics);
            const done = metrics.step - stepsBefore;
            const secondsLeft = done >= 2 ? ((totalSteps - metrics.step) * (detail.seconds - secondsBefore)) / done : null;
            emit({ type: 'train.step', runId: detail.id, metrics, totalSteps, elapsedSeconds: detail.seconds, secondsLeft });
          }
          this.#alert(watch.step(metrics), metrics.step);
          break;
        }
        case 'eval': {
          // The record keeps a validated step even where steps are logged more rarely.
          if (latest?.step === event.step) {
            if (detail.metrics.at(-1) !== latest) detail.metrics.push(latest);
            latest.evalLoss = event.evalLoss;
          }
          detail.bestEvalLoss = Math.min(detail.bestEvalLoss ?? Infinity, event.evalLoss);
          emit({ type: 'train.eval', runId: detail.id, step: event.step, evalLoss: event.evalLoss });
          this.#alert(watch.evaluation(event.step, event.evalLoss), event.step);
          break;
        }
        case 'sample':
          await this.#askPrompts(event.step);
          break;
        case 'checkpoint':
          await this.#save(event.state);
          break;
        case 'end':
          await this.#save(event.state);
          await this.#end(event.stopped ? 'stopped' : 'finished');
          return;
      }
      if (performance.now() - lastWrite > RECORD_EVERY) {
        lastWrite = performance.now();
        await this.#p.runs.store.putRun(detail);
      }
      if (this.#paused && event.type === 'checkpoint') await this.#whilePaused();
    }
  }

  async #whilePaused(): Promise<void> {
    const since = performance.now();
    this.#resting = true;
    await this.#status('paused');
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      // Continue or stop may have come while the status was written.
      if (!this.#paused) resolve();
    });
    this.#wake = null;
    this.#resting = false;
    this.#pausedMs += performance.now() - since;
    if (!this.#stopped) await this.#status('running');
  }

  async #askPrompts(step: number): Promise<void> {
    const { prompts, model, adapter, detail, emit } = this.#p;
    for (const [promptIndex, { messages, prompt }] of (this.#mute ? [] : prompts).entries()) {
      if (this.#stopped) return;
      try {
        const { text } = await ask(model, { messages, template: detail.recipe.data.template, adapter, sampling: ANSWER });
        const answer: PromptAnswer = { step, promptIndex, prompt, answer: text };
        detail.answers.push(answer);
        emit({ type: 'train.answer', runId: detail.id, answer });
      } catch (error) {
        // No room for answers beside the training: it goes on without them.
        if (!(error instanceof EtudeError) || error.code !== 'device.outOfMemory') throw error;
        this.#mute = true;
        this.#alert([error.userMessage], step);
        return;
      }
    }
  }

  async #save(state: TrainerState<DataCursor>): Promise<void> {
    // What is read from a lost device is not the adapter.
    if (this.#lost) throw new EtudeError(this.#lost);
    const { runs, detail, feed, adapter, model, emit } = this.#p;
    const { engine } = model.gpu;
    detail.step = state.step;
    this.#savedStep = state.step;
    await runs.store.putCheckpoint(detail.id, {
      state, variants: variantsInForce(engine), device: engine.info.key, heldOut: feed.split.heldOut,
      targets: targetsOf(adapter),
    });
    await runs.store.putRun(detail);
    emit({ type: 'train.checkpoint', runId: detail.id, step: state.step });
  }

  #alert(alerts: UserMessage[], step: number): void {
    const { detail, emit } = this.#p;
    for (const alert of alerts) {
      detail.alerts.push(alert);
      emit({ type: 'train.alert', runId: detail.id, alert, step });
    }
  }

  async #status(status: RunStatus, message?: UserMessage): Promise<void> {
    const { detail, runs, emit } = this.#p;
    detail.status = status;
    await runs.store.putRun(detail);
    emit({ type: 'train.status', runId: detail.id, status, ...(message ? { message } : {}) });
  }

  async #end(status: RunStatus, message?: UserMessage): Promise<void> {
    if (message) this.#p.detail.alerts.push(message);
    // A full disk must not hide why the run ended.
    await this.#status(status, message).catch(() => {
      this.#p.emit({ type: 'train.status', runId: this.id, status, ...(message ? { message } : {}) });
    });
  }
}
