/**
 * Owns the training loop: windows of micro-batches in, a stream of events out. It is pulled: whoever iterates decides when
 * the next step runs, so pausing is not asking, and stopping is `stop()`. Refuses to know where rows and checkpoints are kept.
 *
 * The CPU does not wait for the GPU: losses come back through a ring, a few steps late. Only where the exact state of a step
 * matters (validation, checkpoint, answers, the end) does the loop wait for everything before it.
 */
import { EtudeError } from '../config/errors.ts';
import { lossNotFinite } from '../config/messages.ts';
import type { TrainingConfig } from '../config/recipe.ts';
import { ReadbackRing } from '../engine/readbackRing.ts';
import { flattenBatch, type BatchLike } from '../model/batchInputs.ts';
import type { LoraAdapter } from '../model/lora.ts';
import { learningRateAt } from './lrSchedule.ts';
import { STATS, type TrainingPlan } from './plan.ts';

/** The micro-batches of one optimizer step, and where the one after it begins. */
export interface Window<Cursor> {
  batches: BatchLike[];
  next: Cursor;
  /** Passes over the data when this window is done; whole at the end of an epoch. */
  epochAfter: number;
}

export interface TrainingFeed<Cursor> {
  windows(from: Cursor): AsyncIterable<Window<Cursor>>;
  /** Held-out batches, the same ones each time. Null without a validation split. */
  evaluation: (() => AsyncIterable<BatchLike>) | null;
  totalSteps: number;
  warmupSteps: number;
}

/** Everything that decides the rest of a run. */
export interface TrainerState<Cursor> {
  /** Optimizer steps done. */
  step: number;
  cursor: Cursor;
  /** Micro-batches done: the counter of the dropout generator. */
  microBatches: number;
  numTokens: number;
  params: Float32Array;
  m: Float32Array;
  v: Float32Array;
}

export interface StepResult {
  step: number;
  epoch: number;
  loss: number;
  learningRate: number;
  gradNorm: number;
  numTokens: number;
  tokensPerSecond: number;
}

export type TrainerEvent<Cursor> =
  | { type: 'step'; metrics: StepResult }
  | { type: 'eval'; step: number; evalLoss: number }
  /** The adapter is exactly that of `step`: the time to ask it something. */
  | { type: 'sample'; step: number }
  | { type: 'checkpoint'; state: TrainerState<Cursor> }
  | { type: 'end'; state: TrainerState<Cursor>; stopped: boolean };

export interface TrainerOptions<Cursor> {
  plan: TrainingPlan;
  adapter: LoraAdapter;
  feed: TrainingFeed<Cursor>;
  training: TrainingConfig;
  start: { cursor: Cursor } | TrainerState<Cursor>;
  /** Steps between 'sample' events; 0 for none. */
  sampleEvery: number;
  /** Readbacks under way, which is also how many steps the CPU runs ahead. */
  ringDepth?: number;
  now?: () => number;
}

