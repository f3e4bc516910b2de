/** What sets the architectures apart, each as data over the same decoder: beside the f64 twin, and adapters in every place. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TARGET_MODULES, type LoraConfig } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { flattenBatch, narrow } from '../../src/model/batchInputs.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { countParameters } from '../../src/model/expectedTensors.ts';
import { chunkRowsFor } from '../../src/model/head.ts';
import { batchLogits, Generator, type ModelOnGpu } from '../../src/model/inference.ts';
import { allTargets, LoraAdapter, type LoraTarget, type LoraTensors } from '../../src/model/lora.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { TrainingPlan } from '../../src/train/plan.ts';
import { relativeL2 } from '../../src/worker/conformance/compare.ts';
import { decoderForward, decoderLoss, type DecoderTwin } from '../reference/decoder.ts';
import { testGpu } from '../setup/gpu.ts';
import { checkVocabulary } from '../setup/largeVocabulary.ts';
import { batchOf, onGpu, packOf, randomLora, randomRows, randomValues, TINY } from '../setup/tinyModel.ts';

const R = 3;
const rows = randomRows(4, 5, { min: 7, max: 15 });

/** Everything at once. */
const ALL: ModelConfig = {
  ...TINY, numHiddenLayers: 3, layers: [{ window: 4, rope: 'local' }, { window: null, rope: 'global' }, { window: 3, rope: null }],
  localRope: { ropeTheta: 500, ropeScaling: { type: 'default' } }, ropeScaling: { type: 'linear', factor: 4 },
  qkNorm: true, sandwichNorms: true, normOffset: 1, activation: 'gelu_tanh', embeddingScale: Math.fround(Math.sqrt(14)), attentionScale: 0.6, attentionSoftcap: 1.5, finalSoftcap: 2,
};
/** Each difference by itself. */
const CONFIGS: Record<string, ModelConfig> = {
  'a window of 4 in every layer': { ...TINY, layers: [{ window: 4, rope: 'global' }] },
  'a window of 2 below a full layer': { ...TINY, layers: [{ window: 2, rope: 'global' }, { window: null, rope: 'global' }] },
  'a layer without rotary positions': { ...TINY, layers: [{ window: null, rope: 'global' }, { window: null, rope: null }] },
  'a rotary table of its own for local layers': { ...TINY, layers: [{ window: null, rope: 'local' }, { window: null, rope: 'global' }], localRope: { ropeTheta: 100, ropeScaling: { type: 'linear', factor: 2 } } },
  'sandwich norms': { ...TINY, sandwichNorms: true },
  'norms of 1 + weight': { ...TINY, normOffset: 1, qkNorm: true },
  'the tanh form of GELU': { ...TINY, activation: 'gelu_tanh' },
  'scaled embeddings and scores': { ...TINY, embeddingScale: Math.fround(Math.sqrt(14)), attentionScale: 0.9 },
  'capped scores': { ...TINY, attentionSoftcap: 0.7 },
  'capped logits': { ...TINY, finalSoftcap: 1.3 },
  'all of it together': ALL,
};

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
});
afterAll(() => engine.destroy());

const lora = (config: Partial<LoraConfig> = {}): LoraConfig => ({ r: R, loraAlpha: 5, useRslora: false, loraDropout: 0, targetModules: [...TARGET_MODULES], ...config });
const adapterOn = (config: ModelConfig, targets: readonly LoraTarget[], tensors: LoraTensors): LoraAdapter => {
  const adapter = new LoraAdapter(engine, config, lora({ targetModules: [...new Set(targets.map((t) => t.module))] }), targets);
  adapter.load(tensors);
  return adapter;
};
async function gradients(model: ModelOnGpu, adapter: LoraAdapter): Promise<LoraTensors> {
  const flat = flattenBatch(packOf(...rows));
  const plan = await TrainingPlan.create({
    ...model, adapter, maxTokens: flat.tokens, maxTargets: flat.targets, maxPositions: 32, loraDropout: 0,
    training: { adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 },
  });
  await plan.microBatch(flat, 1 / flat.targets, 0);
  const grads = await adapter.read('grads');
  plan.destroy();
  return grads;
}

