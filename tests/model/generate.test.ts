import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TARGET_MODULES, type TargetModule } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { chosenRowVariant } from '../../src/engine/rowVariants.ts';
import { defaultVariant } from '../../src/engine/variants.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { batchLogits, Generator, type ModelOnGpu } from '../../src/model/inference.ts';
import { allTargets, LoraAdapter, uniformStream } from '../../src/model/lora.ts';
import { GREEDY, sampler, type Sampling } from '../../src/model/sampling.ts';
import { destroyWeights } from '../../src/model/weights.ts';
import { testGpu } from '../setup/gpu.ts';
import '../setup/allclose.ts';
import { batchOf, onGpu, randomLora, randomRows, randomValues, rowOf, TINY } from '../setup/tinyModel.ts';

const CONTEXT = 150;
const V = TINY.vocabSize;
const prompt = (length: number): number[] => [...randomRows(1, 40 + length, { min: length, max: length })[0]!.inputIds];

async function collect(ids: AsyncGenerator<number>): Promise<number[]> {
  const out: number[] = [];
  for await (const id of ids) out.push(id);
  return out;
}

describe('text generation with a cache', () => {
  let engine: Engine;
  let model: ModelOnGpu;
  let adapter: LoraAdapter;
  let base: Generator;
  let tuned: Generator;
  beforeAll(async () => {
    engine = await openEngine(await testGpu());
    model = await onGpu(engine, TINY, randomValues(TINY, 1));
    const targets = allTargets(TINY, TARGET_MODULES);
    adapter = new LoraAdapter(engine, TINY, { r: 3, loraAlpha: 3, useRslora: false, loraDropout: 0, targetModules: [...TARGET_MODULES] }, targets);
    adapter.load(randomLora(TINY, targets, 3, 5));
    base = await Generator.create(model, null, CONTEXT);
    tuned = await Generator.create(model, adapter, CONTEXT);
  });
  afterAll(() => engine.destroy());

  // 64 tokens of a prompt go through the model at once: one below, at, above, and in three pieces.
  it.each([1, 2, 63, 64, 65, 129])('after a prompt of %i tokens has at every step the logits of a full forward pass, base and tuned', async (length) => {
    for (const [which, generator] of [[null, base], [adapter, tuned]] as const) {
      const seen: Float32Array[] = [];
      const ids = prompt(length);
      const made = await collect(generator.generate(ids, { maxNewTokens: 4, stopIds: [], onLogits: (logits) => seen.push(logits) }));
      expect(made.length).toBe(4);
      const { logits } = await batchLogits(model, which, batchOf(rowOf([...ids, ...made])));
      for (let i = 0; i < 4; i++) {
        const row = logits.subarray((length - 1 + i) * V, (length + i) * V);
        expect(seen[i]!).toBeAllclose(row, 'f32');
        expect(made[i]).toBe(row.indexOf(Math.max(...row)));
      }
    }
  });

  it('tells base from tuned, and follows the adapter as it is trained on', async () => {
    const ids = prompt(9);
    const logitsOf = async (generator: Generator): Promise<number[]> => {
      let logits: number[] = [];
      await collect(generator.generate(ids, { maxNewTokens: 1, stopIds: [], onLogits: (l) => (logits = [...l]) }));
      return logits;
    };
    const [plain, with1] = [await logitsOf(base), await logitsOf(tuned)];
    expect(with1).not.toEqual(plain);
    const snapshot = await adapter.snapshot();
    adapter.restore({ params: new Float32Array(adapter.elements) });
    expect(await logitsOf(tuned)).toEqual(plain);
    adapter.restore(snapshot);
    expect(await logitsOf(tuned)).toEqual(with1);
  });

  it('forgets one question before the next', async () => {
    const generate = (ids: number[]): Promise<number[]> => collect(base.generate(ids, { maxNewTokens: 5, stopIds: [] }));
    const first = await generate(prompt(20));
    await generate(prompt(70));
    expect(await generate(prompt(20))).toEqual(first);
  });

  it('ends after a stop token, which it yields, at maxNewTokens, and where the context is full', async () => {
    const ids = prompt(12);
    const free = await collect(base.generate(ids, { maxNewTokens: 6, stopIds: [] }));
    const stop = free[2]!;
    expect(await collect(base.generate(ids, { maxNewTokens: 6, stopIds: [stop] }))).toEqual(free.slice(0, free.indexOf(stop) + 1));
    // The cache holds 150; the last id needs no place in it.
    expect((await collect(base.generate(prompt(147), { maxNewTokens: 50, stopIds: [] }))).length).toBe(4);
    await expect(collect(base.generate(prompt(CONTEXT), { maxNewTokens: 1, stopIds: [] }))).rejects.toThrow(/150 tokens does not fit a context of 150/);
    await expect(collect(base.generate([], { maxNewTokens: 1, stopIds: [] }))).rejects.toThrow(/does not fit/);
  });

  it('ends when it is aborted, and serves the next question', async () => {
    const abort = new AbortController();
    const made: number[] = [];
    for await (const id of base.generate(prompt(5), { maxNewTokens: 50, stopIds: [], signal: abort.signal })) {
      made.push(id);
      if (made.length === 2) abort.abort();
    }
    expect(made.length).toBe(2);
    expect(made).toEqual((await collect(base.generate(prompt(5), { maxNewTokens: 2, stopIds: [] }))));
  });

  it('answers two questions asked at once as if they came one after the other, and is free again when one is left', async () => {
    const generate = (length: number): Promise<number[]> => collect(base.generate(prompt(length), { maxNewTokens: 5, stopIds: [] }));
    const alone = [await generate(20), await generate(33), await generate(70)];
    expect(await Promise.all([generate(20), generate(33), generate(70)])).toEqual(alone);
    for await (const id of base.generate(prompt(20), { maxNewTokens: 50, stopIds: [] })) if (id >= 0) break;
    expect(await generate(33)).toEqual(alone[1]);
  });

  it('sampled, gives the same text for the same seed and another for another', async () => {
    const sampled = (seed: number): Promise<number[]> => collect(base.generate(prompt(6), { maxNewTokens: 12, stopIds: [], sampling: { temperature: 1.5, topK: 0, topP: 1, seed } }));
    expect(await sampled(1)).toEqual(await sampled(1));
    expect(await sampled(2)).not.toEqual(await sampled(1));
  });

  it('gives its memory back', async () => {
    const { live } = engine.memory;
    const generator = await Generator.create(model, adapter, 32);
    await collect(generator.generate(prompt(3), { maxNewTokens: 2, stopIds: [] }));
    generator.destroy();
    expect(engine.memory.live).toBe(live);
  });
});

