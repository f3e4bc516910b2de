/** q, k and v, and gate and up, as one product each: what a run of single products gives, in fewer dispatches. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TARGET_MODULES, type LoraConfig, type Quantization, type TargetModule } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { SHAPE_CLASSES } from '../../src/engine/variants.ts';
import { readTensor } from '../../src/engine/tensor.ts';
import { flattenBatch } from '../../src/model/batchInputs.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import type { ModelOnGpu } from '../../src/model/inference.ts';
import { allTargets, LoraAdapter, loraKey, type LoraTarget } from '../../src/model/lora.ts';
import { destroyWeights } from '../../src/model/weights.ts';
import { STATS, TrainingPlan } from '../../src/train/plan.ts';
import { relativeL2 } from '../../src/worker/conformance/compare.ts';
import { testDeviceKind, testGpu } from '../setup/gpu.ts';
import { batchOf, onGpu, randomLora, randomRows, randomValues, TINY } from '../setup/tinyModel.ts';
import { bits, pull, Rig } from './rig.ts';

/** Grouped heads, and sizes whose projections can lie together with ranks that are a multiple of 4. */
const SHAPE: ModelConfig = { ...TINY, hiddenSize: 32, intermediateSize: 48, headDim: 8 };
const SANDWICH: ModelConfig = { ...SHAPE, qkNorm: true, sandwichNorms: true, activation: 'gelu_tanh' };
const R = 4;
const flat = flattenBatch(batchOf(...randomRows(3, 17, { min: 3, max: 8 })));

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
  // SwiftShader compiles the others for seconds; which kernels there are, tests/kernels/joined.test.ts sees to.
  if (testDeviceKind() === 'swiftshader') for (const shape of SHAPE_CLASSES) engine.variants[shape] = 'direct';
});
afterAll(() => engine.destroy());

const adapterOn = (config: ModelConfig, targets: readonly LoraTarget[], lora: Partial<LoraConfig> = {}): LoraAdapter => {
  const adapter = new LoraAdapter(engine, config, { r: R, loraAlpha: 6, useRslora: false, loraDropout: 0, targetModules: [...TARGET_MODULES], ...lora }, targets);
  adapter.load(randomLora(config, targets, R, 3));
  return adapter;
};

interface Outcome {
  dispatches: number;
  losses: number[];
  /** Of the first step. */
  gradients: Map<string, { data: Float32Array }>;
  /** After three. */
  parameters: Map<string, { data: Float32Array }>;
}

/** Three steps of the same batch. */
async function threeSteps(model: ModelOnGpu, adapter: LoraAdapter, join: boolean, loraDropout = 0): Promise<Outcome> {
  const training = { adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 };
  // One token more than there are: what lies end to end begins where the largest batch would end.
  const plan = await TrainingPlan.create({ ...model, adapter, maxTokens: flat.tokens + 1, maxTargets: flat.targets, maxPositions: 32, loraDropout, training, join });
  const losses: number[] = [];
  let gradients: Outcome['gradients'] | null = null;
  for (let t = 1; t <= 3; t++) {
    plan.resetStats();
    await plan.microBatch(flat, 1 / flat.targets, t);
    gradients ??= await adapter.read('grads');
    losses.push((await readTensor(engine, plan.stats))[STATS.loss]!);
    await plan.optimizerStep(1e-2, t);
  }
  const outcome = { dispatches: plan.dispatches.micro, losses, gradients: gradients!, parameters: await adapter.read() };
  plan.destroy();
  return outcome;
}

