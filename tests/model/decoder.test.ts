/** What must not matter to the decoder (padding, packing, how weights are stored and cut) and what must (positions, adapters). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TARGET_MODULES, type LoraConfig } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import type { FloatStorage } from '../../src/engine/tensor.ts';
import { relativeL2 } from '../../src/worker/conformance/compare.ts';
import { flattenBatch, type BatchLike } from '../../src/model/batchInputs.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { batchLogits, type ModelOnGpu } from '../../src/model/inference.ts';
import { allTargets, LoraAdapter, loraKey, type LoraTarget, type LoraTensors } from '../../src/model/lora.ts';
import { TrainingPlan } from '../../src/train/plan.ts';
import type { EncodedRow } from '../../src/data/types.ts';
import { decoderForward } from '../reference/decoder.ts';
import { testGpu } from '../setup/gpu.ts';
import '../setup/allclose.ts';
import { batchOf, onGpu, packOf, randomLora, randomRows, randomValues, rowOf, TINY, TINY_QWEN2, TINY_QWEN3 } from '../setup/tinyModel.ts';

const R = 3;
const V = TINY.vocabSize;
const lora = (config: Partial<LoraConfig> = {}): LoraConfig => ({ r: R, loraAlpha: 5, useRslora: false, loraDropout: 0, targetModules: [...TARGET_MODULES], ...config });
const rows = randomRows(3, 17, { min: 3, max: 8 });

let engine: Engine;
let model: ModelOnGpu;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
  model = await onGpu(engine, TINY, randomValues(TINY, 1));
});
afterAll(() => engine.destroy());

const adapterOn = (e: Engine, config: ModelConfig, targets: readonly LoraTarget[], tensors: LoraTensors): LoraAdapter => {
  const adapter = new LoraAdapter(e, config, lora({ targetModules: [...new Set(targets.map((t) => t.module))] }), targets);
  adapter.load(tensors);
  return adapter;
};
const everywhere = (e: Engine, config: ModelConfig): LoraAdapter => adapterOn(e, config, allTargets(config, TARGET_MODULES), randomLora(config, allTargets(config, TARGET_MODULES), R, 3));

/** Logits of each row of ids, computed alone. */
async function alone(m: ModelOnGpu, adapter: LoraAdapter | null, examples: readonly EncodedRow[]): Promise<Float32Array[]> {
  const out = [];
  for (const row of examples) out.push((await batchLogits(m, adapter, batchOf(row))).logits);
  return out;
}

/** Gradients and loss sum of batches, one after the other, each label weighing 1 / labels. */
async function gradients(m: ModelOnGpu, adapter: LoraAdapter, batches: readonly BatchLike[], labels: number): Promise<LoraTensors> {
  const flats = batches.map((b) => flattenBatch(b));
  const plan = await TrainingPlan.create({
    ...m, adapter, maxTokens: Math.max(...flats.map((f) => f.tokens)), maxTargets: Math.max(...flats.map((f) => f.targets)), maxPositions: 32, loraDropout: 0,
    training: { adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 },
  });
  for (const flat of flats) await plan.microBatch(flat, 1 / labels, 0);
  const grads = await adapter.read('grads');
  plan.destroy();
  return grads;
}

function expectSameGradients(actual: LoraTensors, expected: LoraTensors, limit = 1e-5): void {
  for (const [key, { data }] of actual) {
    const wanted = expected.get(key)!.data;
    expect(wanted.some((g) => g !== 0), `${key} has no gradient to compare`).toBe(true);
    expect(relativeL2(data, wanted), key).toBeLessThan(limit);
  }
}

