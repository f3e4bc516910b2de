/**
 * Owns one run from start or checkpoint to its end: pulls the trainer, keeps record and checkpoint, raises alerts, asks the
 * fixed prompts. Pausing is not pulling. Refuses to know what a page shows.
 */
import { EtudeError, toUserMessage, type UserMessage } from '../../config/errors.ts';
import { deviceLostInRun } from '../../config/messages.ts';
import type { DataCursor } from '../../data/loader.ts';
import { variantsInForce } from '../../engine/variants.ts';
import { targetsOf, type LoraAdapter } from '../../model/lora.ts';
import { TrainingPlan } from '../../train/plan.ts';
import { nextPolicy } from '../../train/planner.ts';
import { Trainer, type TrainerOptions, type TrainerState } from '../../train/trainer.ts';
import { RunWatch } from '../../train/watch.ts';
import type { PromptAnswer, RunDetail, RunStatus, SamplingConfig, StepMetrics, WorkerEvent } from '../protocol.ts';
import { ask } from './chat.ts';
import type { RunFeed } from './feed.ts';
import type { LoadedModel } from './loadedModel.ts';
import { isOutOfMemory, noRoomFor, planRun, tooWide, type DeviceMemory } from './memoryPlanning.ts';
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
  memory: DeviceMemory;
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
    if (this.#lost) return new EtudeError(this.#lost, { cause });
    return isOutOfMemory(cause) ? new EtudeError(this.#fullInRun(), { cause }) : cause;
  }

  /** The GPU filled up after the run had begun: what would leave more room, and what is kept. */
  #fullInRun(): UserMessage {
    const { model, feed, detail, memory } = this.#p;
    const { plan: { chosen } } = planRun(model, feed, { ...detail.recipe, training: { ...detail.recipe.training, gradientCheckpointing: detail.recompute ?? 'layers' } }, memory);
    memory.failed(chosen.memory.total);
    const message = noRoomFor(model, feed, detail.recipe, chosen, memory);
    const kept = this.#savedStep === null ? 'No checkpoint had been saved yet.' : `The checkpoint of step ${this.#savedStep.toLocaleString('en')} is kept.`;
    return { ...message, what: `Training stopped at step ${detail.step.toLocaleString('en')}: ${message.what} ${kept}` };
  }

  /** The first policy that fits; where the GPU turns out to be full, the next one, which takes less. */
  async #makePlan(): Promise<TrainingPlan> {
    const { model, adapter, feed, detail, memory } = this.#p;
    const { recipe } = detail;
    const auto = recipe.training.gradientCheckpointing === 'auto';
    let { plan: { chosen } } = planRun(model, feed, recipe, memory);
    for (;;) {
      const needed = chosen.memory.total;
      if (tooWide(model, feed)) throw new EtudeError(noRoomFor(model, feed, recipe, chosen, memory));
      try {
        const plan = await TrainingPlan.create({
          ...model.gpu, adapter,
          maxTokens: feed.largest.tokens,
          maxTargets: feed.largest.targets,
          maxPositions: feed.largest.positions,
          loraDropout: recipe.lora.loraDropout,
          recompute: chosen.policy,
          training: recipe.training,
        });
        detail.recompute = chosen.policy;
        memory.fitted(needed);
        return plan;
      } catch (cause) {
        if (!isOutOfMemory(cause)) throw cause;
        memory.failed(needed);
        const next = auto ? nextPolicy(planRun(model, feed, recipe, memory).plan, chosen) : null;
        if (!next) throw new EtudeError(noRoomFor(model, feed, recipe, chosen, memory), { cause });
        chosen = next;
      }
    }
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
