import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attention, attentionBackward } from '../../src/engine/kernels/attention.ts';
import { ROW_VARIANTS } from '../../src/engine/rowVariants.ts';
import { narrow } from '../../src/model/batchInputs.ts';
import { attention as attentionTwin, attentionBackward as backwardTwin, type AttentionCase } from '../reference/attention.ts';
import { testDeviceKind } from '../setup/gpu.ts';
import { normal, openKit, type Kit } from './run.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await openKit();
});
afterAll(() => kit.close());

/** Ranges of rows laid end to end: segment after segment, each causal in itself and, with a window, seeing its last keys alone. */
function segments(lengths: number[], window: number | null = null): { keyStart: Uint32Array; keyEnd: Uint32Array; queryEnd: Uint32Array } {
  const keyStart: number[] = [];
  const queryEnd: number[] = [];
  for (const length of lengths) {
    const start = keyStart.length;
    for (let i = 0; i < length; i++) {
      keyStart.push(start);
      queryEnd.push(start + length);
    }
  }
  const full = { keyStart: Uint32Array.from(keyStart), keyEnd: Uint32Array.from(keyStart, (_, i) => i + 1), queryEnd: Uint32Array.from(queryEnd) };
  return window === null ? full : { ...full, ...narrow(full, window) };
}

interface Shape {
  heads: number;
  kvHeads: number;
  headDim: number;
  lengths: number[];
  /** Spread of q and k: larger gives sharper softmaxes. */
  spread?: number;
  /** In place of 1 / sqrt(D). */
  scale?: number;
  softcap?: number;
  window?: number;
}

/** Head dims of both Vec widths, groups of 1, 2, 3 and 8 query heads, segments of one token, T = 200. */
const SHAPES: Record<(typeof ROW_VARIANTS.attention)[number], Shape[]> = {
  direct: [
    { heads: 1, kvHeads: 1, headDim: 6, lengths: [1] },
    { heads: 4, kvHeads: 2, headDim: 8, lengths: [5, 3] },
    { heads: 3, kvHeads: 1, headDim: 10, lengths: [1, 1, 9, 2] },
    { heads: 9, kvHeads: 3, headDim: 16, lengths: [13, 20] },
    { heads: 8, kvHeads: 1, headDim: 18, lengths: [33] },
    { heads: 2, kvHeads: 1, headDim: 64, lengths: [64], spread: 3 },
    { heads: 3, kvHeads: 3, headDim: 12, lengths: [200] },
    { heads: 2, kvHeads: 1, headDim: 128, lengths: [40, 37] },
    { heads: 3, kvHeads: 1, headDim: 10, lengths: [9, 30, 1], window: 4 },
    { heads: 2, kvHeads: 1, headDim: 64, lengths: [64, 7], spread: 2, window: 16, scale: 0.3, softcap: 1.7 },
    { heads: 6, kvHeads: 2, headDim: 14, lengths: [12, 41], window: 1, softcap: 50, scale: 1 / 16 },
    { heads: 4, kvHeads: 1, headDim: 256, lengths: [33, 8], window: 9, softcap: 2 },
  ],
  // Software adapters compile these for seconds, so there are few; rows, slices and tiles are all cut across.
  tiled: [
    { heads: 8, kvHeads: 1, headDim: 6, lengths: [7] },
    { heads: 6, kvHeads: 2, headDim: 16, lengths: [65, 1, 70], spread: 3 },
    { heads: 6, kvHeads: 2, headDim: 16, lengths: [65, 1, 70], window: 37 },
    { heads: 1, kvHeads: 1, headDim: 66, lengths: [33] },
    // 15 s to compile on SwiftShader; npm run proof runs it on lavapipe.
    ...(testDeviceKind() === 'swiftshader' ? [] : [{ heads: 4, kvHeads: 1, headDim: 256, lengths: [33, 8], spread: 1.5, window: 9, scale: 0.1, softcap: 1.7 }]),
  ],
  // Rows over 2 and 4 threads, then over 4 and 8: more than a subgroup of SwiftShader has lanes.
  tiledHalf: [{ heads: 6, kvHeads: 2, headDim: 64, lengths: [33, 1, 40] }],
  tiledPairs: [{ heads: 4, kvHeads: 2, headDim: 32, lengths: [33, 1, 40], softcap: 2, window: 30 }],
  // Rows of a workgroup, of the stream and blocks of 64 columns all cut across.
  blocked: [
    { heads: 6, kvHeads: 2, headDim: 16, lengths: [65, 1, 70], spread: 3, window: 37, softcap: 1.7 },
    // 15 s each to compile on SwiftShader; npm run proof runs them on lavapipe.
    ...(testDeviceKind() === 'swiftshader' ? [] : [
      { heads: 3, kvHeads: 1, headDim: 64, lengths: [40, 37], window: 23, scale: 0.2 },
      { heads: 4, kvHeads: 2, headDim: 80, lengths: [33, 1, 40] },
    ]),
  ],
  tiledQuarter: [{ heads: 3, kvHeads: 1, headDim: 64, lengths: [40, 37], window: 23, scale: 0.2, softcap: 1.7 }],
};