describe.each(Object.entries(CONFIGS))('%s', (_, config) => {
  it('gives the twin\'s logits, and gradients along which the twin\'s loss falls as they say', async () => {
    const values = randomValues(config, 1);
    const model = await onGpu(engine, config, values);
    const targets = allTargets(config, TARGET_MODULES);
    const tensors = randomLora(config, targets, R, 3);
    const adapter = adapterOn(config, targets, tensors);
    const wide = new Map([...tensors].map(([key, { data }]) => [key, Float64Array.from(data)]));
    const twin: DecoderTwin = { config, weight: (name) => values.get(name)!.data, lora: { r: R, scaling: adapter.entries[0]!.scaling, tensor: (key) => wide.get(key), factor: null } };
    const batch = packOf(...rows);
    const flat = flattenBatch(batch);
    const { logits, hidden } = decoderForward(twin, flat);
    const got = await batchLogits(model, adapter, batch, { hidden: true });
    expect(relativeL2(got.logits, logits)).toBeLessThan(3e-6);
    for (const [i, states] of hidden.entries()) expect(relativeL2(got.hidden[i]!, states), `hidden ${i}`).toBeLessThan(3e-6);
    // The difference matters: without it the logits are others.
    const plain: ModelConfig = { ...config, ...TINY, numHiddenLayers: config.numHiddenLayers, qkNorm: config.qkNorm, sandwichNorms: false };
    expect(relativeL2(decoderForward({ ...twin, config: plain }, flat).logits, logits)).toBeGreaterThan(1e-2);

    const grads = await gradients(model, adapter);
    for (const [key, { data }] of grads) {
      // Along its own gradient: the slope of the loss there is the gradient's length squared.
      const norm = Math.hypot(...data);
      expect(norm, key).toBeGreaterThan(0);
      const at = wide.get(key)!;
      const start = at.slice();
      const lossAt = (step: number): number => {
        data.forEach((g, i) => (at[i] = start[i]! + (step * g) / norm));
        return decoderLoss(twin, flat);
      };
      const slope = (lossAt(1e-5) - lossAt(-1e-5)) / 2e-5;
      at.set(start);
      expect(Math.abs(slope / norm - 1), key).toBeLessThan(5e-5);
    }
    adapter.destroy();
  });
});

describe('an adapter in a model with outer norms', () => {
  it.each<[string, LoraTarget[]]>([
    ['down_proj of the last layer', [{ layer: 2, module: 'down_proj' }]],
    ['up_proj of the last layer', [{ layer: 2, module: 'up_proj' }]],
    ['o_proj of the last layer', [{ layer: 2, module: 'o_proj' }]],
    ['k_proj of the middle layer', [{ layer: 1, module: 'k_proj' }]],
    ['gate_proj of the first layer and v_proj of the last', [{ layer: 0, module: 'gate_proj' }, { layer: 2, module: 'v_proj' }]],
  ])('on %s alone has the gradients it has among adapters that are zero', async (_, targets) => {
    const model = await onGpu(engine, ALL, randomValues(ALL, 2));
    const tensors = randomLora(ALL, targets, R, 8);
    const everywhere = allTargets(ALL, TARGET_MODULES);
    const zeros: LoraTensors = new Map([...randomLora(ALL, everywhere, R, 1)].map(([key, { shape, data }]) => [key, { shape, data: data.map(() => 0) }]));
    const some = adapterOn(ALL, targets, tensors);
    const full = adapterOn(ALL, everywhere, new Map([...zeros, ...tensors]));
    const wanted = await gradients(model, full);
    for (const [key, { data }] of await gradients(model, some)) {
      expect(wanted.get(key)!.data.some((g) => g !== 0), key).toBe(true);
      expect(relativeL2(data, wanted.get(key)!.data), key).toBeLessThan(1e-5);
    }
    some.destroy();
    full.destroy();
  });
});