describe('projections of one input as one product', () => {
  const all = (config: ModelConfig): LoraTarget[] => allTargets(config, TARGET_MODULES);
  it.each<[string, ModelConfig, Quantization, number, number?]>([
    ['plain', SHAPE, 'none', 15],
    ['head norms, outer norms', SANDWICH, 'none', 15],
    ['with dropout', SHAPE, 'none', 12, 0.2],
    ['in 4 bits', { ...SHAPE, hiddenSize: 64, intermediateSize: 64, headDim: 32 }, 'nf4', 15],
  ])('give the gradients and the course of training of single products in fewer dispatches: %s', async (_, config, quantization, fewer, dropout = 0) => {
    const model = await onGpu(engine, config, randomValues(config, 2, 'bf16'), 'bf16', quantization);
    expect(model.weights.layers.every((l) => l.qkv && l.gateUp)).toBe(true);
    const outcomes = [];
    for (const join of [true, false]) {
      const adapter = adapterOn(config, all(config));
      outcomes.push(await threeSteps(model, adapter, join, dropout));
      adapter.destroy();
    }
    const [joined, single] = outcomes as [Outcome, Outcome];
    expect((single.dispatches - joined.dispatches) / config.numHiddenLayers).toBeGreaterThanOrEqual(fewer);
    for (const [key, { data }] of joined.gradients) expect(relativeL2(data, single.gradients.get(key)!.data), `gradient of ${key}`).toBeLessThan(1e-5);
    for (const [key, { data }] of joined.parameters) expect(relativeL2(data, single.parameters.get(key)!.data), key).toBeLessThan(1e-4);
    joined.losses.forEach((loss, i) => expect(Math.abs(loss / single.losses[i]! - 1), `loss ${i}`).toBeLessThan(1e-5));
    destroyWeights(engine, model.weights);
  });

  it('single products stay where modules, ranks or strengths differ, and where rows of a matrix do not end at a binding\'s step', () => {
    const groups = (targets: LoraTarget[], lora?: Partial<LoraConfig>): number => {
      const adapter = adapterOn(SHAPE, targets, lora);
      const found = [0, 1].flatMap((l) => (['qkv', 'gateUp'] as const).filter((g) => adapter.group(l, g))).length;
      adapter.destroy();
      return found;
    };
    const change = (module: TargetModule, other: Partial<LoraTarget>): LoraTarget[] => all(SHAPE).map((t) => (t.layer === 1 && t.module === module ? { ...t, ...other } : t));
    expect(groups(all(SHAPE))).toBe(4);
    expect(groups(all(SHAPE).filter((t) => t.module !== 'k_proj'))).toBe(2);
    expect(groups(change('up_proj', { loraAlpha: 9 }))).toBe(3);
    const odd = new LoraAdapter(engine, SHAPE, { r: 3, loraAlpha: 6, useRslora: false, loraDropout: 0, targetModules: [...TARGET_MODULES] }, all(SHAPE));
    expect(odd.group(0, 'qkv')).toBeUndefined();
    odd.destroy();
  });

  it('a checkpoint has its flat arrays in the order they always had, target by target, and gives back what it took', async () => {
    const targets = all(SHAPE);
    const adapter = adapterOn(SHAPE, targets);
    const before = await adapter.read();
    const snapshot = await adapter.snapshot();
    let at = 0;
    for (const { layer, module } of targets) {
      for (const matrix of ['A', 'B'] as const) {
        const { data } = before.get(loraKey(layer, module, matrix))!;
        expect(snapshot.params.subarray(at, at + data.length)).toEqual(data);
        at += Math.ceil(data.length / 64) * 64;
      }
    }
    expect(at).toBe(snapshot.params.length);
    adapter.restore({ params: new Float32Array(adapter.elements) });
    adapter.restore(snapshot);
    expect(await adapter.read()).toEqual(before);
    adapter.destroy();
  });

  it('a run resumed from a checkpoint ends in the same bits', async () => {
    const options = { config: SHAPE, training: { maxSteps: 3, saveSteps: 2 } };
    const rig = await Rig.open(engine, options);
    const whole = await pull(rig.trainer());
    rig.close();
    const again = await Rig.open(engine, options);
    const rest = await pull(again.trainer(structuredClone(whole.checkpoints[0]!)));
    again.close();
    expect(rest.error).toBeNull();
    expect(rest.steps).toEqual(whole.steps.slice(2));
    expect(bits(rest.end!.state)).toEqual(bits(whole.end!.state));
  });
});
