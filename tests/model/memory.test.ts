import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TARGET_MODULES, type LoraConfig } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { allTargets, LoraAdapter } from '../../src/model/lora.ts';
import { destroyWeights } from '../../src/model/weights.ts';
import { forecastMemory } from '../../src/train/memory.ts';
import { TrainingPlan } from '../../src/train/plan.ts';
import { testGpu } from '../setup/gpu.ts';
import { onGpu, randomValues, TINY, TINY_QWEN3 } from '../setup/tinyModel.ts';

const MEDIUM: ModelConfig = { ...TINY, hiddenSize: 48, intermediateSize: 100, numHiddenLayers: 3, headDim: 12, vocabSize: 300, maxPositionEmbeddings: 2048 };
const lora = (config: Partial<LoraConfig>): LoraConfig => ({ r: 8, loraAlpha: 16, useRslora: false, loraDropout: 0, targetModules: ['q_proj', 'v_proj'], ...config });

describe('the memory forecast', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine(await testGpu());
  });
  afterAll(() => engine.destroy());

  it.each<[string, ModelConfig, LoraConfig, number, number]>([
    ['a few long rows, attention only', MEDIUM, lora({}), 700, 650],
    ['all projections with dropout', MEDIUM, lora({ r: 16, targetModules: [...TARGET_MODULES], loraDropout: 0.1 }), 600, 120],
    ['head norms and a large vocabulary', { ...TINY_QWEN3, hiddenSize: 40, intermediateSize: 64, headDim: 16, vocabSize: 5000 }, lora({ targetModules: ['down_proj'] }), 900, 300],
    ['outer norms, head norms, windows and two rotary tables', { ...TINY_QWEN3, hiddenSize: 40, intermediateSize: 64, headDim: 16, numHiddenLayers: 3, sandwichNorms: true, normOffset: 1, activation: 'gelu_tanh', layers: [{ window: 50, rope: 'local' }, { window: null, rope: 'global' }], localRope: { ropeTheta: 100, ropeScaling: { type: 'default' } } }, lora({ targetModules: [...TARGET_MODULES] }), 800, 200],
    ['few targets, large rank', MEDIUM, lora({ r: 64, targetModules: [...TARGET_MODULES] }), 256, 3],
  ])('is within a tenth of what a plan takes: %s', async (_, config, loraConfig, maxTokens, maxTargets) => {
    const before = engine.memory.live;
    const model = await onGpu(engine, config, randomValues(config, 1, 'bf16'), 'bf16');
    const adapter = new LoraAdapter(engine, config, loraConfig, allTargets(config, loraConfig.targetModules));
    const plan = await TrainingPlan.create({
      ...model, adapter, maxTokens, maxTargets, maxPositions: 256, loraDropout: loraConfig.loraDropout,
      training: { adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 },
    });
    const real = engine.memory.live - before;
    const forecast = forecastMemory({ config, weightBytes: model.weights.bytes, lora: loraConfig, maxTokens, maxTargets, maxPositions: 256, maxBinding: engine.maxBinding });
    expect(Math.abs(forecast.total - real) / real, `forecast ${forecast.total}, taken ${real}`).toBeLessThan(0.1);
    const { total, ...parts } = forecast;
    expect(total).toBe(Object.values(parts).reduce((a, b) => a + b));
    expect(forecast.activations + forecast.scratch + forecast.logits).toBe(plan.activationBytes);
    plan.destroy();
    adapter.destroy();
    destroyWeights(engine, model.weights);
    expect(engine.memory.live).toBe(before);
  });

  it('grows with tokens, targets, rank and dropout, and with nothing else', () => {
    const ask = (change: Partial<{ maxTokens: number; maxTargets: number; lora: LoraConfig }>): number =>
      forecastMemory({ config: MEDIUM, weightBytes: 1000, lora: lora({}), maxTokens: 100, maxTargets: 50, maxBinding: 2 ** 27, ...change }).total;
    const start = ask({});
    expect(ask({ maxTokens: 200 })).toBeGreaterThan(1.5 * start);
    expect(ask({ maxTargets: 100 })).toBeGreaterThan(start);
    expect(ask({ lora: lora({ r: 16 }) })).toBeGreaterThan(start);
    expect(ask({ lora: lora({ loraDropout: 0.1 }) })).toBeGreaterThan(start);
    expect(ask({ lora: lora({ loraAlpha: 99 }) })).toBe(start);
  });
});