const name = ({ heads, kvHeads, headDim, lengths, window, scale, softcap }: Shape): string => [
  `${heads} heads on ${kvHeads}, D = ${headDim}, segments of ${lengths.join(' + ')}`,
  ...Object.entries({ window, scale, softcap }).flatMap(([what, value]) => (value === undefined ? [] : [`${what} ${value}`])),
].join(', ');

/** Values of the first rows, and sevens in the rows of the buffer past them. */
function padded(values: Float64Array, length: number): Float64Array {
  const all = new Float64Array(length).fill(7);
  all.set(values);
  return all;
}

async function expectTwin(kit: Kit, variant: string, shape: Shape): Promise<void> {
  const { heads, kvHeads, headDim, lengths, spread = 1, window = null, scale = 1 / Math.sqrt(headDim), softcap = null } = shape;
  const { keyStart, keyEnd, queryEnd } = segments(lengths, window);
  const M = keyStart.length;
  const [width, kvWidth] = [heads * headDim, kvHeads * headDim];
  const c: AttentionCase = {
    heads, kvHeads, headDim, keyStart, keyEnd, scale, softcap,
    q: normal(M * width, 1, spread),
    k: normal(M * kvWidth, 2, spread),
    v: normal(M * kvWidth, 3),
  };
  const dOut = normal(M * width, 4);
  const rows = M + 5; // the rows past M must stay as they were
  const t = {
    q: kit.tensor('q', padded(c.q, rows * width)),
    k: kit.tensor('k', padded(c.k, rows * kvWidth)),
    v: kit.tensor('v', padded(c.v, rows * kvWidth)),
    dOut: kit.tensor('dOut', padded(dOut, rows * width)),
    keyStart: kit.tensor('keyStart', keyStart),
    keyEnd: kit.tensor('keyEnd', keyEnd),
    queryEnd: kit.tensor('queryEnd', queryEnd),
    out: kit.empty('out', rows * width, 5),
    lse: kit.empty('lse', rows * heads, 5),
    lseDelta: kit.empty('lseDelta', rows * heads * 2, 5),
    dq: kit.empty('dq', rows * width, 5),
    dk: kit.empty('dk', rows * kvWidth, 5),
    dv: kit.empty('dv', rows * kvWidth, 5),
  };
  kit.engine.variants['attention'] = kit.engine.variants['attentionBackward'] = variant;
  const args = { label: 'test', heads, kvHeads, headDim, scale, softcap, window, ...t };
  const ops = [...attention(kit.engine, args), ...attentionBackward(kit.engine, args)];
  await kit.run(ops, { tokens: M });

  const want = { ...attentionTwin(c), ...backwardTwin(c, dOut) };
  for (const key of ['out', 'lse', 'dq', 'dk', 'dv'] as const) {
    const got = await kit.read(t[key]);
    const used = want[key].length;
    expect(got.subarray(0, used), key).toBeAllclose(want[key], { relative: 1e-5, absolute: 2e-6 * spread * spread });
    expect(got.subarray(used).every((x) => x === 5), `${key} past M`).toBe(true);
  }
}

describe.each(ROW_VARIANTS.attention)('attention, %s', (variant) => {
  it.each(SHAPES[variant].map((shape) => [name(shape), shape] as const))('%s: output and gradients are the twin\'s', async (_, shape) => {
    await expectTwin(kit, variant, shape);
  });

  it('gives a segment the same bits alone as between 64 tokens of another one and 9 of a third', async () => {
    const { heads, kvHeads, headDim } = { heads: 6, kvHeads: 2, headDim: 16 }; // a shape above, already compiled
    const [width, kvWidth] = [heads * headDim, kvHeads * headDim];
    kit.engine.variants['attention'] = variant;
    const alone = { q: normal(40 * width, 1), k: normal(40 * kvWidth, 2), v: normal(40 * kvWidth, 3) };
    const results: Float32Array[] = [];
    for (const [before, after] of [[0, 0], [64, 9]] as const) {
      const { keyStart, keyEnd } = segments([before, 40, after]);
      const among = (values: Float64Array, perRow: number): Float64Array =>
        Float64Array.from([...normal(before * perRow, 8, 3), ...values, ...normal(after * perRow, 9, 3)]);
      const M = before + 40 + after;
      const out = kit.empty('out', M * width);
      await kit.run(attention(kit.engine, {
        label: 'test', heads, kvHeads, headDim,
        q: kit.tensor('q', among(alone.q, width)), k: kit.tensor('k', among(alone.k, kvWidth)), v: kit.tensor('v', among(alone.v, kvWidth)),
        keyStart: kit.tensor('keyStart', keyStart), keyEnd: kit.tensor('keyEnd', keyEnd), out, lse: kit.empty('lse', M * heads),
      }), { tokens: M });
      results.push((await kit.read(out)).subarray(before * width, (before + 40) * width));
    }
    expect(results[1]).toEqual(results[0]);
  });
});

