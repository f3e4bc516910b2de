/**
 * A one-layer model whose embedding, tied to its head, outgrows a binding, held against f64: the twin computes the hidden states from the
 * few embeddings a batch uses, and every row of the head is gone through here.
 */
import { expect } from 'vitest';
import type { TargetModule } from '../../src/config/recipe.ts';
import type { Engine } from '../../src/engine/device.ts';
import { readTensor } from '../../src/engine/tensor.ts';
import { sourceFromBytes } from '../../src/formats/byteSource.ts';
import { openSafetensors, type TensorEntry } from '../../src/formats/safetensors.ts';
import { flattenBatch } from '../../src/model/batchInputs.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { EMBEDDING } from '../../src/model/expectedTensors.ts';
import { chunkRowsFor } from '../../src/model/head.ts';
import { batchLogits, type ModelOnGpu } from '../../src/model/inference.ts';
import { allTargets, LoraAdapter } from '../../src/model/lora.ts';
import { destroyWeights, loadWeights } from '../../src/model/weights.ts';
import { STATS, TrainingPlan } from '../../src/train/plan.ts';
import { relativeL2 } from '../../src/worker/conformance/compare.ts';
import { decoderForward, type DecoderTwin } from '../reference/decoder.ts';
import { batchOf, checkpointOf, randomLora, randomValues, rowOf, TINY } from './tinyModel.ts';

const R = 2;

/** n random bf16 of 0.03 to 0.06 and either sign, as their bits. */
function randomBf16(n: number): Uint16Array<ArrayBuffer> {
  const bits = new Uint16Array(n);
  let state = 1;
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bits[i] = ((state >>> 16) & 0x807f) | 0x3d00;
  }
  return bits;
}

const word = new Uint32Array(1);
const asFloat = new Float32Array(word.buffer);
const widen = (bits: number): number => {
  word[0] = bits << 16;
  return asFloat[0]!;
};

interface Expected {
  /** Parts that the embedding is cut into, and rows of logits at a time. */
  parts: number;
  chunkRows: number;
  modules: readonly TargetModule[];
}

export async function checkVocabulary(engine: Engine, sizes: Pick<ModelConfig, 'vocabSize' | 'hiddenSize' | 'finalSoftcap'>, { parts, chunkRows, modules }: Expected): Promise<void> {
  const { vocabSize: V, hiddenSize: C, finalSoftcap: cap } = sizes;
  const config: ModelConfig = { ...TINY, ...sizes, intermediateSize: 40, numHiddenLayers: 1, numAttentionHeads: 2, numKeyValueHeads: 1, headDim: 8 };
  const bits = randomBf16(V * C);
  const values = randomValues({ ...config, vocabSize: 1 }, 1, 'bf16');
  values.delete(EMBEDDING);
  const { tensors } = await openSafetensors(sourceFromBytes(checkpointOf(values, 'bf16'), 'model.safetensors'));
  const source = sourceFromBytes(new Uint8Array(bits.buffer), 'embedding');
  tensors.set(EMBEDDING, { name: EMBEDDING, dtype: 'BF16', shape: [V, C], source, start: 0, end: bits.byteLength } satisfies TensorEntry);
  const model: ModelOnGpu = { engine, config, weights: await loadWeights(engine, config, tensors) };
  expect(model.weights.head.parts.length).toBe(parts);
  expect(chunkRowsFor(engine, V)).toBe(chunkRows);

  // The first and last word of each part, as inputs and as labels.
  const ids = model.weights.embedding.parts.flatMap(({ rowStart, rows }) => [rowStart, rowStart + rows - 1]);
  const batch = batchOf(rowOf(ids, 0));
  const flat = flattenBatch(batch);
  const targets = allTargets(config, modules);
  const lora = randomLora(config, targets, R, 3);
  const adapter = new LoraAdapter(engine, config, { r: R, loraAlpha: 3, useRslora: false, loraDropout: 0, targetModules: [...modules] }, targets);
  adapter.load(lora);

  const used = new Float64Array(ids.length * C);
  ids.forEach((id, i) => used.set(Float64Array.from(bits.subarray(id * C, (id + 1) * C), widen), i * C));
  const wide = new Map([...lora].map(([key, { data }]) => [key, Float64Array.from(data)]));
  const twin: DecoderTwin = {
    config: { ...config, vocabSize: ids.length }, weight: (name) => (name === EMBEDDING ? used : values.get(name)!.data),
    lora: { r: R, scaling: adapter.entries[0]!.scaling, tensor: (key) => wide.get(key), factor: null },
  };
  const lastHidden = (): Float64Array => decoderForward(twin, { ...flat, ids: Uint32Array.from(ids.keys()) }).hidden[1]!;
  const hidden = lastHidden();

  const M = ids.length;
  const logits = new Float64Array(M * V);
  const row = new Float64Array(C);
  const eachRow = (visit: (v: number) => void): void => {
    for (let v = 0; v < V; v++) {
      for (let c = 0; c < C; c++) row[c] = widen(bits[v * C + c]!);
      visit(v);
    }
  };
  eachRow((v) => {
    for (let m = 0; m < M; m++) {
      let s = 0;
      for (let c = 0; c < C; c++) s += hidden[m * C + c]! * row[c]!;
      logits[m * V + v] = cap === null ? s : cap * Math.tanh(s / cap);
    }
  });
  const lse = Array.from({ length: M }, (_, m) => Math.log(logits.subarray(m * V, (m + 1) * V).reduce((sum, x) => sum + Math.exp(x), 0)));
  const labels = Array.from({ length: M - 1 }, (_, m) => ids[m + 1]!);
  const loss = labels.reduce((sum, label, m) => sum + lse[m]! - logits[m * V + label]!, 0) / labels.length;
  const dHidden = new Float64Array(M * C);
  eachRow((v) => {
    labels.forEach((label, m) => {
      const x = logits[m * V + v]!;
      const d = ((Math.exp(x - lse[m]!) - (v === label ? 1 : 0)) * (cap === null ? 1 : 1 - (x / cap) ** 2)) / labels.length;
      for (let c = 0; c < C; c++) dHidden[m * C + c]! += d * row[c]!;
    });
  });

  const got = (await batchLogits(model, adapter, batch)).logits;
  expect(relativeL2(got, logits)).toBeLessThan(3e-6);
  const plan = await TrainingPlan.create({
    ...model, adapter, maxTokens: flat.tokens, maxTargets: flat.targets, maxPositions: 32, loraDropout: 0,
    training: { adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 },
  });
  plan.resetStats();
  await plan.microBatch(flat, 1 / flat.targets, 0);
  expect(Math.abs((await readTensor(engine, plan.stats))[STATS.loss]! - loss)).toBeLessThan(3e-6);
  for (const [key, { data }] of await adapter.read('grads')) {
    // Along its own gradient the loss rises by the gradient's length; what the hidden states do there the twin says.
    const norm = Math.hypot(...data);
    expect(norm, key).toBeGreaterThan(0);
    const at = wide.get(key)!;
    const start = at.slice();
    const hiddenAt = (step: number): Float64Array => {
      data.forEach((g, i) => (at[i] = start[i]! + (step * g) / norm));
      return lastHidden();
    };
    const [above, below] = [hiddenAt(1e-5), hiddenAt(-1e-5)];
    at.set(start);
    const slope = dHidden.reduce((sum, d, i) => sum + (d * (above[i]! - below[i]!)) / 2e-5, 0);
    expect(Math.abs(slope / norm - 1), key).toBeLessThan(5e-5);
  }
  plan.destroy();
  adapter.destroy();
  destroyWeights(engine, model.weights);
}