describe('a sliding window', () => {
  it('is a pair of bounds: every query sees its last keys, itself included, and no other segment; keys and queries agree', () => {
    const flat = flattenBatch(packOf(...rows));
    for (const window of [1, 3, 8, 100]) {
      const { keyStart, queryEnd } = narrow(flat, window);
      for (let i = 0; i < flat.tokens; i++) {
        for (let j = 0; j < flat.tokens; j++) {
          const seen = j <= i && j > i - window && flat.keyStart[j] === flat.keyStart[i];
          expect(j >= keyStart[i]! && j < flat.keyEnd[i]!).toBe(seen);
          expect(i >= j && i < queryEnd[j]!).toBe(seen);
        }
      }
    }
  });

  it('holds in generation: with a prompt longer than prefill and window, each new token is the one that the whole text gives', async () => {
    const model = await onGpu(engine, ALL, randomValues(ALL, 3));
    const prompt = Array.from({ length: 70 }, (_, i) => 3 + ((7 * i) % 26));
    const generator = await Generator.create(model, null, 90);
    const made: number[] = [];
    const logits: Float32Array[] = [];
    for await (const id of generator.generate(prompt, { maxNewTokens: 12, stopIds: [], onLogits: (l) => logits.push(l) })) made.push(id);
    expect(made).toHaveLength(12);
    const ids = [...prompt, ...made];
    const whole = (await batchLogits(model, null, batchOf({ index: 0, inputIds: Int32Array.from(ids), labels: Int32Array.from(ids), fullLength: ids.length, numTargets: ids.length - 1 }))).logits;
    logits.forEach((l, i) => {
      const at = (prompt.length + i - 1) * ALL.vocabSize;
      expect(relativeL2(l, whole.subarray(at, at + ALL.vocabSize)), `token ${i}`).toBeLessThan(3e-6);
    });
    generator.destroy();
  });
});

describe('a vocabulary larger than a binding', () => {
  it.each([['', null], [', capped', 0.5]])('is cut by rows, its logits taken three at a time, with the loss, logits and gradient of f64%s', async (_, finalSoftcap) => {
    const small = await openEngine(await testGpu(), { maxBinding: 65_536 });
    await checkVocabulary(small, { vocabSize: 5003, hiddenSize: 24, finalSoftcap }, { parts: 4, chunkRows: 3, modules: ['q_proj', 'up_proj'] });
    small.destroy();
  });

  it('takes as many rows of logits as a binding holds: at most 256, at least 1', () => {
    const rows = (maxBinding: number, vocab: number): number => chunkRowsFor({ ...engine, maxBinding }, vocab);
    const MiB128 = 128 * 1024 * 1024;
    expect([49_152, 128_256, 151_936, 262_144].map((vocab) => rows(MiB128, vocab))).toEqual([256, 256, 220, 128]);
    expect([rows(2 ** 31, 262_144), rows(1000, 1031)]).toEqual([256, 1]);
  });
});

describe('published models', () => {
  /** Sizes as their config.json has them; counts as the model pages and safetensors indexes state them. */
  const PUBLISHED: [string, Record<string, unknown>, number][] = [
    ['SmolLM3-3B', { architectures: ['SmolLM3ForCausalLM'], hidden_size: 2048, intermediate_size: 11_008, num_hidden_layers: 36, num_attention_heads: 16, num_key_value_heads: 4, vocab_size: 128_256 }, 3_075_098_624],
    ['Gemma 3 270M', { architectures: ['Gemma3ForCausalLM'], hidden_size: 640, intermediate_size: 2048, num_hidden_layers: 18, num_attention_heads: 4, num_key_value_heads: 1, head_dim: 256, vocab_size: 262_144 }, 268_098_176],
    ['Gemma 3 1B', { architectures: ['Gemma3ForCausalLM'], hidden_size: 1152, intermediate_size: 6912, num_hidden_layers: 26, num_attention_heads: 4, num_key_value_heads: 1, head_dim: 256, vocab_size: 262_144 }, 999_885_952],
    ['Mistral 7B', { architectures: ['MistralForCausalLM'], hidden_size: 4096, intermediate_size: 14_336, num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 8, vocab_size: 32_000 }, 7_241_732_096],
  ];
  it.each(PUBLISHED)('%s has the parameters it is known to have', (_, json, count) => {
    expect(countParameters(parseModelConfig(json))).toBe(count);
  });
});
