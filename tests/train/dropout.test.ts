/** LoRA dropout end to end: the masks the kernel draws, put into the f64 twin, must explain loss and gradients of the engine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/worker/conformance/runCase.ts';
import { TARGET_MODULES, type TargetModule } from '../../src/config/recipe.ts';
import { dropout } from '../../src/engine/kernels/dropout.ts';
import { readTensor } from '../../src/engine/tensor.ts';
import { flattenBatch } from '../../src/model/batchInputs.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { allTargets, LoraAdapter } from '../../src/model/lora.ts';
import { destroyWeights } from '../../src/model/weights.ts';
import { STATS, TrainingPlan } from '../../src/train/plan.ts';
import { mixSeed } from '../../src/train/trainer.ts';
import { normal, openKit, type Kit } from '../kernels/run.ts';
import { decoderLoss, type DecoderTwin } from '../reference/decoder.ts';
import { dot, finiteDifference } from '../reference/finiteDifference.ts';
import { onGpu, packOf, randomLora, randomRows, randomValues, TINY, TINY_QWEN2, TINY_QWEN3 } from '../setup/tinyModel.ts';

const R = 3;
const P = 0.3;
const SEED = mixSeed(42, 5);
/** Derivatives along this many random directions a tensor; each touches every element. */
const DIRECTIONS = 3;
const flat = flattenBatch(packOf(...randomRows(2, 3, { min: 6, max: 9 })));

interface Trained {
  plan: TrainingPlan;
  adapter: LoraAdapter;
  twin: DecoderTwin;
  lora: Map<string, Float64Array>;
  close(): void;
}

/** An engine and a twin of the same model and adapter. */
async function trained(kit: Kit, config: ModelConfig, loraDropout: number): Promise<Trained> {
  const values = randomValues(config, 11);
  const model = await onGpu(kit.engine, config, values);
  const targets = allTargets(config, TARGET_MODULES);
  const adapter = new LoraAdapter(kit.engine, config, { r: R, loraAlpha: 5, useRslora: false, loraDropout, targetModules: [...TARGET_MODULES] }, targets);
  const tensors = randomLora(config, targets, R, 23);
  adapter.load(tensors);
  const lora = new Map([...tensors].map(([key, { data }]) => [key, Float64Array.from(data)]));
  const plan = await TrainingPlan.create({
    ...model, adapter, maxTokens: flat.tokens + 3, maxTargets: flat.targets + 2, maxPositions: 16, loraDropout,
    training: { adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 },
  });
  return {
    plan, adapter, lora,
    twin: { config, weight: (name) => values.get(name)!.data, lora: { r: R, scaling: adapter.entries[0]!.scaling, tensor: (key) => lora.get(key), factor: null } },
    close() {
      plan.destroy();
      adapter.destroy();
      destroyWeights(kit.engine, model.weights);
    },
  };
}

/** 0 or 1 / (1 - p) for each element that a projection's adapter sees: the kernel's own output for ones. */
async function dumpFactors(kit: Kit, adapter: LoraAdapter, seed: number): Promise<Map<string, Float64Array>> {
  const factors = new Map<string, Float64Array>();
  for (const { layer, module, inFeatures, stream } of adapter.entries) {
    const out = kit.empty('factor', flat.tokens * inFeatures);
    await kit.run(dropout(kit.engine, { label: 'dump', cols: inFeatures, x: kit.tensor('ones', new Float32Array(flat.tokens * inFeatures).fill(1)), out, p: P, stream }), { tokens: flat.tokens, dropoutSeed: seed });
    factors.set(`${layer}.${module}`, Float64Array.from(await kit.read(out)));
  }
  return factors;
}

async function lossOf(t: Trained, what: 'train' | 'evaluate', seed = SEED): Promise<number> {
  t.plan.resetStats();
  if (what === 'train') await t.plan.microBatch(flat, 1 / flat.targets, seed);
  else await t.plan.evaluateBatch(flat, 1 / flat.targets);
  return (await readTensor(t.plan.engine, t.plan.stats))[STATS.loss]!;
}

