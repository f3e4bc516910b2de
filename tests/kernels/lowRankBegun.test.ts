/** LoRA's branches where a few tokens go through the model: begun by the kernel that makes x, or left to the one that reads y. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOKENS, type Op } from '../../src/engine/kernel.ts';
import { attention, attentionBegins } from '../../src/engine/kernels/attention.ts';
import { gatedLowRank, gatedParts } from '../../src/engine/kernels/gated.ts';
import { isRowProduct, matmulNT, type MatmulNT } from '../../src/engine/kernels/matmul.ts';
import { endToEnd } from '../../src/engine/segments.ts';
import type { StorageType } from '../../src/engine/tensor.ts';
import { SHAPE_CLASSES, type MatmulVariant } from '../../src/engine/variants.ts';
import { attention as attentionTwin } from '../reference/attention.ts';
import { gated as gatedTwin } from '../reference/gated.ts';
import { matmulNT as twin } from '../reference/matmul.ts';
import { rmsNorm } from '../reference/rmsNorm.ts';
import { normal, openKit, storable, type Kit } from './run.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await openKit();
});
afterAll(() => kit.close());

const use = (variant: MatmulVariant): void => {
  for (const shape of SHAPE_CLASSES) kit.engine.variants[shape] = variant;
};

/** Columns from..to of a row-major [M, cols]. */
const columnsOf = (x: ArrayLike<number>, cols: number, from: number, to: number): Float64Array =>
  Float64Array.from({ length: (x.length / cols) * (to - from) }, (_, i) => x[Math.floor(i / (to - from)) * cols + from + (i % (to - from))]!);

/** Kernels take long to compile: rows of multiples of 4 and others in f32, f16 the others alone, the rest multiples of 4. */
const only = <T>(dtype: StorageType, by4: T[], others: NoInfer<T>[]): T[] => [...(dtype === 'f16' ? [] : by4), ...(dtype === 'f32' || dtype === 'f16' ? others : [])];

const firstRow = (values: Float32Array, M: number): Float32Array => values.subarray(0, values.length / M);

describe('attention of a few queries that begins the branch of what reads it', () => {
  it.each([
    { queries: 1, past: 0, heads: 4, kvHeads: 2, headDim: 6, r: 3 },
    { queries: 1, past: 130, heads: 9, kvHeads: 3, headDim: 64, r: 16 },
    { queries: 4, past: 70, heads: 2, kvHeads: 1, headDim: 260, r: 21 },
    { queries: 3, past: 90, heads: 3, kvHeads: 1, headDim: 64, r: 1, window: 70, softcap: 1.3 },
  ])('$queries queries after $past, $heads heads, D = $headDim, rank $r: its output is the twin\'s, and each head\'s part its share of out Aᵀ', async ({ queries, past, heads, kvHeads, headDim, r, window, softcap = null }) => {
    kit.engine.variants['attention.decode'] = 'split';
    const width = heads * headDim;
    const keys = past + queries;
    const c = {
      heads, kvHeads, headDim, softcap, q: normal(queries * width, 1), k: normal(keys * kvHeads * headDim, 2), v: normal(keys * kvHeads * headDim, 3),
      keyStart: Uint32Array.from({ length: queries }, (_, i) => Math.max(0, past + i + 1 - (window ?? Infinity))), keyEnd: Uint32Array.from({ length: queries }, (_, i) => past + i + 1),
    };
    const a = normal(r * width, 4, 0.3);
    const size = 4 * r + 1;
    const [out, lse, parts] = [kit.empty('out', queries * width), kit.empty('lse', queries * heads, 5), kit.empty('parts', size * heads, 7)];
    const args = {
      label: 'test', heads, kvHeads, headDim, softcap, q: kit.tensor('q', c.q), k: kit.tensor('k', c.k), v: kit.tensor('v', c.v),
      keyStart: kit.tensor('keyStart', c.keyStart), keyEnd: kit.tensor('keyEnd', c.keyEnd), out, lse, begin: { a: kit.weight('a', 'f32', r, width, a), parts: { tensor: parts, size } },
    };
    expect(attentionBegins(kit.engine, args)).toBe(true);
    const ops = attention(kit.engine, args);
    expect(ops).toHaveLength(1);
    await kit.run(ops, { tokens: queries, kvPast: past });
    const want = attentionTwin(c).out;
    expect(await kit.read(out)).toBeAllclose(want);
    const got = await kit.read(parts);
    for (let h = 0; h < heads; h++) {
      const [x, w] = [want, a].map((values) => columnsOf(values, width, h * headDim, (h + 1) * headDim)) as [Float64Array, Float64Array];
      expect(got.subarray(h * size, h * size + queries * r), `head ${h}`).toBeAllclose(twin(x, w, queries, r, headDim), 'f32');
      expect(got.subarray(h * size + queries * r, (h + 1) * size)).toEqual(new Float32Array(size - queries * r).fill(7));
    }
    expect(await kit.read(lse)).toEqual(new Float32Array(queries * heads).fill(5));
    await kit.run(ops, { tokens: 1, kvPast: past });
    expect((await kit.read(parts)).subarray(0, r), 'one query alone').toEqual(got.subarray(0, r));
  });

  it('is not offered where another kernel serves', () => {
    const t = kit.empty('t', 64);
    const args = { label: 'test', heads: 1, kvHeads: 1, headDim: 16, q: t, k: t, v: t, keyStart: t, keyEnd: t, out: t, lse: t };
    for (const [variant, begins] of [['split', true], ['direct', false]] as const) {
      kit.engine.variants['attention.decode'] = variant;
      expect(attentionBegins(kit.engine, args)).toBe(begins);
    }
    expect(attentionBegins(kit.engine, { ...args, q: kit.empty('q', 16 * 5) }), 'five queries').toBe(false);
  });
});

