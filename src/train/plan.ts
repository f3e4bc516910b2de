/**
 * Owns everything one training configuration needs on the GPU: buffers sized for its largest batch, and the prebuilt
 * programs for a micro-batch, an evaluation batch and an optimizer step. Refuses to know where batches come from.
 */
import { EtudeError } from '../config/errors.ts';
import { outOfMemory } from '../config/messages.ts';
import type { RecomputePolicy, TrainingConfig } from '../config/recipe.ts';
import { Arena } from '../engine/arena.ts';
import { autotune, type TuneOptions } from '../engine/autotune.ts';
import type { Engine } from '../engine/device.ts';
import type { Op, StepDims } from '../engine/kernel.ts';
import { adamW, gradNorm, GRAD_NORM_BLOCK } from '../engine/kernels/optimizer.ts';
import { buildProgram, StepUniform, Submitter, type Program } from '../engine/program.ts';
import { createTensor, destroyTensor, readTensor, writeTensor, type Tensor } from '../engine/tensor.ts';
import { BatchInputs, type FlatBatch } from '../model/batchInputs.ts';
import { windowsOf, type ModelConfig } from '../model/config.ts';
import { takeActivations, takeScratch } from '../model/activations.ts';
import { backwardOps, forwardOps, type DecoderContext, type RopeTables } from '../model/decoder.ts';
import { lossOps, takeHead } from '../model/head.ts';
import type { LoraAdapter } from '../model/lora.ts';
import { createRope, destroyRope } from '../model/rope.ts';
import type { ModelWeights } from '../model/weights.ts';

export interface PlanOptions {
  engine: Engine;
  config: ModelConfig;
  weights: ModelWeights;
  adapter: LoraAdapter;
  /** Largest batch: real tokens, and targets among them. */
  maxTokens: number;
  maxTargets: number;
  /** Longest example: positions run up to here. */
  maxPositions: number;
  loraDropout: number;
  /** Default 'none'. */
  recompute?: RecomputePolicy;
  /** Whether projections that read the same input are one product where they can be; default true. */
  join?: boolean;
  /** Measure kernel variants that this device has not measured; by default on GPUs. */
  tune?: boolean | TuneOptions;
  training: Pick<TrainingConfig, 'adamBeta1' | 'adamBeta2' | 'adamEpsilon' | 'weightDecay' | 'maxGradNorm'>;
}

/** Layout of the stats tensor. */
export const STATS = { loss: 0, gradNorm: 1, skipped: 2, size: 4 } as const;

/** The largest batch a plan takes, in full rows: what kernels are measured at. */
function fullRows(tokens: number, targets: number, length: number): FlatBatch {
  const each = (f: (i: number) => number, n = tokens): Uint32Array<ArrayBuffer> => Uint32Array.from({ length: n }, (_, i) => f(i));
  const rowStart = (i: number): number => i - (i % length);
  return {
    tokens, targets, ids: each(() => 0), positions: each((i) => i % length), keyStart: each(rowStart), keyEnd: each((i) => i + 1),
    queryEnd: each((i) => Math.min(tokens, rowStart(i) + length)), targetRows: each((i) => i, targets), targetLabels: each(() => 0, targets),
    slot: each((i) => (i < targets ? i : 0xffff_ffff)), source: new Uint32Array(0),
  };
}

export class TrainingPlan {
  readonly engine: Engine;
  readonly inputs: BatchInputs;
  readonly stats: Tensor;
  readonly #options: PlanOptions;
  readonly #arena: Arena;
  readonly #rope: RopeTables;
  readonly #step: StepUniform;
  readonly #partial: Tensor;
  readonly submitter: Submitter;
  readonly #programs: { micro?: Program; evaluate?: Program; optimizer?: Program } = {};

  private constructor(options: PlanOptions) {
    const { engine, adapter, config } = options;
    this.#options = options;
    this.engine = engine;
    this.inputs = new BatchInputs(engine, options.maxTokens, options.maxTargets, windowsOf(config));
    this.stats = createTensor(engine, 'stats', STATS.size);
    this.#arena = new Arena(engine);
    this.#rope = createRope(engine, config, options.maxPositions);
    this.#step = new StepUniform(engine);
    this.#partial = createTensor(engine, 'gradient norm partial', Math.ceil(adapter.elements / GRAD_NORM_BLOCK));
    this.submitter = new Submitter(engine);
  }

  /** Allocates and compiles. Throws EtudeError device.outOfMemory with what was asked for. */
  static async create(options: PlanOptions): Promise<TrainingPlan> {
    const { engine } = options;
    const before = engine.memory.live;
    engine.device.pushErrorScope('out-of-memory');
    const plan = new TrainingPlan(options);
    const built = await plan.#build().then(() => null, (error: unknown) => error ?? new Error('unknown'));
    const full = await engine.device.popErrorScope();
    if (full || built) {
      const wanted = engine.memory.live - before;
      plan.destroy();
      if (!full) throw built;
      throw new EtudeError(outOfMemory({ purpose: `training with batches of ${options.maxTokens} tokens`, needed: wanted, inUse: before, fits: null }), { cause: full });
    }
    return plan;
  }