describe('LoRA dropout', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit();
  });
  afterAll(() => kit.close());

  for (const config of [TINY, TINY_QWEN2, TINY_QWEN3]) {
    it(`gives the gradients of the twin under the same kept masks, along random directions of every adapter tensor of a ${config.architecture}`, async () => {
      const t = await trained(kit, config, P);
      const factors = await dumpFactors(kit, t.adapter, SEED);
      t.twin.lora!.factor = (layer, module) => factors.get(`${layer}.${module}`)!;
      expect(Math.abs((await lossOf(t, 'train')) - decoderLoss(t.twin, flat))).toBeLessThan(5e-6);
      const gradients = await t.adapter.read('grads');
      const off: string[] = [];
      for (const [i, [key, values]] of [...t.lora].entries()) {
        const ours = gradients.get(key)!.data;
        const size = Math.hypot(...ours);
        expect(size, `${key} has no gradient to compare`).toBeGreaterThan(1e-3);
        for (let d = 0; d < DIRECTIONS; d++) {
          const direction = normal(values.length, 1000 * d + i);
          const start = values.slice();
          const at = Float64Array.of(0);
          const [expected] = finiteDifference(() => {
            values.set(start.map((v, j) => v + at[0]! * direction[j]!));
            return decoderLoss(t.twin, flat);
          }, at);
          values.set(start);
          const error = Math.abs(dot(ours, direction) - expected!) / size;
          if (!(error <= LIMITS.gradRel)) off.push(`${key}, direction ${d}: off by ${error.toExponential(2)} of its gradient`);
        }
      }
      expect(off).toEqual([]);
      t.close();
    });
  }

  it('is told apart from no dropout, another mask and a mask moved to another module by that comparison', async () => {
    const t = await trained(kit, TINY, P);
    const ours = await lossOf(t, 'train');
    const factors = await dumpFactors(kit, t.adapter, SEED);
    const other = await dumpFactors(kit, t.adapter, SEED + 1);
    const lossWith = (factor: ((layer: number, module: TargetModule) => ArrayLike<number>) | null): number => {
      t.twin.lora!.factor = factor;
      return decoderLoss(t.twin, flat);
    };
    const at = (layer: number, module: string): Float64Array => factors.get(`${layer}.${module}`)!;
    expect(Math.abs(ours - lossWith(at))).toBeLessThan(5e-6);
    expect(Math.abs(ours - lossWith(null))).toBeGreaterThan(1e-3);
    expect(Math.abs(ours - lossWith((l, m) => other.get(`${l}.${m}`)!))).toBeGreaterThan(1e-3);
    expect(Math.abs(ours - lossWith((l, m) => at(l, m === 'k_proj' ? 'q_proj' : m)))).toBeGreaterThan(1e-4);
    t.close();
  });

  it('keeps 1 - p of what all adapters see, within 4 sigma, and draws each module and each layer a mask of its own', async () => {
    const t = await trained(kit, TINY, P);
    const factors = await dumpFactors(kit, t.adapter, SEED);
    const all = [...factors.values()].flatMap((f) => [...f]);
    const kept = all.filter((v) => v !== 0).length;
    expect(Math.abs(kept - all.length * (1 - P))).toBeLessThanOrEqual(4 * Math.sqrt(all.length * P * (1 - P)));
    expect(all.every((v) => v === 0 || Math.abs(v - 1 / (1 - P)) < 1e-6)).toBe(true);
    const masks = [...factors].map(([key, f]) => [key, f.map((v) => (v === 0 ? 0 : 1)).join('')] as const);
    expect(masks.length).toBe(2 * TARGET_MODULES.length);
    expect(new Set(masks.map(([, mask]) => mask)).size).toBe(masks.length);
    t.close();
  });

  it('draws another mask for another micro-batch and the same for the same, and validation has none', async () => {
    const t = await trained(kit, TINY, P);
    const first = await lossOf(t, 'train', mixSeed(42, 0));
    expect(await lossOf(t, 'train', mixSeed(42, 1))).not.toBe(first);
    expect(await lossOf(t, 'train', mixSeed(43, 0))).not.toBe(first);
    expect(await lossOf(t, 'train', mixSeed(42, 0))).toBe(first);
    t.twin.lora!.factor = null;
    expect(Math.abs((await lossOf(t, 'evaluate')) - decoderLoss(t.twin, flat))).toBeLessThan(5e-6);
    t.close();
  });

  it('never gives two of the first 4,096 micro-batches of a run the same seed', () => {
    expect(new Set(Array.from({ length: 4096 }, (_, i) => mixSeed(42, i))).size).toBe(4096);
  });
});