describe('packing', () => {
  it('gives every example the logits it has alone: positions restart and segments never see each other', async () => {
    const { logits } = await batchLogits(model, null, packOf(...rows));
    let at = 0;
    for (const expected of await alone(model, null, rows)) {
      expect(logits.subarray(at, at + expected.length)).toBeAllclose(expected, 'f32');
      at += expected.length;
    }
    expect(at).toBe(logits.length);
  });

  it('lets a changed token change what follows in its own example and not one bit of the others', async () => {
    const before = (await batchLogits(model, null, packOf(...rows))).logits;
    const changed = rowOf(Array.from(rows[1]!.inputIds, (id, i) => (i === 1 ? (id % (V - 1)) + 1 : id)));
    const after = (await batchLogits(model, null, packOf(rows[0]!, changed, rows[2]!))).logits;
    const start = rows[0]!.inputIds.length * V;
    const end = start + rows[1]!.inputIds.length * V;
    const differs = (from: number, to: number): boolean => after.subarray(from, to).some((v, i) => v !== before[from + i]);
    expect([differs(0, start + V), differs(end, after.length)]).toEqual([false, false]);
    expect(differs(start + V, start + 2 * V)).toBe(true);
    expect(differs(end - V, end)).toBe(true);
  });

  it('gives the gradients of the same examples as rows of their own', async () => {
    const adapter = everywhere(engine, TINY);
    const labels = rows.reduce((n, r) => n + r.numTargets, 0);
    const packed = await gradients(model, adapter, [packOf(...rows)], labels);
    const fresh = everywhere(engine, TINY);
    const apart = await gradients(model, fresh, rows.map((row) => batchOf(row)), labels);
    expectSameGradients(packed, apart);
    adapter.destroy();
    fresh.destroy();
  });
});

describe('padding', () => {
  /** The rows in a batch whose padding stands on the given side. */
  function padded(side: 'left' | 'right', extra: number): { batch: BatchLike; start: (row: number) => number } {
    const T = Math.max(...rows.map((r) => r.inputIds.length)) + extra;
    const size = rows.length * T;
    const batch: BatchLike = { shape: [rows.length, T], inputIds: new Int32Array(size).fill(1), labels: new Int32Array(size).fill(-100), positions: new Int32Array(size), segments: new Int32Array(size) };
    const start = (b: number): number => b * T + (side === 'left' ? T - rows[b]!.inputIds.length : 0);
    rows.forEach((row, b) => {
      batch.inputIds.set(row.inputIds, start(b));
      batch.labels.set(row.labels, start(b));
      row.inputIds.forEach((_, t) => (batch.positions[start(b) + t] = t));
      batch.segments.fill(1, start(b), start(b) + row.inputIds.length);
    });
    return { batch, start };
  }

  it.each([['left', 0], ['left', 3], ['right', 0], ['right', 3]] as const)('on the %s with %i more columns than needed changes no logits and no labels', async (side, extra) => {
    const { batch, start } = padded(side, extra);
    const { logits } = await batchLogits(model, null, batch);
    const expected = await alone(model, null, rows);
    for (const [b, wanted] of expected.entries()) {
      expect(logits.subarray(start(b) * V, start(b) * V + wanted.length)).toBeAllclose(wanted, 'f32');
    }
    const flat = flattenBatch(batch);
    expect(flat.tokens).toBe(rows.reduce((n, r) => n + r.inputIds.length, 0));
    expect([...flat.targetLabels]).toEqual(rows.flatMap((r) => [...r.labels].filter((l, i) => i > 0 && l !== -100)));
  });

  it('that is all there is in a row leaves that row out', async () => {
    const { batch } = padded('right', 0);
    const T = batch.shape[1];
    batch.segments.fill(0, T, 2 * T);
    const { logits } = await batchLogits(model, null, batch);
    const [first, , third] = await alone(model, null, rows);
    expect(logits.subarray(0, first!.length)).toBeAllclose(first!, 'f32');
    expect(logits.subarray(2 * T * V, 2 * T * V + third!.length)).toBeAllclose(third!, 'f32');
    expect(logits.subarray(T * V, 2 * T * V).every((v) => v === 0)).toBe(true);
  });
});