  async #build(): Promise<void> {
    const { engine, config, weights, adapter, maxTokens, maxTargets, loraDropout, training, recompute = 'none', join } = this.#options;
    const arena = this.#arena;
    const ctx: DecoderContext = { engine, config, weights, rope: this.#rope, inputs: this.inputs, join };
    const acts = takeActivations(config, arena, maxTokens, adapter, recompute);
    const { scratch, dropped } = takeScratch(config, arena, maxTokens, adapter.maxRank, loraDropout > 0);
    const head = takeHead(engine, config, arena, maxTargets, this.stats, true);
    const { grads, m, v } = adapter.training();
    const trainUse = { adapter, dropout: loraDropout, dropped };
    const evalUse = { adapter, dropout: 0, dropped: null };
    // Every kernel starts compiling here; the programs then wait for theirs one after the other, and those made are given back if one fails.
    const makeMicro = (): Op[] => [
      ...forwardOps(ctx, acts, trainUse),
      ...lossOps(ctx, head, acts.last, scratch.dStream),
      ...backwardOps(ctx, acts.layers, trainUse, scratch, recompute),
    ];
    let micro = makeMicro();
    const { tune = !engine.info.software } = this.#options;
    if (tune) {
      this.inputs.upload(fullRows(maxTokens, maxTargets, this.#options.maxPositions));
      await autotune(engine, micro, { tokens: maxTokens, targets: maxTargets }, tune === true ? {} : tune);
      micro = makeMicro();
    }
    const evaluate = [...forwardOps(ctx, acts, evalUse), ...lossOps(ctx, head, acts.last, null)];
    const optimizer = [
      ...gradNorm(engine, { label: 'gradient norm', grads, elements: adapter.elements, partial: this.#partial, stats: this.stats }),
      ...adamW(engine, {
        label: 'adamw', params: adapter.params, grads, m, v, elements: adapter.elements, stats: this.stats,
        beta1: training.adamBeta1, beta2: training.adamBeta2, eps: training.adamEpsilon, weightDecay: training.weightDecay, maxGradNorm: training.maxGradNorm,
      }),
    ];
    this.#programs.micro = await buildProgram(engine, 'training step', this.#step, micro);
    this.#programs.evaluate = await buildProgram(engine, 'evaluation', this.#step, evaluate);
    this.#programs.optimizer = await buildProgram(engine, 'optimizer', this.#step, optimizer);
  }

  /** Dispatches of a micro-batch and of an optimizer step, for the record. */
  get dispatches(): { micro: number; optimizer: number } {
    return { micro: this.#programs.micro!.dispatches.length, optimizer: this.#programs.optimizer!.dispatches.length };
  }

  /** Floating-point operations of a micro-batch of these sizes. */
  microFlops(dims: StepDims): number {
    return this.#programs.micro!.dispatches.reduce((sum, d) => sum + d.flops(dims), 0);
  }

  get activationBytes(): number {
    return this.#arena.bytes;
  }

  /** Sets loss and norm of the coming window to zero. The count of skipped steps stays. */
  resetStats(): void {
    writeTensor(this.engine, this.stats, new Float32Array(2));
  }

  /** Adds a micro-batch's gradients, and its loss sum x lossScale to stats[0]. */
  async microBatch(flat: FlatBatch, lossScale: number, dropoutSeed: number): Promise<void> {
    await this.#run(this.#programs.micro!, flat, lossScale, dropoutSeed);
  }

  /** Adds a batch's loss sum x lossScale to stats[0]; no gradients, no dropout. */
  async evaluateBatch(flat: FlatBatch, lossScale: number): Promise<void> {
    await this.#run(this.#programs.evaluate!, flat, lossScale, 0);
  }

  async #run(program: Program, flat: FlatBatch, lossScale: number, dropoutSeed: number): Promise<void> {
    this.inputs.upload(flat);
    this.#step.write({ tokens: flat.tokens, targets: flat.targets, lossScale, dropoutSeed });
    await this.submitter.run([program], flat);
  }

  /** Clips, updates and clears the gradients. @param t optimizer steps including this one, from 1 */
  async optimizerStep(learningRate: number, t: number): Promise<void> {
    const { adamBeta1, adamBeta2 } = this.#options.training;
    this.#step.write({ tokens: 0, targets: 0, learningRate, bias1: 1 - adamBeta1 ** t, bias2: 1 - adamBeta2 ** t });
    await this.submitter.run([this.#programs.optimizer!], { tokens: 0, targets: 0 });
  }

  /** Gradient norm of what has accumulated, without an update. */
  async gradientNorm(): Promise<number> {
    const { engine, adapter } = this.#options;
    const { grads } = adapter.training();
    const program = await buildProgram(engine, 'gradient norm', this.#step, gradNorm(engine, { label: 'gradient norm', grads, elements: adapter.elements, partial: this.#partial, stats: this.stats }));
    await this.submitter.run([program], { tokens: 0, targets: 0 });
    const stats = await readTensor(engine, this.stats);
    program.destroy();
    return stats[STATS.gradNorm]!;
  }

  destroy(): void {
    const { engine } = this;
    for (const p of Object.values(this.#programs)) p.destroy();
    this.inputs.destroy();
    this.#arena.destroy();
    destroyRope(engine, this.#rope);
    this.#step.destroy();
    destroyTensor(engine, this.stats);
    destroyTensor(engine, this.#partial);
  }
}
