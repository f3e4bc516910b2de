/** Owns training steps on one batch that is seen again and again, timed from the arrival of one step's loss to the next. */
import { trainingConfigSchema, type RecomputePolicy } from '../../config/recipe.ts';
import type { TuneOptions } from '../../engine/autotune.ts';
import { ReadbackRing } from '../../engine/readbackRing.ts';
import type { FlatBatch } from '../../model/batchInputs.ts';
import type { ModelOnGpu } from '../../model/inference.ts';
import type { LoraAdapter } from '../../model/lora.ts';
import { STATS, TrainingPlan } from '../../train/plan.ts';

const LEARNING_RATE = 1e-4;

export interface StepsOptions {
  model: ModelOnGpu;
  adapter: LoraAdapter;
  flat: FlatBatch;
  /** Tokens of a row. */
  length: number;
  /** Default 'none'. */
  recompute?: RecomputePolicy;
  /** Whether and how kernel variants are measured first. By default on graphics cards. */
  tune?: boolean | TuneOptions;
}

export class Steps {
  readonly plan: TrainingPlan;
  readonly losses: number[] = [];
  readonly #flat: FlatBatch;
  readonly #ring: ReadbackRing;
  readonly #arrivals: number[] = [];
  #done = 0;

  private constructor(plan: TrainingPlan, flat: FlatBatch) {
    this.plan = plan;
    this.#flat = flat;
    this.#ring = new ReadbackRing(plan.engine, 'stats', STATS.size, 3);
  }

  static async create({ model, adapter, flat, length, recompute = 'none', tune }: StepsOptions): Promise<Steps> {
    const plan = await TrainingPlan.create({
      ...model, adapter, maxTokens: flat.tokens, maxTargets: flat.targets, maxPositions: length, loraDropout: 0, recompute, ...(tune === undefined ? {} : { tune }), training: trainingConfigSchema.parse({}),
    });
    return new Steps(plan, flat);
  }

  /** Hands one step to the device. Resolves with its loss, which the caller need not wait for. */
  async push(): Promise<{ loss: Promise<number> }> {
    const { plan } = this;
    plan.resetStats();
    await plan.microBatch(this.#flat, 1 / this.#flat.targets, 0);
    await plan.optimizerStep(LEARNING_RATE, ++this.#done);
    let arrived!: (loss: number) => void;
    const loss = new Promise<number>((resolve) => (arrived = resolve));
    await this.#ring.push(plan.stats, (stats) => {
      this.#arrivals.push(performance.now());
      this.losses.push(stats[STATS.loss]!);
      arrived(stats[STATS.loss]!);
    });
    return { loss };
  }

  /** Milliseconds of each of n steps, one right behind the other. */
  async run(n: number): Promise<number[]> {
    this.#arrivals.length = 0;
    const start = performance.now();
    for (let i = 0; i < n; i++) await this.push();
    await this.#ring.drain();
    return this.#arrivals.map((at, i) => at - (i === 0 ? start : this.#arrivals[i - 1]!));
  }

  destroy(): void {
    this.#ring.destroy();
    this.plan.destroy();
  }
}