describe('a token through projections that lie together', () => {
  const shape: ModelConfig = { ...TINY, hiddenSize: 36, numAttentionHeads: 2, numKeyValueHeads: 1, headDim: 64, intermediateSize: 128 };
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine(await testGpu());
  });
  afterAll(() => engine.destroy());

  it.each([
    ['plain', shape, 'f32', 'card', 7, 8],
    ['plain, without the kernel for rows', shape, 'bf16', 'direct', 9, 17],
    ['biases', { ...shape, qkvBias: true, oBias: true, mlpBias: true }, 'f32', 'card', 7, 8],
    ['head norms', { ...shape, qkNorm: true }, 'f32', 'card', 9, 10],
    ['outer norms and no rotary positions', { ...shape, sandwichNorms: true, layers: [{ window: null, rope: null }] }, 'f32', 'card', 10, 11],
    ['plain, some projections adapted', shape, 'f32', 'card', 7, null],
  ] as const)('%s: has the logits of a full forward pass, base and tuned, in few dispatches a layer', async (_, config, dtype, variant, perLayer, perTunedLayer) => {
    const card: Engine = { ...engine, info: { ...engine.info, software: false }, variants: {} };
    engine.variants['matmulNT.row'] = variant === 'card' ? defaultVariant(card, 'matmulNT.row') : variant;
    engine.variants['attention.decode'] = chosenRowVariant(card, 'attention.decode');
    const model = await onGpu(engine, config as ModelConfig, randomValues(config as ModelConfig, 1, dtype), dtype);
    for (const { qkv, gateUp } of model.weights.layers) expect([qkv?.weight.rows, gateUp?.weight.rows]).toEqual([256, 256]);
    const targetModules: TargetModule[] = perTunedLayer === null ? ['q_proj', 'v_proj', 'up_proj', 'down_proj'] : [...TARGET_MODULES];
    const r = perTunedLayer === null ? 3 : 16;
    const targets = allTargets(model.config, targetModules);
    const adapter = new LoraAdapter(engine, model.config, { r, loraAlpha: r, useRslora: false, loraDropout: 0, targetModules }, targets);
    adapter.load(randomLora(model.config, targets, r, 5));
    for (const which of [null, adapter]) {
      const generator = await Generator.create(model, which, 20);
      const seen: Float32Array[] = [];
      const ids = prompt(7);
      const made = await collect(generator.generate(ids, { maxNewTokens: 4, stopIds: [], onLogits: (logits) => seen.push(logits) }));
      const { logits } = await batchLogits(model, which, batchOf(rowOf([...ids, ...made])));
      for (let i = 0; i < 4; i++) expect(seen[i]!, `token ${i}`).toBeAllclose(logits.subarray((6 + i) * V, (7 + i) * V), 'f32');
      // Beside the layers: embedding, pick, final norm, head.
      const wanted = which === null ? perLayer : perTunedLayer;
      if (wanted !== null) expect(generator.dispatches.token).toBe(model.config.numHiddenLayers * wanted + 4);
      generator.destroy();
    }
    adapter.destroy();
    destroyWeights(engine, model.weights);
    expect(engine.memory.live).toBe(0);
  });
});

