/**
 * What quantising the frozen weights costs, as figures: logits of the base model and the loss after training, against the weights as stored.
 * On the built-in model, and on two layers of SmolLM2-135M's shape with its vocabulary and random weights of plausible spread. docs/quantisation.md
 * has the figures of one run.
 */
import 'fake-indexeddb/auto';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sourceFromPath } from '../../src/cli/fsSource.ts';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { QUANTIZATIONS } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { dequantise, NF4_LEVELS, quantise, type QuantisedType } from '../../src/engine/quantise.ts';
import { readF32 } from '../../src/formats/safetensors.ts';
import { openBuiltinModel } from '../../src/hub/builtin.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { EMBEDDING, expectedTensors } from '../../src/model/expectedTensors.ts';
import { batchLogits } from '../../src/model/inference.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { storedForm } from '../../src/model/storage.ts';
import { destroyWeights } from '../../src/model/weights.ts';
import { relativeL2 } from '../../src/worker/conformance/compare.ts';
import { Session } from '../../src/worker/session/session.ts';
import { normal, storable, uniform } from '../kernels/run.ts';
import { testGpu } from '../setup/gpu.ts';
import { batchOf, onGpu, randomRows, rowOf, TINY, type Values } from '../setup/tinyModel.ts';
import { pull, Rig } from '../train/rig.ts';

const builtin = resolve('public/builtin');
const loadBuiltin = (path: string) => sourceFromPath(resolve(builtin, path));

/** Types of projections and of the embedding, which is the head too. */
const WAYS: [name: string, projections: QuantisedType, embedding: QuantisedType | null][] = [
  ['int8', 'int8', 'int8'], ['nf4, embedding int8 (as loaded)', 'nf4', 'int8'], ['nf4, embedding as stored', 'nf4', null], ['nf4 throughout', 'nf4', 'nf4'],
];

const quantised = (values: Values, projections: QuantisedType, embedding: QuantisedType | null): Values => new Map([...values].map(([name, { shape, data }]) => {
  const type = name === EMBEDDING ? embedding : projections;
  if (shape.length === 1 || type === null) return [name, { shape, data }];
  return [name, { shape, data: Float64Array.from(dequantise(quantise(Float32Array.from(data), type), type, data.length)) }];
}));

/** Two layers of SmolLM2-135M. */
const SMOL: ModelConfig = {
  ...TINY, hiddenSize: 576, intermediateSize: 1536, numHiddenLayers: 2, numAttentionHeads: 9, numKeyValueHeads: 3, headDim: 64, vocabSize: 49_152, maxPositionEmbeddings: 8192,
  ropeTheta: 100_000, attentionScale: 1 / 8,
};

/** Normal weights of unit gain; rows differ in scale, and one weight in a thousand is five times as large, as in trained models. */
function plausible(config: ModelConfig): Values {
  return new Map(expectedTensors(config).map(({ name, shape }, i) => {
    const cols = shape.at(-1)!;
    const data = normal(shape.reduce((a, b) => a * b), 7 + 97 * i);
    if (shape.length === 1) return [name, { shape, data: data.map((v) => Math.fround(1 + 0.1 * v)) }];
    const rows = normal(shape[0]!, 1000 + i);
    const random = uniform(2000 + i);
    return [name, { shape, data: data.map((v, j) => Math.fround((v * Math.exp(0.3 * rows[Math.floor(j / cols)]!) * (random() < 1e-3 ? 5 : 1)) / Math.sqrt(cols))) }];
  }));
}

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
});
afterAll(() => engine.destroy());

/** Relative error of all logits, mean divergence of the predictions in nats, and how many first choices stay. */
function compare(got: Float32Array, expected: Float32Array, V: number): { relative: number; divergence: number; same: number } {
  let divergence = 0;
  let same = 0;
  const rows = expected.length / V;
  for (let r = 0; r < rows; r++) {
    const [a, b] = [expected.subarray(r * V, (r + 1) * V), got.subarray(r * V, (r + 1) * V)];
    const logZ = (x: Float32Array): number => {
      const most = x.reduce((m, v) => Math.max(m, v), -Infinity);
      return most + Math.log(x.reduce((sum, v) => sum + Math.exp(v - most), 0));
    };
    const [za, zb] = [logZ(a), logZ(b)];
    for (let i = 0; i < V; i++) divergence += Math.exp(a[i]! - za) * (a[i]! - za - (b[i]! - zb));
    const best = (x: Float32Array): number => x.indexOf(x.reduce((m, v) => Math.max(m, v), -Infinity));
    if (best(a) === best(b)) same++;
  }
  return { relative: relativeL2(got, expected), divergence: divergence / rows, same: same / rows };
}

