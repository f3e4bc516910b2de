/** A whole training run in miniature: tiny model, rows in memory, the real loader, plan and trainer. */
import { createHash } from 'node:crypto';
import { TARGET_MODULES, trainingConfigSchema, type LoraConfig, type Quantization, type RecomputePolicy, type TrainingConfig } from '../../src/config/recipe.ts';
import { countSteps } from '../../src/config/forecast.ts';
import { batchesInOrder, DataLoader, START, type DataCursor } from '../../src/data/loader.ts';
import type { EncodedRow } from '../../src/data/types.ts';
import type { Engine } from '../../src/engine/device.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import type { ModelOnGpu } from '../../src/model/inference.ts';
import { allTargets, LoraAdapter } from '../../src/model/lora.ts';
import { destroyWeights } from '../../src/model/weights.ts';
import { TrainingPlan } from '../../src/train/plan.ts';
import { Trainer, type StepResult, type TrainerEvent, type TrainerState, type TrainingFeed } from '../../src/train/trainer.ts';
import { onGpu, randomRows, randomValues, TINY, type Values } from '../setup/tinyModel.ts';

export type State = TrainerState<DataCursor>;
export type Event = TrainerEvent<DataCursor>;

export interface RigOptions {
  config?: ModelConfig;
  rows?: EncodedRow[];
  /** Held-out rows. */
  heldOut?: EncodedRow[];
  lora?: Partial<LoraConfig>;
  training?: Partial<TrainingConfig>;
  /** Of the base model; random ones otherwise. */
  values?: Values;
  quantization?: Quantization;
  recompute?: RecomputePolicy;
  /** Tokens of a packed row. */
  maxLength?: number;
}

export const ROWS = randomRows(7, 5);

const STEADY = { perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 2, learningRate: 1e-2, warmupRatio: 0, numTrainEpochs: 2 };

/** Everything of one run. Rigs of the same options on the same device start from the same bits. */
export class Rig {
  readonly engine: Engine;
  readonly model: ModelOnGpu;
  readonly adapter: LoraAdapter;
  readonly plan: TrainingPlan;
  readonly training: TrainingConfig;
  readonly feed: TrainingFeed<DataCursor>;

  private constructor(engine: Engine, model: ModelOnGpu, adapter: LoraAdapter, plan: TrainingPlan, training: TrainingConfig, feed: TrainingFeed<DataCursor>) {
    this.engine = engine;
    this.model = model;
    this.adapter = adapter;
    this.plan = plan;
    this.training = training;
    this.feed = feed;
  }

  static async open(engine: Engine, options: RigOptions = {}): Promise<Rig> {
    const { config = TINY, rows = ROWS, heldOut = [], maxLength = 24 } = options;
    const training = trainingConfigSchema.parse({ ...STEADY, ...options.training });
    const lora: LoraConfig = { r: 4, loraAlpha: 8, useRslora: false, loraDropout: 0, targetModules: [...TARGET_MODULES], ...options.lora };
    const model = await onGpu(engine, config, options.values ?? randomValues(config, 1), 'f32', options.quantization);
    const adapter = new LoraAdapter(engine, config, lora, allTargets(config, lora.targetModules));
    adapter.initialise(training.seed);
    const all = [...rows, ...heldOut];
    const source = (indices: number[]): Promise<EncodedRow[]> => Promise.resolve(indices.map((i) => all[i]!));
    const { perDeviceTrainBatchSize: B, gradientAccumulationSteps, seed, shuffle, packing } = training;
    const loader = new DataLoader(source, {
      rows: Int32Array.from(rows.keys()), lengths: Int32Array.from(all, (r) => r.inputIds.length), batchSize: B, gradientAccumulationSteps, seed, shuffle, packing, maxLength,
    });
    const held = heldOut.map((_, i) => rows.length + i);
    const { totalSteps, warmupSteps } = countSteps(loader.batchesPerEpoch * B, training);
    const longest = Math.max(maxLength, ...all.map((r) => r.inputIds.length));
    const plan = await TrainingPlan.create({
      ...model, adapter, maxTokens: B * longest, maxTargets: B * longest, maxPositions: longest, loraDropout: lora.loraDropout, training, recompute: options.recompute,
    });
    return new Rig(engine, model, adapter, plan, training, {
      windows: (cursor) => loader.windows(cursor), evaluation: held.length > 0 ? () => batchesInOrder(source, held, B) : null, totalSteps, warmupSteps,
    });
  }

  trainer(start?: State): Trainer<DataCursor> {
    return new Trainer({ plan: this.plan, adapter: this.adapter, feed: this.feed, training: this.training, start: start ?? { cursor: START }, sampleEvery: 0 });
  }

  close(): void {
    this.plan.destroy();
    this.adapter.destroy();
    destroyWeights(this.engine, this.model.weights);
  }
}

export interface Outcome {
  events: Event[];
  /** Without the clock. */
  steps: Omit<StepResult, 'tokensPerSecond'>[];
  evals: { step: number; evalLoss: number }[];
  checkpoints: State[];
  end: Extract<Event, { type: 'end' }> | null;
  error: unknown;
}

/** Pulls a trainer to its end, or until `enough` says so. */
export async function pull(trainer: Trainer<DataCursor>, enough: (event: Event) => boolean = () => false): Promise<Outcome> {
  const events: Event[] = [];
  let error: unknown = null;
  try {
    for await (const event of trainer.run()) {
      events.push(event);
      if (enough(event)) break;
    }
  } catch (thrown) {
    error = thrown;
  }
  const of = <T extends Event['type']>(type: T) => events.filter((e): e is Extract<Event, { type: T }> => e.type === type);
  return {
    events, error,
    steps: of('step').map(({ metrics: { tokensPerSecond, ...metrics } }) => {
      if (!(tokensPerSecond > 0)) throw new Error(`step ${metrics.step} ran at ${tokensPerSecond} tokens a second`);
      return metrics;
    }),
    evals: of('eval').map(({ step, evalLoss }) => ({ step, evalLoss })),
    checkpoints: of('checkpoint').map(({ state }) => state),
    end: of('end')[0] ?? null,
  };
}

/** Opens a rig, pulls its run to the end and closes it. */
export async function wholeRun(engine: Engine, options: RigOptions = {}): Promise<Outcome> {
  const rig = await Rig.open(engine, options);
  const outcome = await pull(rig.trainer());
  rig.close();
  if (outcome.error !== null) throw outcome.error;
  return outcome;
}

/** A state with its floats as digests: equal means equal bits, and a difference prints in a line. */
export const bits = ({ params, m, v, ...rest }: State) => ({ ...rest, params: digest(params), m: digest(m), v: digest(v) });
const digest = (values: Float32Array): string => createHash('sha256').update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).digest('hex');
