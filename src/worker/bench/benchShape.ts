/**
 * Owns one bench from a GPU and a shape in words to its figures: kernels are chosen by measurement first, as a run would, and on a device of
 * their own, so that what they compiled cannot shorten the cold start that is timed.
 */
import type { Measured } from '../../engine/autotune.ts';
import { openEngine, type Engine } from '../../engine/device.ts';
import { destroyWeights, loadWeights } from '../../model/weights.ts';
import { fullBatch } from './batch.ts';
import { benchAdapter, runBench, type BenchOptions, type BenchResult } from './runBench.ts';
import { defaultBatch, parseShape, type BenchShape } from './shapes.ts';
import { Steps } from './steps.ts';
import { syntheticTensors } from './syntheticModel.ts';

export interface BenchRequest {
  shape: string;
  /** Measures kernel variants on software adapters too, whose defaults were measured before. Graphics cards are measured in any case. */
  tune: boolean;
  /** Chosen by hand, and instead of measuring unless `tune`. */
  variants: Record<string, string>;
  optionsFor: { gpu: BenchOptions; software: BenchOptions };
}

export interface Tuning {
  /** Compiling the candidates included. */
  ms: number;
  /** Products of a step, the costliest first. */
  products: Measured[];
}

export interface ShapeResult extends BenchResult {
  /** Null where nothing was measured. */
  tuning: Tuning | null;
}

export async function benchShape(gpu: GPU, { shape: text, tune, variants, optionsFor }: BenchRequest, say: (line: string) => void = () => {}): Promise<ShapeResult> {
  let engine = await openEngine(gpu);
  const { software } = engine.info;
  const shape = parseShape(text, defaultBatch(software));
  const options = software ? optionsFor.software : optionsFor.gpu;
  let tuning: Tuning | null = null;
  try {
    if (tune || (!software && Object.keys(variants).length === 0)) {
      say('kernel variants');
      tuning = await tuneStep(engine, shape, options.r);
      const chosen = { ...engine.variants };
      engine.destroy();
      engine = await openEngine(gpu);
      Object.assign(engine.variants, chosen);
    }
    Object.assign(engine.variants, variants);
    return { ...await runBench(engine, shape, options, say), tuning };
  } finally {
    engine.destroy();
  }
}

/** Long enough for all products where each takes its time. */
const SOFTWARE_BUDGET_MS = 120_000;
/** Barriers always lose on a processor, and compile for seconds. */
const SOFTWARE_VARIANTS = ['direct', 'subgroup', 'row'];

/** Measures the variants of every product of a step, and leaves the choices in engine.variants. */
export async function tuneStep(engine: Engine, shape: BenchShape, r: number): Promise<Tuning> {
  const { config, batch, length } = shape;
  const start = performance.now();
  const products: Measured[] = [];
  const weights = await loadWeights(engine, config, syntheticTensors(config));
  const model = { engine, config, weights };
  const tune = { onMeasured: (one: Measured) => void products.push(one), ...(engine.info.software ? { budgetMs: SOFTWARE_BUDGET_MS, only: SOFTWARE_VARIANTS } : {}) };
  const adapter = benchAdapter(engine, config, r);
  try {
    (await Steps.create({ model, adapter, flat: fullBatch(config.vocabSize, batch, length), length, tune })).destroy();
  } finally {
    adapter.destroy();
    destroyWeights(engine, weights);
  }
  return { ms: performance.now() - start, products };
}