async function logitErrors(title: string, config: ModelConfig, values: Values, ids: number[][]): Promise<Map<string, number>> {
  const batch = batchOf(...ids.map((row) => rowOf(row)));
  const logitsOf = async (v: Values): Promise<Float32Array> => {
    const model = await onGpu(engine, config, v);
    const { logits } = await batchLogits(model, null, batch);
    destroyWeights(engine, model.weights);
    return logits;
  };
  const expected = await logitsOf(values);
  const errors = new Map<string, number>();
  for (const [name, projections, embedding] of WAYS) {
    const { relative, divergence, same } = compare(await logitsOf(quantised(values, projections, embedding)), expected, config.vocabSize);
    errors.set(name, relative);
    console.log(`${title.padEnd(24)} ${name.padEnd(34)} logits ${(100 * relative).toFixed(2)} % off, divergence ${divergence.toExponential(2)} nats, first choice kept ${(100 * same).toFixed(1)} %`);
  }
  return errors;
}

const NF4 = [...NF4_LEVELS];
const most = (block: readonly number[]): number => block.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
const nearest = (block: readonly number[], levels: readonly number[], scale: number): number[] =>
  block.map((v) => scale * levels.reduce((best, level) => (Math.abs(v - scale * level) < Math.abs(v - scale * best) ? level : best)));
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const bf16 = (v: number): number => storable([v], 'bf16')[0]!;
/** Ways to write a block in 4 bits, with their bits a weight. */
const FOUR_BITS: [name: string, bits: number, size: number, write: (block: readonly number[]) => number[]][] = [
  ['NF4, blocks of 64, f32 scale (bitsandbytes)', 4.5, 64, (b) => nearest(b, NF4, most(b))],
  ['NF4, blocks of 32, bf16 scale (chosen)', 4.5, 32, (b) => nearest(b, NF4, bf16(most(b)))],
  ['symmetric -7..7, blocks of 64, f32 scale', 4.5, 64, (b) => nearest(b, range(-7, 7), most(b) / 7)],
  ['symmetric -7..7, blocks of 32, bf16 scale', 4.5, 32, (b) => nearest(b, range(-7, 7), bf16(most(b) / 7))],
  ['-8..7 by the largest, blocks of 32, bf16 scale', 4.5, 32, (b) => nearest(b, range(-8, 7), bf16(b.find((v) => Math.abs(v) === most(b))! / -8))],
];