/** Mixes the run's seed with a counter (murmur3's finaliser), for the dropout generator. */
export function mixSeed(seed: number, counter: number): number {
  let h = (seed ^ Math.imul(counter + 1, 0x9e3779b9)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

export class Trainer<Cursor> {
  readonly #o: TrainerOptions<Cursor>;
  #stopping = false;
  #checkpointWanted = false;

  constructor(options: TrainerOptions<Cursor>) {
    this.#o = options;
  }

  /** Ends after the step under way; the stream closes with 'end'. */
  stop(): void {
    this.#stopping = true;
  }

  /** Asks for a 'checkpoint' after the step under way. */
  checkpoint(): void {
    this.#checkpointWanted = true;
  }

  /** Throws EtudeError train.notFinite after a last 'checkpoint' of the good weights. */
  async *run(): AsyncGenerator<TrainerEvent<Cursor>> {
    const { plan, adapter, feed, training, start, sampleEvery, now = () => performance.now() } = this.#o;
    let state = { step: 0, microBatches: 0, numTokens: 0, cursor: start.cursor };
    if ('params' in start) {
      const { step, microBatches, numTokens, cursor } = start;
      state = { step, microBatches, numTokens, cursor };
      adapter.restore(start);
    }
    const ring = new ReadbackRing(plan.engine, 'stats', STATS.size, this.#o.ringDepth ?? 3);
    const arrived: StepResult[] = [];
    /** Where the run stood after the last step whose numbers were good. */
    let good = { ...state };
    let failed: number | null = null;
    let lastArrival = now();

    const snapshot = async (at: typeof state): Promise<TrainerState<Cursor>> => ({ ...at, ...(await adapter.snapshot()) });
    const metrics = function* (): Generator<TrainerEvent<Cursor>> {
      while (arrived.length > 0) yield { type: 'step', metrics: arrived.shift()! };
    };
    /** Waits for every step so far; reports whether all their numbers were good. */
    const settle = async (): Promise<boolean> => {
      await ring.drain();
      return failed === null;
    };
    const evaluate = async (): Promise<number> => {
      let sum = 0;
      let targets = 0;
      for await (const batch of feed.evaluation!()) {
        const flat = flattenBatch(batch);
        if (flat.targets === 0) continue;
        targets += flat.targets;
        plan.resetStats();
        await plan.evaluateBatch(flat, 1);
        await ring.push(plan.stats, (stats) => (sum += stats[STATS.loss]!));
      }
      await ring.drain();
      lastArrival = now();
      return sum / targets;
    };

    try {
      if (state.step === 0) {
        if (sampleEvery > 0) yield { type: 'sample', step: 0 };
        if (feed.evaluation) yield { type: 'eval', step: 0, evalLoss: await evaluate() };
        lastArrival = now();
      }
      for await (const window of feed.windows(state.cursor)) {
        if (state.step >= feed.totalSteps || this.#stopping || failed !== null) break;
        const flats = window.batches.map((b) => flattenBatch(b)).filter((f) => f.targets > 0);
        const targets = flats.reduce((n, f) => n + f.targets, 0);
        plan.resetStats();
        for (const flat of flats) {
          await plan.microBatch(flat, 1 / targets, mixSeed(training.seed, state.microBatches++));
          state.numTokens += flat.tokens;
        }
        const lr = learningRateAt(training.lrSchedulerType, training.learningRate, state.step, feed.warmupSteps, feed.totalSteps);
        await plan.optimizerStep(lr, state.step + 1);
        state.step++;
        state.cursor = window.next;
        const after = { ...state };
        const windowTokens = flats.reduce((n, f) => n + f.tokens, 0);
        await ring.push(plan.stats, (stats) => {
          const loss = stats[STATS.loss]!;
          const gradNorm = stats[STATS.gradNorm]!;
          if (failed !== null) return;
          if (!Number.isFinite(loss) || !Number.isFinite(gradNorm) || stats[STATS.skipped]! > 0) {
            failed = after.step;
            return;
          }
          good = after;
          const seconds = Math.max(1e-6, (now() - lastArrival) / 1000);
          lastArrival = now();
          arrived.push({
            step: after.step, epoch: window.epochAfter, loss, gradNorm, learningRate: lr, numTokens: after.numTokens, tokensPerSecond: windowTokens / seconds,
          });
        });
        yield* metrics();
        const last = state.step >= feed.totalSteps;
        /** Every so many steps, or at the end of each epoch. */
        const due = (every: number): boolean => (every > 0 ? state.step % every === 0 : Number.isInteger(window.epochAfter));
        const wantEval = feed.evaluation !== null && (last || due(training.evalSteps));
        const wantSave = !last && (this.#checkpointWanted || due(training.saveSteps));
        const wantSample = sampleEvery > 0 && (last || state.step % sampleEvery === 0);
        if (wantEval || wantSave || wantSample) {
          if (!(await settle())) break;
          yield* metrics();
          if (wantEval) yield { type: 'eval', step: state.step, evalLoss: await evaluate() };
          if (wantSample) yield { type: 'sample', step: state.step };
          if (wantSave) {
            this.#checkpointWanted = false;
            yield { type: 'checkpoint', state: await snapshot(state) };
          }
          lastArrival = now();
        }
      }
      await settle();
      yield* metrics();
      if (failed !== null) {
        yield { type: 'checkpoint', state: await snapshot(good) };
        throw new EtudeError(lossNotFinite(failed));
      }
      yield { type: 'end', state: await snapshot(state), stopped: state.step < feed.totalSteps };
    } finally {
      ring.destroy();
    }
  }
}