describe('weights', () => {
  it.each([['bf16', TINY_QWEN3], ['f16', TINY_QWEN2]] as const)('stored as %s give the logits and gradients of the same values stored as f32', async (dtype, config) => {
    const values = randomValues(config, 2, dtype);
    const labels = rows.reduce((n, r) => n + r.numTargets, 0);
    const results = [];
    for (const type of ['f32', dtype] as FloatStorage[]) {
      const m = await onGpu(engine, config, values, type);
      const adapter = everywhere(engine, config);
      expect(m.weights.dtype).toBe(type);
      results.push({ logits: (await batchLogits(m, adapter, batchOf(...rows))).logits, grads: await gradients(m, adapter, [batchOf(...rows)], labels), bytes: m.weights.bytes });
      adapter.destroy();
    }
    const [wide, narrow] = results as [(typeof results)[0], (typeof results)[0]];
    expect(narrow.logits).toBeAllclose(wide.logits, 'f32');
    expectSameGradients(narrow.grads, wide.grads);
    expect(narrow.bytes).toBeLessThan(0.62 * wide.bytes);
  });

  it.each([['f32', 1024, TINY], ['bf16', 1024, { ...TINY_QWEN2, vocabSize: 61 }]] as const)('cut by rows where a binding is too small, stored as %s, give the same logits and gradients', async (dtype, maxBinding, config) => {
    const values = randomValues(config, 4, dtype);
    const small = await openEngine(await testGpu(), { maxBinding });
    const few = [rowOf([...rows[0]!.inputIds.subarray(0, 6)], 1)];
    const labels = few[0]!.numTargets;
    const results = [];
    for (const e of [engine, small]) {
      const m = await onGpu(e, config, values, dtype);
      const adapter = everywhere(e, config);
      const parts = [m.weights.embedding, ...m.weights.layers.flatMap((l) => Object.values(l.projections).map((p) => p.weight))].map((w) => w.parts.length);
      results.push({ parts, logits: (await batchLogits(m, adapter, batchOf(...few))).logits, grads: await gradients(m, adapter, [batchOf(...few)], labels) });
      adapter.destroy();
    }
    const [whole, cut] = results as [(typeof results)[0], (typeof results)[0]];
    expect(Math.max(...whole.parts)).toBe(1);
    expect(Math.max(...cut.parts)).toBeGreaterThan(1);
    expect(cut.logits).toBeAllclose(whole.logits, 'f32');
    expectSameGradients(cut.grads, whole.grads);
    small.destroy();
  });
});

describe('rotary positions', () => {
  const scalings: ModelConfig['ropeScaling'][] = [
    { type: 'default' },
    { type: 'linear', factor: 2.5 },
    { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositionEmbeddings: 64 },
  ];
  it.each(scalings.map((s) => [s.type, s] as const))('far out (7,990 and on) with %s scaling are those of the f64 twin', async (_, ropeScaling) => {
    const config: ModelConfig = { ...TINY, ropeScaling, maxPositionEmbeddings: 8192 };
    const values = randomValues(config, 1);
    const batch = batchOf(rows[2]!);
    // Distances far above any that the row has by itself, so that the frequencies show.
    batch.positions.forEach((_, i) => (batch.positions[i] = i === 0 ? 0 : 7_990 + 13 * i));
    const { logits } = await batchLogits({ ...model, config }, null, batch);
    const expected = decoderForward({ config, weight: (name) => values.get(name)!.data, lora: null }, flattenBatch(batch)).logits;
    expect(relativeL2(logits, expected)).toBeLessThan(2e-5);
    const near = decoderForward({ config, weight: (name) => values.get(name)!.data, lora: null }, flattenBatch(batchOf(rows[2]!))).logits;
    expect(relativeL2(logits, near)).toBeGreaterThan(1e-2);
  });
});