describe.each(['silu', 'gelu_tanh'] as const)('the gate that adds the branches of what it reads, %s', (activation) => {
  it.each([
    [1, 1, 2, 1], [1, 256, 16, 16], [3, 131, 3, 5], [4, 300, 16, 33],
  ])('%i tokens of %i, ranks %i and %i: output and parts of out Aᵀ are the twin\'s', async (M, F, r, rDown) => {
    const [gate, up, xa, b, a] = [normal(M * F, 1), normal(M * F, 2), normal(M * 2 * r, 3), normal(2 * F * r, 4, 0.3), normal(rDown * F, 5)];
    const size = (M + 1) * rDown + 3;
    const count = gatedParts(F);
    const [out, parts] = [kit.empty('out', (M + 1) * F, 7), kit.empty('parts', count * size, 7)];
    const ops = gatedLowRank(kit.engine, {
      label: 'test', activation, cols: F, gate: kit.tensor('gate', gate), up: kit.tensor('up', up), out,
      branch: { left: kit.tensor('xa', xa), right: kit.weight('b', 'f32', 2 * F, r, b), scale: 1.5 }, begin: { a: kit.weight('a', 'f32', rDown, F, a), parts: { tensor: parts, size } },
    });
    await kit.run(ops, { tokens: M });
    const lowRank = (i: number): Float64Array => twin(columnsOf(xa, 2 * r, i * r, (i + 1) * r), b.subarray(i * F * r, (i + 1) * F * r), M, F, r, { alpha: 1.5 });
    const [dGate, dUp] = [lowRank(0), lowRank(1)];
    const want = gatedTwin(activation, gate.map((v, i) => v + dGate[i]!), up.map((v, i) => v + dUp[i]!));
    const got = await kit.read(out);
    expect(got.subarray(0, M * F)).toBeAllclose(want, 'f32');
    expect(got.subarray(M * F)).toEqual(new Float32Array(F).fill(7));
    const begun = await kit.read(parts);
    for (let p = 0; p < count; p++) {
      const [from, to] = [p * 128, Math.min(F, (p + 1) * 128)];
      const wanted = twin(columnsOf(want, F, from, to), columnsOf(a, F, from, to), M, rDown, to - from);
      expect(begun.subarray(p * size, p * size + M * rDown), `part ${p}`).toBeAllclose(wanted, 'f32');
      expect(begun.subarray(p * size + M * rDown, (p + 1) * size)).toEqual(new Float32Array(size - M * rDown).fill(7));
    }
    await kit.run(ops, { tokens: 1 });
    expect((await kit.read(parts)).subarray(0, rDown), 'one token alone').toEqual(begun.subarray(0, rDown));
  });
});