describe('quantising', () => {
  it('to 4 bits was chosen by the error of the weights: the way taken is the best at its size, or within a tenth of it, wherever it was measured', async () => {
    const folder = await openBuiltinModel(loadBuiltin);
    const trained = await Promise.all([...folder.tensors.values()].filter((t) => t.shape.length === 2).map(async (t) => readF32(t)));
    const n = 64 * 2000;
    const gauss = normal(n, 1);
    const chi = Array.from({ length: 5 }, (_, i) => normal(n, 10 + i));
    const heavy = gauss.map((v, i) => v / Math.sqrt(chi.reduce((sum, c) => sum + c[i]! ** 2, 0) / 5));
    for (const [name, samples] of [['normal', [gauss]], ['Student t, 5 degrees', [heavy]], ['built-in model', trained]] as const) {
      const errors = FOUR_BITS.map(([, , size, write]) => {
        // The mean over matrices of what share of a matrix's square is lost.
        const lost = samples.map((values) => {
          let [off, all] = [0, 0];
          for (let i = 0; i + size <= values.length; i += size) {
            const block = Array.from(values.subarray(i, i + size));
            if (most(block) === 0) continue;
            write(block).forEach((v, j) => (off += (v - block[j]!) ** 2));
            all += block.reduce((sum, v) => sum + v * v, 0);
          }
          return off / all;
        });
        return Math.sqrt(lost.reduce((a, b) => a + b, 0) / lost.length);
      });
      errors.forEach((e, i) => console.log(`${name.padEnd(22)} ${FOUR_BITS[i]![0].padEnd(48)} ${(100 * e).toFixed(2)} % off`));
      expect(errors[1]).toBeLessThan(1.1 * Math.min(...errors));
    }
  });

  it('how fast: weights a second of one core, from bf16', () => {
    const n = 2 ** 22;
    const bytes = new Uint8Array(Uint16Array.from(new Uint32Array(Float32Array.from(normal(n, 3, 0.04)).buffer), (u) => u >>> 16).buffer);
    for (const type of ['int8', 'nf4'] as const) {
      let best = Infinity;
      for (let i = 0; i < 5; i++) {
        const used = process.cpuUsage();
        storedForm(bytes, 'BF16', type);
        const { user, system } = process.cpuUsage(used);
        best = Math.min(best, (user + system) / 1e6);
      }
      console.log(`${type}: ${(n / best / 1e6).toFixed(0)} million weights a second, ${(2 * n / best / 1e6).toFixed(0)} MB/s of the file`);
      expect(n / best).toBeGreaterThan(1e7);
    }
  });

  it('costs little in the logits; most of what nf4 would cost in embedding and head, int8 there does not', async () => {
    const folder = await openBuiltinModel(loadBuiltin);
    const config = parseModelConfig(folder.config, folder.generationConfig ?? undefined);
    const values: Values = new Map();
    for (const { name, shape } of expectedTensors(config)) values.set(name, { shape, data: Float64Array.from(await readF32(folder.tensors.get(name)!)) });
    const random = uniform(5);
    const small = await logitErrors('built-in model', config, values, Array.from({ length: 4 }, () => Array.from({ length: 32 }, () => 10 + Math.floor(random() * 2000))));
    const large = await logitErrors('2 layers of SmolLM2-135M', SMOL, plausible(SMOL), Array.from({ length: 2 }, () => Array.from({ length: 24 }, () => Math.floor(random() * 49_152))));
    for (const errors of [small, large]) {
      const [int8, mixed, kept, throughout] = [...errors.values()];
      expect(int8).toBeLessThan(0.05);
      expect(mixed!).toBeLessThan(throughout!);
      expect(mixed! - kept!).toBeLessThan(0.5 * (throughout! - kept!));
    }
  });

  it('changes the loss after training little: the built-in example in full', async () => {
    const losses: number[] = [];
    for (const quantization of QUANTIZATIONS) {
      const session = new Session({ gpu: await testGpu(), loadBuiltin, emit: () => {}, pageUrl: null, database: `quantised ${quantization}` });
      const context = { signal: new AbortController().signal, progress: () => {} };
      const { weightBytes } = await session.handle('model.load', { source: { kind: 'builtin' }, quantization }, context);
      const { id } = await session.handle('data.import', { source: { kind: 'builtin' } }, context);
      const run = await session.train(id, builtinRecipe(), { answers: false });
      const tail = run.metrics.slice(-10).reduce((sum, m) => sum + m.loss / 10, 0);
      losses.push(tail);
      console.log(`built-in model, ${quantization.padEnd(4)} (${(weightBytes / 1e6).toFixed(2)} MB of weights): mean loss of the last ten of ${run.step} steps ${tail.toFixed(4)}`);
      await session.destroy();
    }
    expect(Math.abs(losses[1]! - losses[0]!)).toBeLessThan(0.02 * losses[0]! + 0.005);
    expect(Math.abs(losses[2]! - losses[0]!)).toBeLessThan(0.1 * losses[0]! + 0.01);
  });

  it('changes the loss after training little: two layers of SmolLM2-135M', async () => {
    const values = plausible(SMOL);
    const rows = randomRows(6, 3, { min: 20, max: 30, vocab: SMOL.vocabSize });
    const losses: number[] = [];
    for (const quantization of QUANTIZATIONS) {
      const rig = await Rig.open(engine, { config: SMOL, values, quantization, rows, lora: { r: 8, loraAlpha: 16 }, maxLength: 32, training: { maxSteps: 12, learningRate: 2e-3, gradientAccumulationSteps: 1 } });
      const { steps, error } = await pull(rig.trainer());
      rig.close();
      expect(error).toBeNull();
      losses.push(steps.slice(-3).reduce((sum, s) => sum + s.loss / 3, 0));
      console.log(`2 layers of SmolLM2-135M, ${quantization.padEnd(4)}: loss ${steps[0]!.loss.toFixed(4)} at the first of ${steps.length} steps, ${losses.at(-1)!.toFixed(4)} over the last three`);
    }
    for (const loss of losses) expect(Math.abs(loss - losses[0]!)).toBeLessThan(0.05 * losses[0]!);
  });
});
