import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { crossEntropy, lossSum } from '../../src/engine/kernels/crossEntropy.ts';
import { softcap } from '../../src/engine/kernels/softcap.ts';
import type { Rows } from '../../src/engine/kernel.ts';
import { ROW_VARIANTS } from '../../src/engine/rowVariants.ts';
import { crossEntropy as twin, softcap as softcapTwin } from '../reference/crossEntropy.ts';
import { normal, openKit, uniform, type Kit } from './run.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await openKit();
});
afterAll(() => kit.close());

const labelsFor = (n: number, vocab: number): Uint32Array => {
  const next = uniform(n + vocab);
  return Uint32Array.from({ length: n }, () => Math.floor(next() * vocab));
};

interface Case {
  vocab: number;
  /** The chunk, and how many targets there are in all. */
  start: number;
  count: number;
  targets: number;
  spread: number;
}
const CASES: Case[] = [
  { vocab: 2, start: 0, count: 1, targets: 1, spread: 1 },
  { vocab: 17, start: 0, count: 40, targets: 9, spread: 1 },
  { vocab: 64, start: 8, count: 8, targets: 30, spread: 4 },
  { vocab: 259, start: 8, count: 16, targets: 11, spread: 30 },
  { vocab: 1031, start: 0, count: 3, targets: 3, spread: 0.02 },
  { vocab: 32_000, start: 0, count: 2, targets: 2, spread: 2 },
];

describe.each(ROW_VARIANTS.crossEntropy)('cross-entropy, %s', (variant) => {
  beforeEach(() => {
    kit.engine.variants['crossEntropy'] = variant;
  });

  it.each(CASES)('$vocab words, rows $start .. $start + $count of $targets: loss and gradient are the twin\'s', async ({ vocab, start, count, targets, spread }) => {
    const rows = Math.min(count, targets - start);
    const used = rows * vocab;
    const logits = normal(count * vocab, 1, spread);
    const labels = labelsFor(targets, vocab);
    const lossScale = 0.37;
    const { loss, dLogits } = twin(logits.subarray(0, used), vocab, labels.subarray(start, start + rows), Math.fround(lossScale));
    for (const train of [false, true]) {
      const t = { logits: kit.tensor('logits', logits), labels: kit.tensor('labels', labels), loss: kit.empty('loss', targets, 5) };
      await kit.run(crossEntropy(kit.engine, { label: 'test', rows: { kind: 'targets', start, count }, vocab, ...t, train }), { targets, lossScale });
      const gotLoss = await kit.read(t.loss);
      const gotLogits = await kit.read(t.logits);
      expect(gotLoss.subarray(start, start + rows)).toBeAllclose(loss, { relative: 1e-6, absolute: 1e-6 });
      expect([...gotLoss.subarray(0, start), ...gotLoss.subarray(start + rows)].every((x) => x === 5)).toBe(true);
      if (train) expect(gotLogits.subarray(0, used)).toBeAllclose(dLogits, { relative: 1e-5, absolute: 1e-7 });
      else expect(gotLogits.subarray(0, used)).toEqual(Float32Array.from(logits.subarray(0, used)));
      expect(gotLogits.subarray(used)).toEqual(Float32Array.from(logits.subarray(used)));
    }
  });

  it.each(CASES)('$vocab words, rows $start .. $start + $count of $targets, capped: logits, loss and gradient are the twin\'s', async ({ vocab, start, count, targets, spread }) => {
    const cap = 2.5;
    const rows: Rows = { kind: 'targets', start, count };
    const used = Math.min(count, targets - start) * vocab;
    const logits = normal(count * vocab, 1, spread);
    const labels = labelsFor(targets, vocab);
    const capped = softcapTwin(logits.subarray(0, used), cap);
    const lossScale = 0.37;
    const { loss, dLogits } = twin(capped, vocab, labels.subarray(start, start + used / vocab), Math.fround(lossScale), cap);
    for (const train of [false, true]) {
      const t = { logits: kit.tensor('logits', logits), labels: kit.tensor('labels', labels), loss: kit.empty('loss', targets, 5) };
      await kit.run([
        ...softcap(kit.engine, { label: 'test', rows, cols: vocab, x: t.logits, cap }),
        ...crossEntropy(kit.engine, { label: 'test', rows, vocab, ...t, train, softcap: cap }),
      ], { targets, lossScale });
      const got = await kit.read(t.logits);
      // Where the cap is reached, 1 - (x / cap)^2 is what rounding left of it: an ulp of 1, here as in torch.
      expect(got.subarray(0, used)).toBeAllclose(train ? dLogits : capped, { relative: 1e-5, absolute: 2e-7 });
      expect(got.subarray(used)).toEqual(Float32Array.from(logits.subarray(used)));
      expect((await kit.read(t.loss)).subarray(start, start + used / vocab)).toBeAllclose(loss, { relative: 1e-6, absolute: 1e-6 });
    }
  });

  it('is exact for logits hundreds apart, where exponentials overflow or vanish', async () => {
    const logits = [500, -500, 0, 499, -800, -800, -800, -800];
    const t = { logits: kit.tensor('logits', logits), labels: kit.tensor('labels', Uint32Array.from([1, 0])), loss: kit.empty('loss', 2) };
    await kit.run(crossEntropy(kit.engine, { label: 'test', rows: { kind: 'targets', start: 0, count: 2 }, vocab: 4, ...t, train: true }), { targets: 2, lossScale: 1 });
    const want = twin(Float64Array.from(logits), 4, [1, 0], 1);
    expect(await kit.read(t.loss)).toBeAllclose(want.loss, { relative: 1e-6, absolute: 0 });
    expect(await kit.read(t.logits)).toBeAllclose(want.dLogits);
  });

  it('shows a broken logit in the loss', async () => {
    const t = { logits: kit.tensor('logits', [1, NaN, 2, 3, NaN, NaN, NaN, NaN]), labels: kit.tensor('labels', Uint32Array.from([1, 0])), loss: kit.empty('loss', 2) };
    await kit.run(crossEntropy(kit.engine, { label: 'test', rows: { kind: 'targets', start: 0, count: 2 }, vocab: 4, ...t }), { targets: 2, lossScale: 1 });
    expect([...(await kit.read(t.loss))].every((x) => !Number.isFinite(x))).toBe(true);
  });
});

describe('the sum of the losses', () => {
  it.each([1, 3, 255, 256, 1000])('adds the scaled sum of %i losses to what is there, and the same bits each time', async (targets) => {
    const loss = normal(targets + 9, 1).map((x) => Math.abs(x));
    const results = [];
    for (let i = 0; i < 2; i++) {
      const stats = kit.tensor('stats', [0.5, 7]);
      await kit.run(lossSum(kit.engine, { label: 'test', loss: kit.tensor('loss', loss), stats }), { targets, lossScale: 0.25 });
      results.push(await kit.read(stats));
    }
    const want = loss.subarray(0, targets).reduce((a, b) => a + b) * 0.25 + 0.5;
    expect(results[0]!.subarray(0, 1)).toBeAllclose([want], { relative: 1e-6, absolute: 0 });
    expect(results[0]![1]).toBe(7);
    expect(results[1]).toEqual(results[0]);
  });
});
