import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rmsNorm, rmsNormBackward } from '../../src/engine/kernels/rmsNorm.ts';
import type { Rows } from '../../src/engine/kernel.ts';
import { ROW_VARIANTS } from '../../src/engine/rowVariants.ts';
import { rmsNorm as twin, rmsNormBackward as backwardTwin } from '../reference/rmsNorm.ts';
import { normal, openKit, type Kit } from './run.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await openKit();
});
afterAll(() => kit.close());

const CASES: { rows: Rows; step: { tokens: number; targets?: number }; count: number; cols: number }[] = [
  { rows: { kind: 'tokens' }, step: { tokens: 1 }, count: 1, cols: 3 },
  { rows: { kind: 'tokens' }, step: { tokens: 13 }, count: 13, cols: 37 },
  { rows: { kind: 'tokens' }, step: { tokens: 64 }, count: 64, cols: 128 },
  { rows: { kind: 'tokens', perToken: 3 }, step: { tokens: 5 }, count: 15, cols: 6 },
  { rows: { kind: 'tokens', perToken: 8 }, step: { tokens: 9 }, count: 72, cols: 64 },
  { rows: { kind: 'targets', start: 4, count: 8 }, step: { tokens: 50, targets: 9 }, count: 5, cols: 20 },
  { rows: { kind: 'fixed', count: 2 }, step: { tokens: 50 }, count: 2, cols: 1030 },
];

const EPS = 1e-5;

describe.each(ROW_VARIANTS.rmsNorm)('RMSNorm, %s', (variant) => {
  beforeEach(() => {
    kit.engine.variants['rmsNorm'] = variant;
  });

  it.each(CASES)('$count rows of $cols: rows and gradients are the twin\'s, rows beyond stay', async ({ rows, step, count, cols }) => {
    const all = (count + 2) * cols;
    const used = count * cols;
    const [x, gain, dOut, before] = [normal(all, 1, 2), normal(cols, 2), normal(all, 3), normal(all, 4)];
    const t = {
      x: kit.tensor('x', x), gain: kit.tensor('gain', gain), dOut: kit.tensor('dOut', dOut),
      out: kit.empty('out', all, 5), dx: kit.empty('dx', all, 5), sum: kit.tensor('sum', before),
      residual: kit.tensor('residual', before), added: kit.empty('added', all, 5),
    };
    const args = { label: 'test', rows, cols, x: t.x, gain: t.gain, eps: EPS };
    await kit.run([
      ...rmsNorm(kit.engine, { ...args, out: t.out }),
      ...rmsNorm(kit.engine, { ...args, out: t.added, add: t.residual }),
      ...rmsNormBackward(kit.engine, { ...args, dOut: t.dOut, dx: t.dx }),
      ...rmsNormBackward(kit.engine, { ...args, dOut: t.dOut, dx: t.sum, accumulate: true }),
    ], step);
    const [out, added, dx, sum] = [await kit.read(t.out), await kit.read(t.added), await kit.read(t.dx), await kit.read(t.sum)];
    const expected = backwardTwin(x.subarray(0, used), gain, dOut.subarray(0, used), EPS);
    expect(out.subarray(0, used)).toBeAllclose(twin(x.subarray(0, used), gain, EPS));
    expect(added.subarray(0, used)).toBeAllclose(twin(x.subarray(0, used), gain, EPS).map((v, i) => v + before[i]!));
    expect(dx.subarray(0, used)).toBeAllclose(expected);
    expect(sum.subarray(0, used)).toBeAllclose(expected.map((v, i) => v + before[i]!));
    expect([...out.subarray(used), ...added.subarray(used), ...dx.subarray(used)].every((v) => v === 5)).toBe(true);
    expect(sum.subarray(used)).toEqual(Float32Array.from(before.subarray(used)));
  });

  it('gives zeros for a row of zeros, and stays finite at the smallest and largest scale activations take', async () => {
    const x = [...Array<number>(8).fill(0), ...Array<number>(8).fill(1e-12), ...Array<number>(8).fill(1e8)];
    const gain = normal(8, 1);
    const out = kit.empty('out', 24);
    await kit.run(rmsNorm(kit.engine, { label: 'test', rows: { kind: 'tokens' }, cols: 8, x: kit.tensor('x', x), gain: kit.tensor('gain', gain), out, eps: EPS }), { tokens: 3 });
    expect(await kit.read(out)).toBeAllclose(twin(Float64Array.from(x), gain, EPS));
  });
});
