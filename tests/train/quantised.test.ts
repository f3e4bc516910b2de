/** What training on quantised weights computes, held against training on an f32 model of the same dequantised weights. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { dequantise, quantise } from '../../src/engine/quantise.ts';
import { isQuantised } from '../../src/engine/tensor.ts';
import { flattenBatch } from '../../src/model/batchInputs.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { batchLogits } from '../../src/model/inference.ts';
import { plannedWeightBytes, storageOf } from '../../src/model/storage.ts';
import { relativeL2 } from '../../src/worker/conformance/compare.ts';
import { LIMITS } from '../../src/worker/conformance/runCase.ts';
import { testGpu } from '../setup/gpu.ts';
import { batchOf, onGpu, randomValues, TINY, TINY_QWEN2, type Values } from '../setup/tinyModel.ts';
import { pull, Rig, ROWS } from './rig.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
});
afterAll(() => engine.destroy());

/** Rows of 16 and 24: the kernels read four elements at a time. TINY's are read one by one. */
const ROUND: ModelConfig = { ...TINY_QWEN2, hiddenSize: 16, intermediateSize: 24, headDim: 8, vocabSize: 40, attentionScale: 1 / Math.sqrt(8) };

/** The weights that the kernels see. */
const dequantised = (values: Values, quantization: 'int8' | 'nf4'): Values => new Map([...values].map(([name, { shape, data }]) => {
  const storage = storageOf(name, 'f32', quantization);
  if (shape.length === 1 || !isQuantised(storage)) return [name, { shape, data }];
  return [name, { shape, data: Float64Array.from(dequantise(quantise(Float32Array.from(data), storage), storage, data.length)) }];
}));

describe.each(['int8', 'nf4'] as const)('a model quantised on load to %s', (quantization) => {
  it.each<[string, ModelConfig]>([['odd rows, tied head', TINY], ['round rows, biases, a head of its own', ROUND]])('computes what its dequantised weights in f32 compute: logits, gradients, a run with dropout (%s)', async (_, config) => {
    const values = randomValues(config, 1);
    const options = { config, lora: { loraDropout: 0.1 }, training: { maxSteps: 6 } };
    const quantised = await Rig.open(engine, { ...options, values, quantization });
    const reference = await Rig.open(engine, { ...options, values: dequantised(values, quantization) });
    expect(quantised.model.weights.bytes).toBe(plannedWeightBytes(config, 'f32', quantization));
    expect(reference.model.weights.bytes).toBe(plannedWeightBytes(config, 'f32', 'none'));
    const batch = batchOf(...ROWS);
    const [got, expected] = [await batchLogits(quantised.model, null, batch), await batchLogits(reference.model, null, batch)];
    expect(got.logits.reduce((most, v, i) => Math.max(most, Math.abs(v - expected.logits[i]!)), 0)).toBeLessThan(LIMITS.logitsAbs);
    expect(relativeL2(got.logits, expected.logits)).toBeLessThan(LIMITS.logitsRel);
    // Not because quantising changed nothing.
    const plain = await onGpu(engine, config, values);
    expect(relativeL2(got.logits, (await batchLogits(plain, null, batch)).logits)).toBeGreaterThan(10 * LIMITS.logitsRel);

    const flat = flattenBatch(batchOf(...ROWS.slice(0, 2)));
    for (const rig of [quantised, reference]) await rig.plan.microBatch(flat, 1 / flat.targets, 7);
    const [grads, referenceGrads] = [await quantised.adapter.read('grads'), await reference.adapter.read('grads')];
    for (const [key, { data }] of grads) expect(relativeL2(data, referenceGrads.get(key)!.data), key).toBeLessThan(LIMITS.gradRel);
    for (const rig of [quantised, reference]) await rig.plan.optimizerStep(0, 1); // clears the gradients

    const [run, referenceRun] = [await pull(quantised.trainer()), await pull(reference.trainer())];
    expect(run.error).toBeNull();
    run.steps.forEach((s, i) => {
      expect(Math.abs(s.loss - referenceRun.steps[i]!.loss)).toBeLessThan(LIMITS.trainLoss);
      expect(Math.abs(s.gradNorm / referenceRun.steps[i]!.gradNorm - 1)).toBeLessThan(LIMITS.trainGradNormRel);
    });
    expect(run.steps.length).toBe(6);
    expect(relativeL2(run.end!.state.params, referenceRun.end!.state.params)).toBeLessThan(LIMITS.updateRel);
    quantised.close();
    reference.close();
  });
});
