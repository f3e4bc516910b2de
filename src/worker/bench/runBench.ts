/**
 * Owns one measurement of this device, in one process: the largest matrix product, a LoRA training step, where the step's time
 * goes, and generation. Runs in Node and in a page. Everything it reports was measured in this run.
 */
import { loraConfigSchema, TARGET_MODULES } from '../../config/recipe.ts';
import type { Engine } from '../../engine/device.ts';
import { Profiler } from '../../engine/profiler.ts';
import { variantsInForce } from '../../engine/variants.ts';
import { Generator, type ModelOnGpu } from '../../model/inference.ts';
import type { ModelConfig } from '../../model/config.ts';
import { allTargets, LoraAdapter } from '../../model/lora.ts';
import { destroyWeights, loadWeights } from '../../model/weights.ts';
import { fullBatch, fullPairs } from './batch.ts';
import { measureCopy, measureMatmuls, type MatmulFigure } from './ceiling.ts';
import { stepFlops } from './flops.ts';
import { measureRecompute, type RecomputeFigure } from './recompute.ts';
import type { BenchShape } from './shapes.ts';
import { Steps } from './steps.ts';
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
  /** Measures steps that compute parts of the forward pass again, beside those that keep all of it. */
  recompute?: boolean;
  /** What recomputing is timed by, ms; by default the time that passes. On a software adapter in Node the processor time of this process does better. */
  clock?: () => number;
}

/** Answers token by token, greedily. */
export interface Spoken {
  tokensPerSecond: number;
  /** Of a token; those of embedding and head are among them. */
  dispatches: number;
  dispatchesPerLayer: number;
}

/** Of the model alone; `tuned` with the adapter beside it. */
export interface Generation extends Spoken {
  tuned: Spoken;
  /** What a copy between buffers reads. */
  copyGBs: number;
  /** What the weights of each token are of that. */
  shareOfCopy: number;
}

export interface Spread {
  median: number;
  /** Tenth and ninetieth percentile. */
  low: number;
  high: number;
}

export interface BenchResult {
  device: { description: string; vendor: string; architecture: string; software: boolean; f16: boolean; subgroups: boolean };
  shape: { name: string; text: string; layers: number; hidden: number; heads: number; kvHeads: number; intermediate: number; vocab: number; parameters: number; batch: number; length: number; r: number };
  variants: Record<string, string>;
  matmul: { best: MatmulFigure; all: MatmulFigure[]; shareOfPeak: number | null };
  /** Milliseconds from nothing on the device to the end of the first step. */
  coldStart: {
    /** Making the weights and bringing them to the device. */
    loadMs: number;
    /** Every kernel of a run asked for at once, until the last is compiled; buffers with it. */
    compileMs: number;
    kernels: number;
    /** The first step by itself: some drivers compile at the first dispatch. */
    stepMs: number;
  };
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
  profile: {
    stepMs: number;
    kernelMs: number;
    slowdown: number;
    /** Share of a normal step in which no kernel runs, by the sum of its kernels' times; null where passes of their own made those longer than the step. */
    idleShare: number | null;
    kernels: { name: string; ms: number; share: number; count: number }[];
  } | null;
  recompute: RecomputeFigure[] | null;
  memory: { peakBytes: number; weightBytes: number; activationBytes: number };
  generation: Generation | null;
}

const quantile = (sorted: number[], q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;

export function spreadOf(times: readonly number[]): Spread {
  const sorted = [...times].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0.1), high: quantile(sorted, 0.9) };
}

/** What a dispatch does, whatever its layer: 'model.layers.0.mlp.up_proj lora dA' -> 'up_proj lora dA'. */
export const kernelGroup = (label: string): string => label.replaceAll(/\bmodel\.layers\.\d+\.(self_attn|mlp)\.|\blayer \d+ | part \d+$/g, '').trim();

/** LoRA of rank r on all seven projections, as it starts. */
export function benchAdapter(engine: Engine, config: ModelConfig, r: number): LoraAdapter {
  const lora = loraConfigSchema.parse({ r, loraAlpha: 2 * r, loraDropout: 0, targetModules: TARGET_MODULES });
  const adapter = new LoraAdapter(engine, config, lora, allTargets(config, lora.targetModules));
  adapter.initialise(42);
  return adapter;
}