describe('the sampler', () => {
  const logits = Float32Array.of(1, 3, 2, 3, -1, 0);
  const draws = (s: Partial<Sampling>, n: number, values = logits): number[] => {
    const pick = sampler({ ...GREEDY, temperature: 1, ...s });
    return Array.from({ length: n }, () => pick(values));
  };
  const share = (picked: number[], id: number): number => picked.filter((p) => p === id).length / picked.length;

  it('greedy takes the first of equal best', () => {
    expect(draws({ temperature: 0 }, 3)).toEqual([1, 1, 1]);
    expect(draws({ temperature: 0, topK: 2, topP: 0.1, seed: 9 }, 2)).toEqual([1, 1]);
    expect(draws({ temperature: 0 }, 1, Float32Array.of(-Infinity, -5, -5))).toEqual([1]);
  });

  it('draws in proportion to exp(logit / temperature), within 4 sigma', () => {
    const n = 20_000;
    for (const temperature of [0.5, 1, 2]) {
      const weights = [...logits].map((l) => Math.exp(l / temperature));
      const total = weights.reduce((a, b) => a + b);
      const picked = draws({ temperature, seed: 5 }, n);
      weights.forEach((w, id) => {
        const p = w / total;
        expect(Math.abs(share(picked, id) - p), `id ${id} at temperature ${temperature}`).toBeLessThanOrEqual(4 * Math.sqrt((p * (1 - p)) / n));
      });
    }
  });

  it('top-k keeps the k largest, the first of equals', () => {
    expect(new Set(draws({ topK: 3, temperature: 5 }, 2000))).toEqual(new Set([1, 2, 3]));
    expect(new Set(draws({ topK: 1, temperature: 5 }, 50))).toEqual(new Set([1]));
    expect(new Set(draws({ topK: 100, temperature: 20 }, 5000)).size).toBe(6);
  });

  it('top-p keeps the smallest set that reaches p', () => {
    // Shares: 3 and 3 have 0.37 each, 2 has 0.14, 1 has 0.05, 0 has 0.018, -1 has 0.007.
    expect(new Set(draws({ topP: 0.3 }, 2000))).toEqual(new Set([1]));
    expect(new Set(draws({ topP: 0.7 }, 2000))).toEqual(new Set([1, 3]));
    expect(new Set(draws({ topP: 0.8 }, 4000))).toEqual(new Set([1, 2, 3]));
    expect(new Set(draws({ topP: 1e-9 }, 50))).toEqual(new Set([1]));
  });

  it('applies temperature before top-p, and top-k before top-p, as transformers does', () => {
    // 0.6 needs two ids at temperature 1, and three at temperature 5, where the shares are closer.
    expect(new Set(draws({ topP: 0.6 }, 2000)).size).toBe(2);
    expect(new Set(draws({ topP: 0.6, temperature: 5 }, 6000)).size).toBe(3);
    // Of the two best alone each has a half, of all six 0.37: 0.45 needs one, or two.
    expect(new Set(draws({ topP: 0.45 }, 2000))).toEqual(new Set([1, 3]));
    expect(new Set(draws({ topK: 2, topP: 0.45 }, 2000))).toEqual(new Set([1]));
    expect(new Set(draws({ topK: 2, topP: 0.55 }, 2000))).toEqual(new Set([1, 3]));
  });

  it('takes what sorting the whole vocabulary would take, equal logits among them', () => {
    const random = uniformStream(8);
    const values = Float32Array.from({ length: 500 }, () => Math.round(random() * 60) / 8);
    const order = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
    for (const [topK, topP] of [[0, 1], [40, 1], [0, 0.9], [50, 0.5], [500, 0.99]] as const) {
      const shares = order.slice(0, topK || undefined).map((id) => Math.exp(values[id]!));
      const total = shares.reduce((a, b) => a + b);
      let kept = shares.length;
      if (topP < 1) for (let mass = kept = 0; kept < shares.length && mass < topP * total; kept++) mass += shares[kept]!;
      const mass = shares.slice(0, kept).reduce((a, b) => a + b);
      const drawn = uniformStream(3);
      const expected = Array.from({ length: 200 }, () => {
        let u = drawn() * mass;
        return order[shares.slice(0, kept).findIndex((share) => (u -= share) <= 0)]!;
      });
      expect(draws({ topK, topP, seed: 3 }, 200, values), `top-k ${topK}, top-p ${topP}`).toEqual(expected);
    }
  });

  it('is seeded, and survives logits far apart', () => {
    expect(draws({ seed: 3 }, 50)).toEqual(draws({ seed: 3 }, 50));
    expect(draws({ seed: 4 }, 50)).not.toEqual(draws({ seed: 3 }, 50));
    expect(draws({}, 20, Float32Array.of(-1e30, 1e30, 0)).every((id) => id === 1)).toBe(true);
  });
});