describe('a product whose branch was begun in parts', () => {
  const DTYPES: [StorageType, number][] = [['f32', Infinity], ['bf16', 2048], ['f16', Infinity], ['int8', Infinity], ['nf4', Infinity]];

  async function check(variant: MatmulVariant, dtype: StorageType, maxBinding: number, [M, N, K]: [number, number, number], r: number, count: number, dispatches: number | null): Promise<void> {
    use(variant);
    const size = (M + 1) * r + 1;
    const [x, w, b, add, bias, parts] = [normal(M * K, 1), storable(normal(N * K, 2), dtype), normal(N * r, 3), normal(M * N, 4), normal(N, 5), normal(count * size, 6, 0.5)];
    const weight = kit.weight('w', dtype, N, K, w, maxBinding);
    const y = kit.empty('y', M * N);
    const ops = matmulNT(kit.engine, {
      label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: weight, y, add: kit.tensor('add', add), bias: kit.tensor('bias', bias),
      branch: { left: kit.empty('xa', M * r, 9), right: kit.weight('b', 'f32', N, r, b), scale: 0.5, parts: { tensor: kit.tensor('parts', parts), size, count } },
    });
    if (dispatches !== null) expect(ops).toHaveLength(dispatches * weight.parts.length);
    const xa = Float64Array.from({ length: M * r }, (_, i) => Array.from({ length: count }, (_part, p) => parts[p * size + i]!).reduce((sum, v) => sum + v));
    await kit.run(ops, { tokens: M });
    const got = await kit.read(y);
    expect(got, `${variant} ${dtype} ${M} x ${N} x ${K}, rank ${r}, ${count} parts`).toBeAllclose(twin(x, w, M, N, K, { bias, add: twin(xa, b, M, N, r, { alpha: 0.5, add }) }), 'f32');
    if (variant !== 'row' || M === 1) return;
    await kit.run(ops, { tokens: 1 });
    expect(firstRow(await kit.read(y), M), 'one row alone').toEqual(firstRow(got, M));
  }

  it.each(DTYPES)('of a few rows, stored as %s, adds them up in its one dispatch, in the same order for any number of rows', async (dtype, maxBinding) => {
    const by4: [[number, number, number], number, number][] = [[[1, 72, 64], 16, 9], [[3, 40, 8], 37, 20]];
    for (const [size, r, count] of only(dtype, by4, [[[4, 67, 131], 3, 1]])) await check('row', dtype, maxBinding, size, r, count, 1);
  });

  it.each([['direct', 'bf16', 2048], ['tiled', 'f32', Infinity]] as const)('%s, has them added up first', async (variant, dtype, maxBinding) => {
    await check(variant, dtype, maxBinding, variant === 'tiled' ? [9, 67, 131] : [4, 72, 64], 5, 9, variant === 'tiled' ? 2 : null);
  });
});

describe('a product with another weight beside its own', () => {
  /** Joined columns where there are several. */
  async function check(variant: MatmulVariant, dtype: StorageType, [M, columns, K]: [number, number[], number], R: number, normed: boolean, dispatches: number): Promise<void> {
    use(variant);
    const N = columns.reduce((a, b) => a + b);
    const [x, w, a, gain, bias] = [normal(M * K, 1), storable(normal(N * K, 2), dtype), normal(R * K, 3), normal(K, 4), normal(N, 5)];
    const y = endToEnd((name, elements) => kit.empty(name, elements, 7), columns.map((_, i) => `y ${i}`), M, columns);
    const out = kit.empty('out', (M + 1) * R, 7);
    const product: MatmulNT = {
      label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: kit.weight('w', dtype, N, K, w), y: y.whole, segments: columns.length > 1 ? y.segments : undefined, bias: kit.tensor('bias', bias), alpha: 2,
      norm: normed ? { gain: kit.tensor('gain', gain), eps: 1e-5, out: kit.empty('normed', M * K) } : undefined, beside: { w: kit.weight('a', 'f32', R, K, a), out },
    };
    expect(isRowProduct(kit.engine, product)).toBe(variant === 'row');
    const ops: Op[] = matmulNT(kit.engine, product);
    const what = `${variant} ${dtype}, ${M} x ${columns.join('+')} x ${K} beside ${R}`;
    expect(ops, what).toHaveLength(dispatches);
    await kit.run(ops, { tokens: M });
    const input = normed ? rmsNorm(x, gain, 1e-5) : x;
    for (const [i, n] of columns.entries()) {
      const start = columns.slice(0, i).reduce((sum, v) => sum + v, 0);
      const wanted = twin(input, w.subarray(start * K, (start + n) * K), M, n, K, { alpha: 2, bias: bias.subarray(start, start + n) });
      expect((await kit.read(y.each[i]!)).subarray(0, M * n), `${what}: product ${i}`).toBeAllclose(wanted, 'f32');
    }
    const got = await kit.read(out);
    expect(got.subarray(0, M * R), `${what}: beside`).toBeAllclose(twin(input, a, M, R, K), 'f32');
    expect(got.subarray(M * R)).toEqual(new Float32Array(R).fill(7));
    await kit.run(ops, { tokens: 1 });
    if (variant === 'row') expect((await kit.read(out)).subarray(0, R), 'one row alone').toEqual(got.subarray(0, R));
  }

  it.each(['f32', 'bf16', 'f16', 'int8', 'nf4'] as const)('of a few rows, stored as %s, is one dispatch with the norm folded in', async (dtype) => {
    const by4: [[number, number[], number], number][] = [[[2, [64, 64], 64], 32]];
    for (const [size, beside] of only(dtype, by4, [[[4, [12, 20, 4], 131], 7]])) await check('row', dtype, size, beside, true, 1);
  });

  it('of a few rows needs no norm and no whole workgroup of columns', async () => {
    await check('row', 'f32', [3, [67], 64], 9, false, 1);
  });

  it('of a few rows by another kernel is a norm and two', async () => {
    await check('direct', 'bf16', [2, [12, 20], 64], 7, true, 3);
    await check('direct', 'f32', [2, [20], 23], 3, false, 2);
  });
});
