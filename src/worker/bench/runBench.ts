/**
 * Owns one measurement of this device, in one process: the largest matrix product, a LoRA training step, where the step's time
 * goes, and generation. Runs in Node and in a page. Everything it reports was measured in this run.
 */
import { loraConfigSchema, TARGET_MODULES, trainingConfigSchema, type LoraConfig } from '../../config/recipe.ts';
import type { Engine } from '../../engine/device.ts';
import { Profiler } from '../../engine/profiler.ts';
import { ReadbackRing } from '../../engine/readbackRing.ts';
import { variantsInForce } from '../../engine/variants.ts';
import { flattenBatch, type FlatBatch } from '../../model/batchInputs.ts';
import { Generator, type ModelOnGpu } from '../../model/inference.ts';
import { allTargets, LoraAdapter } from '../../model/lora.ts';
import { destroyWeights, loadWeights } from '../../model/weights.ts';
import { STATS, TrainingPlan } from '../../train/plan.ts';
import { measureCopy, measureMatmuls, type MatmulFigure } from './ceiling.ts';
import { stepFlops } from './flops.ts';
import type { BenchShape } from './shapes.ts';
import { syntheticTensors } from './syntheticModel.ts';

export interface BenchOptions {
  steps: number;
  /** Steps before the measured ones. */
  warmup: number;
  /** Tokens to generate; 0 leaves generation out. */
  generate: number;
  r: number;
  /** The device's f32 peak in TFLOP/s where the caller knows it. */
  peakTflops: number | null;
  /** Sides of the large products; by kind of device where not given. */
  sides?: readonly number[];
}

export interface Spread {
  median: number;
  /** Tenth and ninetieth percentile. */
  low: number;
  high: number;
}

export interface BenchResult {
  device: { description: string; vendor: string; architecture: string; software: boolean; f16: boolean; subgroups: boolean };
  shape: { name: string; layers: number; hidden: number; heads: number; kvHeads: number; intermediate: number; vocab: number; parameters: number; batch: number; length: number; r: number };
  variants: Record<string, string>;
  matmul: { best: MatmulFigure; all: MatmulFigure[]; shareOfPeak: number | null };
  /** Milliseconds from the first request of a kernel to the end of the first step: compiling, allocating, one step. */
  firstStepMs: number;
  loadMs: number;
  step: {
    ms: Spread;
    tokensPerSecond: number;
    flops: number;
    gflops: number;
    /** Step FLOP/s over those of the largest product, both of this run. */
    mfu: number;
    dispatches: number;
    submits: number;
    /** Of the thread that submits. */
    cpuMs: number;
    cpuMicrosecondsPerDispatch: number;
    firstLoss: number;
    lastLoss: number;
  };
  /** A separate run with a pass a dispatch; null where the device has no timestamps. */
  profile: { stepMs: number; kernelMs: number; slowdown: number; kernels: { name: string; ms: number; share: number; count: number }[] } | null;
  memory: { peakBytes: number; weightBytes: number; activationBytes: number };
  generation: { tokensPerSecond: number; copyGBs: number; shareOfCopy: number } | null;
}

const quantile = (sorted: number[], q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;

export function spreadOf(times: readonly number[]): Spread {
  const sorted = [...times].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0.1), high: quantile(sorted, 0.9) };
}

/** What a dispatch does, whatever its layer: 'model.layers.0.mlp.up_proj lora dA' -> 'up_proj lora dA'. */
export const kernelGroup = (label: string): string => label.replaceAll(/\bmodel\.layers\.\d+\.(self_attn|mlp)\.|\blayer \d+ | part \d+$/g, '').trim();

/** Full rows: every token is real and every one but the first of its row is a target. */
function fullBatch({ batch, length, config }: BenchShape): FlatBatch {
  const inputIds = Int32Array.from({ length: batch * length }, (_, i) => (i * 7919 + 13) % config.vocabSize);
  return flattenBatch({
    shape: [batch, length], inputIds, labels: inputIds,
    positions: Int32Array.from({ length: batch * length }, (_, i) => i % length),
    segments: new Int32Array(batch * length).fill(1),
  });
}

export async function runBench(engine: Engine, shape: BenchShape, options: BenchOptions, say: (line: string) => void = () => {}): Promise<BenchResult> {
  const { config, batch, length } = shape;
  say('largest product');
  const all = await measureMatmuls(engine, options.sides);
  const best = all.reduce((a, b) => (b.gflops > a.gflops ? b : a));

  say('weights');
  const loading = performance.now();
  const weights = await loadWeights(engine, config, syntheticTensors(config));
  const loadMs = performance.now() - loading;
  const lora: LoraConfig = loraConfigSchema.parse({ r: options.r, loraAlpha: 2 * options.r, loraDropout: 0, targetModules: TARGET_MODULES });
  const adapter = new LoraAdapter(engine, config, lora, allTargets(config, lora.targetModules));
  adapter.initialise(42);
  const model: ModelOnGpu = { engine, config, weights };
  try {
    const trained = await benchSteps(model, adapter, shape, options, say);
    const generation = options.generate > 0 ? await benchGeneration(model, adapter, options.generate, say) : null;
    const flops = stepFlops(config, lora, { tokens: batch * length, targets: batch * (length - 1), pairs: (batch * length * (length + 1)) / 2 }).total;
    const { times, ...step } = trained.step;
    const ms = spreadOf(times);
    const gflops = flops / ms.median / 1e6;
    const { description, vendor, architecture, software, f16, subgroups } = engine.info;
    return {
      device: { description, vendor, architecture, software, f16, subgroups },
      shape: {
        name: shape.name, layers: config.numHiddenLayers, hidden: config.hiddenSize, heads: config.numAttentionHeads, kvHeads: config.numKeyValueHeads,
        intermediate: config.intermediateSize, vocab: config.vocabSize, parameters: weights.parameters, batch, length, r: options.r,
      },
      variants: variantsInForce(engine),
      matmul: { best, all, shareOfPeak: options.peakTflops === null ? null : best.gflops / 1000 / options.peakTflops },
      firstStepMs: trained.firstStepMs,
      loadMs,
      step: { ms, tokensPerSecond: (batch * length * 1000) / ms.median, flops, gflops, mfu: gflops / best.gflops, ...step },
      profile: trained.profile && { ...trained.profile, slowdown: trained.profile.stepMs / ms.median },
      memory: { peakBytes: engine.memory.peak, weightBytes: weights.bytes, activationBytes: trained.activationBytes },
      generation,
    };
  } finally {
    adapter.destroy();
    destroyWeights(engine, weights);
  }
}

