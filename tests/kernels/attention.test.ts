import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attention, attentionBackward } from '../../src/engine/kernels/attention.ts';
import { attention as attentionTwin, attentionBackward as backwardTwin, type AttentionCase } from '../reference/attention.ts';
import { normal, openKit, type Kit } from './run.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await openKit();
});
afterAll(() => kit.close());

/** Ranges of rows laid end to end: segment after segment, each causal in itself. */
function segments(lengths: number[]): { keyStart: Uint32Array; keyEnd: Uint32Array; queryEnd: Uint32Array } {
  const keyStart: number[] = [];
  const queryEnd: number[] = [];
  for (const length of lengths) {
    const start = keyStart.length;
    for (let i = 0; i < length; i++) {
      keyStart.push(start);
      queryEnd.push(start + length);
    }
  }
  return { keyStart: Uint32Array.from(keyStart), keyEnd: Uint32Array.from(keyStart, (_, i) => i + 1), queryEnd: Uint32Array.from(queryEnd) };
}

interface Shape {
  heads: number;
  kvHeads: number;
  headDim: number;
  lengths: number[];
  /** Spread of q and k: larger gives sharper softmaxes. */
  spread?: number;
}

const SHAPES: Shape[] = [
  { heads: 1, kvHeads: 1, headDim: 6, lengths: [1] },
  { heads: 2, kvHeads: 2, headDim: 6, lengths: [7] },
  { heads: 4, kvHeads: 2, headDim: 8, lengths: [5, 3] },
  { heads: 3, kvHeads: 1, headDim: 10, lengths: [1, 1, 9, 2] },
  { heads: 9, kvHeads: 3, headDim: 16, lengths: [13, 20] },
  { heads: 8, kvHeads: 1, headDim: 18, lengths: [33] },
  { heads: 2, kvHeads: 1, headDim: 64, lengths: [64], spread: 3 },
  { heads: 3, kvHeads: 3, headDim: 12, lengths: [200] },
  { heads: 2, kvHeads: 1, headDim: 128, lengths: [40, 37] },
  { heads: 4, kvHeads: 4, headDim: 22, lengths: [65, 64, 1] },
];

const name = ({ heads, kvHeads, headDim, lengths }: Shape): string => `${heads} heads on ${kvHeads}, D = ${headDim}, segments of ${lengths.join(' + ')}`;

describe('attention', () => {
  it.each(SHAPES.map((shape) => [name(shape), shape] as const))('%s: output and gradients are the twin\'s', async (_, shape) => {
    const { heads, kvHeads, headDim, lengths, spread = 1 } = shape;
    const { keyStart, keyEnd, queryEnd } = segments(lengths);
    const M = keyStart.length;
    const spare = 3; // rows of the buffers past M, which must stay as they were
    const c: AttentionCase = {
      heads, kvHeads, headDim, keyStart, keyEnd,
      q: normal(M * heads * headDim, 1, spread),
      k: normal(M * kvHeads * headDim, 2, spread),
      v: normal(M * kvHeads * headDim, 3),
    };
    const dOut = normal(M * heads * headDim, 4);
    const expected = attentionTwin(c);
    const gradients = backwardTwin(c, dOut);

    const rows = M + spare;
    const padded = (values: Float64Array, perRow: number): Float64Array => {
      const all = new Float64Array(rows * perRow).fill(7);
      all.set(values);
      return all;
    };
    const t = {
      q: kit.tensor('q', padded(c.q, heads * headDim)),
      k: kit.tensor('k', padded(c.k, kvHeads * headDim)),
      v: kit.tensor('v', padded(c.v, kvHeads * headDim)),
      dOut: kit.tensor('dOut', padded(dOut, heads * headDim)),
      keyStart: kit.tensor('keyStart', keyStart),
      keyEnd: kit.tensor('keyEnd', keyEnd),
      queryEnd: kit.tensor('queryEnd', queryEnd),
      out: kit.empty('out', rows * heads * headDim, 5),
      lse: kit.empty('lse', rows * heads, 5),
      lseDelta: kit.empty('lseDelta', rows * heads * 2, 5),
      dq: kit.empty('dq', rows * heads * headDim, 5),
      dk: kit.empty('dk', rows * kvHeads * headDim, 5),
      dv: kit.empty('dv', rows * kvHeads * headDim, 5),
    };
    const args = { label: 'test', heads, kvHeads, headDim, ...t };
    await kit.run([...attention(kit.engine, args), ...attentionBackward(kit.engine, args)], { tokens: M });

    const check = async (tensor: keyof typeof t, want: Float64Array): Promise<void> => {
      const got = await kit.read(t[tensor]);
      expect(got.subarray(0, want.length), tensor).toBeAllclose(want, { relative: 1e-5, absolute: 2e-6 * spread * spread });
      expect(got.subarray(want.length).every((x) => x === 5), `${tensor} past M`).toBe(true);
    };
    await check('out', expected.out);
    await check('lse', expected.lse);
    await check('dq', gradients.dq);
    await check('dk', gradients.dk);
    await check('dv', gradients.dv);
  });
});
