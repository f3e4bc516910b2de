/** Computing activations again instead of keeping them: the same bits for less memory. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RECOMPUTE_POLICIES, TARGET_MODULES } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { flattenBatch } from '../../src/model/batchInputs.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { testGpu } from '../setup/gpu.ts';
import { batchOf, randomRows, TINY, TINY_QWEN3 } from '../setup/tinyModel.ts';
import { bits, pull, Rig, ROWS, type RigOptions } from './rig.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
});
afterAll(() => engine.destroy());

const THREE: ModelConfig = { ...TINY, numHiddenLayers: 3 };
/** Gemma's shape: outer norms, head norms, windows, a layer without rotary positions. */
const SANDWICH: ModelConfig = {
  ...TINY_QWEN3, numHiddenLayers: 3, sandwichNorms: true, normOffset: 1, activation: 'gelu_tanh',
  layers: [{ window: 3, rope: 'global' }, { window: null, rope: null }, { window: 3, rope: 'global' }],
};

/** Sizes whose projections lie together. */
const JOINED: ModelConfig = { ...SANDWICH, hiddenSize: 32, intermediateSize: 48, headDim: 8 };

describe('activations that are computed again', () => {
  it.each<[string, RigOptions]>([
    ['all projections with dropout', { config: THREE, lora: { loraDropout: 0.3 } }],
    ['head norms and outer norms', { config: SANDWICH, lora: { loraDropout: 0.3 } }],
    ['projections that are one product', { config: JOINED }],
    ['projections that are one product, with dropout', { config: JOINED, lora: { loraDropout: 0.3 } }],
    ['queries and values only', { config: { ...TINY_QWEN3, numHiddenLayers: 3 }, lora: { targetModules: ['q_proj', 'v_proj'] } }],
    ['the last projection only', { config: THREE, lora: { targetModules: ['down_proj'] } }],
  ])('give the bits of those that were kept, in a whole run and in its validation: %s', async (_, options) => {
    const outcomes = [];
    for (const recompute of RECOMPUTE_POLICIES) {
      const rig = await Rig.open(engine, { ...options, recompute, heldOut: randomRows(2, 22), training: { maxSteps: 3, evalSteps: 2 } });
      const { steps, evals, end, error } = await pull(rig.trainer());
      expect(error).toBeNull();
      outcomes.push({ recompute, steps, evals, end: bits(end!.state) });
      rig.close();
    }
    const [none, ...others] = outcomes;
    expect(none!.steps.every((s) => s.gradNorm > 0)).toBe(true);
    for (const { recompute, ...rest } of others) expect({ recompute: 'none', ...rest }, recompute).toEqual(none);
  });

  it('take less memory for more operations, the more the policy leaves out', async () => {
    const config: ModelConfig = { ...THREE, numHiddenLayers: 8, hiddenSize: 48, intermediateSize: 144, headDim: 12 };
    const flat = flattenBatch(batchOf(...ROWS.slice(0, 2)));
    const figures = [];
    for (const recompute of RECOMPUTE_POLICIES) {
      const rig = await Rig.open(engine, { config, recompute, lora: { targetModules: [...TARGET_MODULES] } });
      figures.push({ bytes: rig.plan.activationBytes, flops: rig.plan.microFlops(flat) });
      rig.close();
    }
    const [none, cheap, layers] = figures;
    expect(cheap!.bytes).toBeLessThan(0.85 * none!.bytes);
    expect(layers!.bytes).toBeLessThan(0.5 * none!.bytes);
    expect(cheap!.flops / none!.flops).toBeGreaterThan(1);
    expect(cheap!.flops / none!.flops).toBeLessThan(1.05);
    expect(layers!.flops / none!.flops).toBeGreaterThan(1.2);
    expect(layers!.flops / none!.flops).toBeLessThan(1.5);
  });
});