/** Takes the kernels that engine.variants names, and measures none. */
export async function runBench(engine: Engine, shape: BenchShape, options: BenchOptions, say: (line: string) => void = () => {}): Promise<BenchResult> {
  const { config, batch, length } = shape;
  say('weights');
  const loading = performance.now();
  const weights = await loadWeights(engine, config, syntheticTensors(config));
  const loadMs = performance.now() - loading;
  const adapter = benchAdapter(engine, config, options.r);
  const model: ModelOnGpu = { engine, config, weights };
  try {
    const trained = await benchSteps(model, adapter, shape, options, say);
    const peakBytes = engine.memory.peak;
    const generation = options.generate > 0 ? await benchGeneration(model, adapter, options.generate, say) : null;
    say('largest product');
    const all = await measureMatmuls(engine, options.sides);
    const best = all.reduce((a, b) => (b.gflops > a.gflops ? b : a));
    const flops = stepFlops(config, adapter.config, { tokens: batch * length, targets: batch * (length - 1), pairs: fullPairs(batch, length) }).total;
    const { times, ...step } = trained.step;
    const ms = spreadOf(times);
    const gflops = flops / ms.median / 1e6;
    const { description, vendor, architecture, software, f16, subgroups } = engine.info;
    return {
      device: { description, vendor, architecture, software, f16, subgroups },
      shape: {
        name: shape.name, text: shape.text, layers: config.numHiddenLayers, hidden: config.hiddenSize, heads: config.numAttentionHeads, kvHeads: config.numKeyValueHeads,
        intermediate: config.intermediateSize, vocab: config.vocabSize, parameters: weights.parameters, batch, length, r: options.r,
      },
      variants: variantsInForce(engine),
      matmul: { best, all, shareOfPeak: options.peakTflops === null ? null : best.gflops / 1000 / options.peakTflops },
      coldStart: { loadMs, ...trained.coldStart },
      step: { ms, tokensPerSecond: (batch * length * 1000) / ms.median, flops, gflops, mfu: gflops / best.gflops, ...step },
      profile: trained.profile && { ...trained.profile, slowdown: trained.profile.stepMs / ms.median, idleShare: trained.profile.kernelMs > ms.median ? null : 1 - trained.profile.kernelMs / ms.median },
      recompute: trained.recompute,
      memory: { peakBytes, weightBytes: weights.bytes, activationBytes: trained.activationBytes },
      generation,
    };
  } finally {
    adapter.destroy();
    destroyWeights(engine, weights);
  }
}

async function benchSteps(model: ModelOnGpu, adapter: LoraAdapter, shape: BenchShape, options: BenchOptions, say: (line: string) => void) {
  const { engine, config } = model;
  const flat = fullBatch(config.vocabSize, shape.batch, shape.length);
  say('first step');
  const cold = performance.now();
  const steps = await Steps.create({ model, adapter, flat, length: shape.length, tune: false });
  const compileMs = performance.now() - cold;
  const { plan, losses } = steps;
  let measured;
  try {
    const coldStart = { compileMs, kernels: engine.pipelines.size, stepMs: (await steps.run(1))[0]! };
    if (options.warmup > 0) await steps.run(options.warmup);
    say(`${options.steps} steps`);
    const before = { ...plan.submitter.counted };
    const times = await steps.run(options.steps);
    const { submits, dispatches, encodeMs } = plan.submitter.counted;
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
    measured = { coldStart, step: counted, profile: await profileStep(steps, engine, say), activationBytes: plan.activationBytes };
  } finally {
    steps.destroy();
  }
  return { ...measured, recompute: options.recompute ? await measureRecompute(model, adapter, flat, shape.length, options.steps, say, options.clock) : null };
}

async function profileStep(steps: Steps, engine: Engine, say: (line: string) => void) {
  const { plan } = steps;
  const profiler = Profiler.create(engine);
  if (!profiler) return null;
  say('time by kernel');
  try {
    plan.submitter.profiler = profiler;
    // The first profiled step pays for what a pass a dispatch needs the first time.
    await steps.run(1);
    await profiler.settle();
    profiler.times.clear();
    const [stepMs = 0] = await steps.run(1);
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

async function benchGeneration(model: ModelOnGpu, adapter: LoraAdapter, tokens: number, say: (line: string) => void): Promise<Generation> {
  const { engine, config, weights } = model;
  say('generation');
  const base = await speak(model, null, tokens);
  say('generation with the adapter');
  const tuned = await speak(model, adapter, tokens);
  const copyGBs = await measureCopy(engine);
  // Every weight is read once a token; of an untied embedding only a row is.
  const read = weights.bytes - (weights.head === weights.embedding ? 0 : weights.bytes * ((config.vocabSize * config.hiddenSize) / weights.parameters));
  return { ...base, tuned, copyGBs, shareOfCopy: (base.tokensPerSecond * read) / 1e9 / copyGBs };
}

async function speak(model: ModelOnGpu, adapter: LoraAdapter | null, tokens: number): Promise<Spoken> {
  const { vocabSize, numHiddenLayers } = model.config;
  const generator = await Generator.create(model, adapter, PROMPT + tokens + 1);
  try {
    let first = 0;
    let made = 0;
    const prompt = Array.from({ length: PROMPT }, (_, i) => (i * 31 + 7) % vocabSize);
    for await (const _ of generator.generate(prompt, { maxNewTokens: tokens + 1, stopIds: [] })) {
      // The first token is the prompt's work.
      if (made++ === 0) first = performance.now();
    }
    const dispatches = generator.dispatches.token;
    return { tokensPerSecond: ((made - 1) * 1000) / (performance.now() - first), dispatches, dispatchesPerLayer: dispatches / numHiddenLayers };
  } finally {
    generator.destroy();
  }
}