describe('an adapter', () => {
  const subsets: [string, LoraTarget[]][] = [
    ['down_proj of the last layer', [{ layer: 1, module: 'down_proj' }]],
    ['up_proj of the last layer', [{ layer: 1, module: 'up_proj' }]],
    ['o_proj of the last layer', [{ layer: 1, module: 'o_proj' }]],
    ['v_proj of the last layer', [{ layer: 1, module: 'v_proj' }]],
    ['gate_proj of the first layer', [{ layer: 0, module: 'gate_proj' }]],
    ['q_proj of the first layer and k_proj of the last', [{ layer: 0, module: 'q_proj' }, { layer: 1, module: 'k_proj' }]],
  ];
  it.each(subsets)('on %s alone has the gradients it has among adapters that are zero', async (_, targets) => {
    const labels = rows.reduce((n, r) => n + r.numTargets, 0);
    const tensors = randomLora(TINY, targets, R, 8);
    const some = adapterOn(engine, TINY, targets, tensors);
    const all = allTargets(TINY, TARGET_MODULES);
    const zeros: LoraTensors = new Map([...randomLora(TINY, all, R, 1)].map(([key, { shape, data }]) => [key, { shape, data: data.map(() => 0) }]));
    const full = adapterOn(engine, TINY, all, new Map([...zeros, ...tensors]));
    const ours = await gradients(model, some, [batchOf(...rows)], labels);
    expect([...ours.keys()].sort()).toEqual(targets.flatMap((t) => [loraKey(t.layer, t.module, 'A'), loraKey(t.layer, t.module, 'B')]).sort());
    expectSameGradients(ours, await gradients(model, full, [batchOf(...rows)], labels));
    expect((await batchLogits(model, some, batchOf(...rows))).logits).toBeAllclose((await batchLogits(model, full, batchOf(...rows))).logits, 'f32');
    some.destroy();
    full.destroy();
  });

  it('as PEFT starts it changes not one logit, and A spreads over +-1/sqrt(in)', async () => {
    const targets = allTargets(TINY, TARGET_MODULES);
    const adapter = new LoraAdapter(engine, TINY, lora({ r: 16 }), targets);
    adapter.initialise(7);
    const base = (await batchLogits(model, null, batchOf(...rows))).logits;
    expect([...(await batchLogits(model, adapter, batchOf(...rows))).logits]).toEqual([...base]);
    for (const [key, { shape, data }] of await adapter.read()) {
      if (key.includes('lora_B')) {
        expect(data.every((v) => v === 0)).toBe(true);
        continue;
      }
      const bound = 1 / Math.sqrt(shape[1]);
      expect(data.every((v) => Math.abs(v) <= bound)).toBe(true);
      // Variance of a uniform number is bound^2 / 3; its square has a relative spread of sqrt(4/5) a sample.
      const variance = data.reduce((s, v) => s + v * v, 0) / data.length / ((bound * bound) / 3);
      expect(Math.abs(variance - 1), key).toBeLessThan(4 * Math.sqrt(0.8 / data.length));
    }
    adapter.destroy();
  });

  it('refuses tensors of another shape by name and keeps what it had', async () => {
    const targets = allTargets(TINY, ['q_proj']);
    const tensors = randomLora(TINY, targets, R, 1);
    const adapter = adapterOn(engine, TINY, targets, tensors);
    const key = loraKey(1, 'q_proj', 'B');
    expect(() => adapter.load(new Map([...tensors, [key, { shape: [R, 2], data: new Float32Array(2 * R) }]]))).toThrow(expect.objectContaining({ code: 'adapter.shape', message: expect.stringContaining(key) }));
    expect(() => adapter.load(new Map([...tensors].filter(([k]) => k !== key)))).toThrow(/is missing/);
    for (const [k, { data }] of await adapter.read()) expect([...data]).toEqual([...tensors.get(k)!.data]);
    adapter.destroy();
  });
});