async function benchSteps(model: ModelOnGpu, adapter: LoraAdapter, shape: BenchShape, options: BenchOptions, say: (line: string) => void) {
  const { engine } = model;
  const flat = fullBatch(shape);
  say('first step');
  const cold = performance.now();
  const plan = await TrainingPlan.create({
    ...model, adapter, maxTokens: flat.tokens, maxTargets: flat.targets, maxPositions: shape.length, loraDropout: 0, training: trainingConfigSchema.parse({}),
  });
  const ring = new ReadbackRing(engine, 'stats', STATS.size, 3);
  const arrivals: number[] = [];
  const losses: number[] = [];
  let t = 0;
  const step = async (): Promise<void> => {
    plan.resetStats();
    await plan.microBatch(flat, 1 / flat.targets, 0);
    await plan.optimizerStep(1e-4, ++t);
    await ring.push(plan.stats, (stats) => {
      arrivals.push(performance.now());
      losses.push(stats[STATS.loss]!);
    });
  };
  const rounds = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) await step();
    await ring.drain();
  };
  try {
    await rounds(1);
    const firstStepMs = performance.now() - cold;
    if (options.warmup > 0) await rounds(options.warmup);
    say(`${options.steps} steps`);
    arrivals.length = 0;
    const start = performance.now();
    const before = { ...plan.submitter.counted };
    await rounds(options.steps);
    const { submits, dispatches, encodeMs } = plan.submitter.counted;
    const times = arrivals.map((at, i) => at - (i === 0 ? start : arrivals[i - 1]!));
    const done = { dispatches: dispatches - before.dispatches, cpuMs: encodeMs - before.encodeMs };
    const counted = {
      times,
      dispatches: done.dispatches / options.steps,
      submits: (submits - before.submits) / options.steps,
      cpuMs: done.cpuMs / options.steps,
      cpuMicrosecondsPerDispatch: (done.cpuMs * 1000) / done.dispatches,
      firstLoss: losses[0]!,
      lastLoss: losses.at(-1)!,
    };
    return { firstStepMs, step: counted, profile: await profileStep(plan, engine, step, ring, say), activationBytes: plan.activationBytes };
  } finally {
    ring.destroy();
    plan.destroy();
  }
}

async function profileStep(plan: TrainingPlan, engine: Engine, step: () => Promise<void>, ring: ReadbackRing, say: (line: string) => void) {
  const profiler = Profiler.create(engine);
  if (!profiler) return null;
  say('time by kernel');
  try {
    plan.submitter.profiler = profiler;
    // The first profiled step pays for what a pass a dispatch needs the first time.
    await step();
    await ring.drain();
    await profiler.settle();
    profiler.times.clear();
    const start = performance.now();
    await step();
    await ring.drain();
    const stepMs = performance.now() - start;
    await profiler.settle();
    const groups = new Map<string, { ms: number; count: number }>();
    for (const [label, { ms, count }] of profiler.times) {
      const group = groups.get(kernelGroup(label)) ?? { ms: 0, count: 0 };
      groups.set(kernelGroup(label), { ms: group.ms + ms, count: group.count + count });
    }
    const kernelMs = [...groups.values()].reduce((sum, { ms }) => sum + ms, 0);
    const kernels = [...groups].map(([name, { ms, count }]) => ({ name, ms, share: ms / kernelMs, count })).sort((a, b) => b.ms - a.ms);
    return { stepMs, kernelMs, kernels };
  } finally {
    plan.submitter.profiler = null;
    profiler.destroy();
  }
}

const PROMPT = 16;

async function benchGeneration(model: ModelOnGpu, adapter: LoraAdapter, tokens: number, say: (line: string) => void) {
  say('generation');
  const { engine, config, weights } = model;
  const generator = await Generator.create(model, adapter, PROMPT + tokens + 1);
  try {
    let first = 0;
    let made = 0;
    const prompt = Array.from({ length: PROMPT }, (_, i) => (i * 31 + 7) % config.vocabSize);
    for await (const _ of generator.generate(prompt, { maxNewTokens: tokens + 1, stopIds: [] })) {
      // The first token is the prompt's work.
      if (made++ === 0) first = performance.now();
    }
    const tokensPerSecond = ((made - 1) * 1000) / (performance.now() - first);
    const copyGBs = await measureCopy(engine);
    // Every weight is read once a token; of an untied embedding only a row is.
    const read = weights.bytes - (weights.head === weights.embedding ? 0 : weights.bytes * ((config.vocabSize * config.hiddenSize) / weights.parameters));
    return { tokensPerSecond, copyGBs, shareOfCopy: (tokensPerSecond * read) / 1e9 / copyGBs };
  } finally {
    generator.destroy();
  }
}
