import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dropout } from '../../src/engine/kernels/dropout.ts';
import * as twin from '../reference/dropout.ts';
import { normal, openKit, type Kit } from './run.ts';

describe('dropout', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit();
  });
  afterAll(() => kit.close());

  for (const [rows, cols] of [[1, 1], [7, 5], [64, 96], [33, 131]] as const) {
    it(`drops exactly what its twin drops over [${rows}, ${cols}] and leaves rows beyond M alone`, async () => {
      const x = normal(rows * cols, 1);
      const out = kit.empty('out', (rows + 2) * cols, 7);
      await kit.run(dropout(kit.engine, { label: 'd', cols, x: kit.tensor('x', x), out, p: 0.3, stream: 5 }), { tokens: rows, dropoutSeed: 0xdeadbeef });
      const got = await kit.read(out);
      expect(got.subarray(0, x.length)).toBeAllclose(twin.dropout(x, 0.3, 5, 0xdeadbeef), 'f32');
      expect(got.subarray(x.length)).toEqual(new Float32Array(2 * cols).fill(7));
    });
  }

  it('meets the same mask in the backward pass, added to what is there', async () => {
    const n = 40 * 12;
    const ones = kit.tensor('x', new Float32Array(n).fill(1));
    const forward = kit.empty('forward', n);
    const backward = kit.empty('backward', n, 1);
    const op = { cols: 12, x: ones, p: 0.25, stream: 3 };
    await kit.run([
      ...dropout(kit.engine, { ...op, label: 'forward', out: forward }),
      ...dropout(kit.engine, { ...op, label: 'backward', out: backward, accumulate: true }),
    ], { tokens: 40, dropoutSeed: 9 });
    const mask = await kit.read(forward);
    expect(await kit.read(backward)).toBeAllclose(mask.map((v) => v + 1), 'f32');
  });

  it('keeps 1 - p of the elements within 4 sigma, and p = 0 keeps all', async () => {
    const cols = 257;
    const n = 1000 * cols;
    const ones = kit.tensor('x', new Float32Array(n).fill(1));
    const out = kit.empty('out', n);
    for (const p of [0, 0.05, 0.5, 0.9]) {
      await kit.run(dropout(kit.engine, { label: 'd', cols, x: ones, out, p, stream: 1 }), { tokens: 1000, dropoutSeed: 77 });
      const kept = (await kit.read(out)).reduce((count, v) => count + (v === 0 ? 0 : 1), 0);
      expect(Math.abs(kept - n * (1 - p)), `p = ${p}: kept ${kept} of ${n}`).toBeLessThanOrEqual(4 * Math.sqrt(n * p * (1 - p)));
    }
  });
});