describe.each(ROW_VARIANTS['attention.decode'])('attention with a key/value cache, %s', (variant) => {
  it.each([
    { queries: 1, past: 0, heads: 4, kvHeads: 2, headDim: 6 },
    { queries: 1, past: 63, heads: 3, kvHeads: 1, headDim: 64 },
    { queries: 1, past: 200, heads: 8, kvHeads: 1, headDim: 18 },
    { queries: 3, past: 127, heads: 2, kvHeads: 2, headDim: 128 },
    { queries: 4, past: 1, heads: 2, kvHeads: 1, headDim: 260 },
    { queries: 2, past: 150, heads: 3, kvHeads: 1, headDim: 64, window: 70, softcap: 1.3, scale: 0.2 },
  ])('$queries new tokens after $past, $heads heads on $kvHeads, D = $headDim: each sees all before it, or its window, and itself', async ({ queries, past, heads, kvHeads, headDim, window, softcap, scale = 1 / Math.sqrt(headDim) }) => {
    kit.engine.variants['attention.decode'] = variant;
    const keys = past + queries;
    const c: AttentionCase = {
      heads, kvHeads, headDim,
      q: normal(queries * heads * headDim, 1),
      k: normal(keys * kvHeads * headDim, 2),
      v: normal(keys * kvHeads * headDim, 3),
      keyStart: Uint32Array.from({ length: queries }, (_, i) => Math.max(0, past + i + 1 - (window ?? Infinity))),
      keyEnd: Uint32Array.from({ length: queries }, (_, i) => past + i + 1),
      scale, softcap: softcap ?? null,
    };
    const cache = (keys + 20) * kvHeads * headDim;
    const out = kit.empty('out', queries * heads * headDim);
    const ops = attention(kit.engine, {
      label: 'test', heads, kvHeads, headDim, scale, softcap: softcap ?? null,
      q: kit.tensor('q', c.q), k: kit.tensor('k', padded(c.k, cache)), v: kit.tensor('v', padded(c.v, cache)),
      keyStart: kit.tensor('keyStart', Uint32Array.from(c.keyStart)), keyEnd: kit.tensor('keyEnd', Uint32Array.from(c.keyEnd)),
      out, lse: kit.empty('lse', queries * heads),
    });
    await kit.run(ops, { tokens: queries, kvPast: past });
    expect(await kit.read(out)).toBeAllclose(attentionTwin(c).out);
  });
});

describe('attention over a cache by the kernels of longer batches', () => {
  it('continues a prompt from the middle, 30 queries over 50 keys', async () => {
    const [heads, kvHeads, headDim, past, queries] = [6, 2, 16, 20, 30] as const;
    const c: AttentionCase = {
      heads, kvHeads, headDim,
      q: normal(queries * heads * headDim, 1),
      k: normal((past + queries) * kvHeads * headDim, 2),
      v: normal((past + queries) * kvHeads * headDim, 3),
      keyStart: new Uint32Array(queries),
      keyEnd: Uint32Array.from({ length: queries }, (_, i) => past + i + 1),
    };
    for (const whole of ROW_VARIANTS.attention) {
      kit.engine.variants['attention'] = whole;
      const out = kit.empty('out', queries * heads * headDim);
      await kit.run(attention(kit.engine, {
        label: 'test', heads, kvHeads, headDim, q: kit.tensor('q', c.q), k: kit.tensor('k', c.k), v: kit.tensor('v', c.v),
        keyStart: kit.tensor('keyStart', Uint32Array.from(c.keyStart)), keyEnd: kit.tensor('keyEnd', Uint32Array.from(c.keyEnd)),
        out, lse: kit.empty('lse', queries * heads),
      }), { tokens: queries, kvPast: past });
      expect(await kit.read(out)).toBeAllclose(attentionTwin(c).out);
    }
  });
});
