/** Products side by side: q, k and v, or gate and up, in one dispatch, with LoRA's branch; each is what it would be by itself. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOKENS, type Op } from '../../src/engine/kernel.ts';
import { matmulNN, matmulNT, matmulTN, SPLITS } from '../../src/engine/kernels/matmul.ts';
import { endToEnd, type JoinedTensor } from '../../src/engine/segments.ts';
import { writeTensor, type StorageType } from '../../src/engine/tensor.ts';
import { SHAPE_CLASSES, type MatmulVariant } from '../../src/engine/variants.ts';
import { testDeviceKind } from '../setup/gpu.ts';
import * as twin from '../reference/matmul.ts';
import { rmsNorm } from '../reference/rmsNorm.ts';
import { normal, openKit, storable, type Kit } from './run.ts';

/** SwiftShader compiles for seconds what stages much in workgroup memory; npm run proof runs all of it on lavapipe. */
const LONG = testDeviceKind() !== 'swiftshader';
const VARIANTS: MatmulVariant[] = LONG ? ['direct', 'subgroup', 'tiled', 'tiled32x32', 'tiled128x64', 'tiledThin', 'split'] : ['direct', 'subgroup'];

interface Case {
  M: number;
  columns: number[];
  K: number;
  r: number;
  dtype: StorageType;
}
const ODD: Case = { M: 35, columns: [76, 20, 36], K: 23, r: 3, dtype: 'f32' };
const ROUND: Case = { M: 66, columns: [72, 136], K: 36, r: 8, dtype: 'bf16' };
const QUANTISED: Case = { M: 9, columns: [64, 32, 32], K: 64, r: 40, dtype: 'nf4' };

/** Columns from..to of a row-major [M, cols]. */
const columnsOf = (x: ArrayLike<number>, cols: number, from: number, to: number): Float64Array =>
  Float64Array.from({ length: (x.length / cols) * (to - from) }, (_, i) => x[Math.floor(i / (to - from)) * cols + from + (i % (to - from))]!);

describe('products side by side', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit();
  });
  afterAll(() => kit.close());

  const use = (variant: MatmulVariant): void => {
    for (const shape of SHAPE_CLASSES) kit.engine.variants[shape] = variant;
  };

  /** Random values and their tensors, with room for three rows more than there are. */
  function problem({ M, columns, K, r, dtype }: Case, spare = 3) {
    const parts = columns.length;
    const N = columns.reduce((a, b) => a + b);
    const starts = columns.map((_, i) => columns.slice(0, i).reduce((a, b) => a + b, 0));
    const joined = (label: string, values: readonly ArrayLike<number>[] | null): JoinedTensor => {
      const tensor = endToEnd((name, elements) => kit.empty(name, elements, 7), columns.map((_, i) => `${label} ${i}`), M + spare, columns);
      values?.forEach((v, i) => writeTensor(kit.engine, tensor.each[i]!, Float32Array.from(v)));
      return tensor;
    };
    const v = {
      x: normal(M * K, 1), w: storable(normal(N * K, 2), dtype), dy: columns.map((n, i) => normal(M * n, 3 + i)), bias: normal(N, 6),
      xa: normal(M * r * parts, 7), b: normal(N * r, 8), dxa: normal(M * r * parts, 9), a: normal(r * parts * K, 10), dX: normal((M + spare) * K, 11), dB: normal(N * r, 12),
    };
    /** Rows of weight, B and dB that are segment i's. */
    const rowsOf = (values: Float64Array, width: number, i: number): Float64Array => values.subarray(starts[i]! * width, (starts[i]! + columns[i]!) * width);
    const sliceOf = (values: Float64Array, i: number): Float64Array => columnsOf(values, r * parts, r * i, r * (i + 1));
    return { M, N, K, r, columns, starts, parts, v, joined, rowsOf, sliceOf, weight: kit.weight('w', dtype, N, K, v.w) };
  }

  /** Forward with a branch and backward, everything beside everything else. */
  async function check(variant: MatmulVariant, c: Case): Promise<void> {
    use(variant);
    const { M, N, K, r, columns, starts, parts, v, joined, rowsOf, sliceOf, weight } = problem(c);
    const e = kit.engine;
    const [y, dy] = [joined('y', null), joined('dy', v.dy)];
    const [dX, dxa, dB] = [kit.tensor('dX', v.dX), kit.empty('dxa', (M + 3) * r * parts, 7), kit.tensor('dB', v.dB)];
    const b = kit.weight('b', 'f32', N, r, v.b);
    const scratch = kit.empty('parts', SPLITS * Math.max(N * r, (M + 3) * K) + 64, 9);
    const ops: Op[] = [
      ...matmulNT(e, {
        label: 'y', rows: TOKENS, x: kit.tensor('x', v.x), w: weight, y: y.whole, segments: y.segments, bias: kit.tensor('bias', v.bias),
        branch: { left: kit.tensor('xa', v.xa), right: b, scale: 1.5 },
      }),
      ...matmulNN(e, { label: 'dxa', rows: TOKENS, dy: dy.whole, segments: dy.segments, apart: true, w: b, dx: dxa, alpha: 0.5 }),
      ...matmulNN(e, {
        label: 'dX', rows: TOKENS, dy: dy.whole, segments: dy.segments, w: weight, dx: dX, accumulate: true, parts: scratch,
        branch: { left: kit.tensor('dxa', v.dxa), right: kit.weight('a', 'f32', r * parts, K, v.a) },
      }),
      ...matmulTN(e, { label: 'dB', rows: TOKENS, p: dy.whole, pCols: N, segments: dy.segments, q: kit.tensor('xa', v.xa), qCols: r, out: dB, alpha: 2, parts: scratch }),
    ];
    await kit.run(ops, { tokens: M });
    let dx = twin.matmulNN(v.dxa, v.a, M, r * parts, K, { add: v.dX });
    const gotDxa = await kit.read(dxa);
    const gotDB = Float64Array.from(await kit.read(dB));
    for (const [i, n] of columns.entries()) {
      const [w, bi, what] = [rowsOf(v.w, K, i), rowsOf(v.b, r, i), `${variant} ${c.dtype}, product ${i}`];
      const branch = twin.matmulNT(sliceOf(v.xa, i), bi, M, n, r, { alpha: 1.5 });
      const got = await kit.read(y.each[i]!);
      expect(got.subarray(0, M * n), `y, ${what}`).toBeAllclose(twin.matmulNT(v.x, w, M, n, K, { bias: v.bias.subarray(starts[i], starts[i]! + n), add: branch }), 'f32');
      expect(got.subarray(M * n), `rows beyond M, ${what}`).toEqual(new Float32Array(3 * n).fill(7));
      const wanted = twin.matmulNN(v.dy[i]!, bi, M, n, r, { alpha: 0.5 });
      expect(columnsOf(gotDxa.subarray(0, M * r * parts), r * parts, r * i, r * (i + 1)), `dxa, ${what}`).toBeAllclose(wanted, 'f32');
      expect(rowsOf(gotDB, r, i), `dB, ${what}`).toBeAllclose(twin.matmulTN(v.dy[i]!, sliceOf(v.xa, i), M, n, r, { alpha: 2, add: rowsOf(v.dB, r, i) }), 'f32');
      dx = twin.matmulNN(v.dy[i]!, w, M, n, K, { add: dx });
    }
    expect(gotDxa.subarray(M * r * parts)).toEqual(new Float32Array(3 * r * parts).fill(7));
    const gotX = await kit.read(dX);
    expect(gotX.subarray(0, M * K), `dX, ${variant} ${c.dtype}`).toBeAllclose(dx, 'f32');
    expect(gotX.subarray(M * K)).toEqual(Float32Array.from(v.dX.subarray(M * K)));
  }

  it.each(VARIANTS)('%s kernels: each is its twin\'s, forward with a branch and backward, at odd and round sizes', async (variant) => {
    await check(variant, ODD);
    if (LONG || variant === 'direct') await check(variant, ROUND);
  });

  it.each(LONG ? ['direct', 'tiled'] as const : ['direct'] as const)('%s kernels: so is each over a weight in 4 bits, with a rank that is not skinny', async (variant) => {
    await check(variant, QUANTISED);
  });

  it.each([['f16', ROUND], ['int8', QUANTISED]] as const)('so is each over a weight stored as %s', async (dtype, c) => {
    for (const variant of LONG ? ['subgroup', 'tiled'] as const : ['subgroup'] as const) await check(variant, { ...c, dtype });
  });

  it.each(LONG ? ['direct', 'subgroup', 'tiled', 'tiledThin', 'split'] as const : ['direct', 'subgroup'] as const)('%s kernels read and write columns of a wider matrix', async (variant) => {
    use(variant);
    const e = kit.engine;
    for (const [M, N, K, from, of] of [[19, 3, 22, 6, 9], [21, 8, 36, 8, 24]] as const) {
      const [x, w, wide, whole] = [normal(M * K, 1), normal(N * K, 2), normal(M * of, 3), normal(M * of, 4)];
      const slice = { from, of };
      const [y, dx, out] = [kit.tensor('y', whole), kit.empty('dx', M * K), kit.empty('out', N * K)];
      const [left, weight, p] = [kit.tensor('x', x), kit.weight('w', 'f32', N, K, w), kit.tensor('p', wide)];
      await kit.run([
        ...matmulNT(e, { label: 'nt', rows: TOKENS, x: left, w: weight, y, slice }),
        ...matmulNN(e, { label: 'nn', rows: TOKENS, dy: p, slice, w: weight, dx }),
        ...matmulTN(e, { label: 'tn', rows: TOKENS, p, pCols: N, slice, q: left, qCols: K, out, parts: kit.empty('parts', SPLITS * N * K + 64) }),
      ], { tokens: M });
      const mine = columnsOf(wide, of, from, from + N);
      const got = await kit.read(y);
      expect(columnsOf(got, of, from, from + N), variant).toBeAllclose(twin.matmulNT(x, w, M, N, K), 'f32');
      expect(columnsOf(got, of, 0, from)).toEqual(columnsOf(whole, of, 0, from));
      expect(await kit.read(dx), variant).toBeAllclose(twin.matmulNN(mine, w, M, N, K), 'f32');
      expect(await kit.read(out), variant).toBeAllclose(twin.matmulTN(mine, x, M, N, K), 'f32');
    }
  });

  it.each(['row', 'direct'] as const)('a few normed rows with a branch, %s, are their twins\', each product in its place', async (variant) => {
    use(variant);
    for (const c of [{ ...ODD, M: 1 }, { ...ROUND, M: 3 }, { ...ODD, M: 4, columns: [8, 12, 4] }]) {
      const { M, N, K, r, columns, starts, v, joined, rowsOf, sliceOf, weight } = problem(c, 0);
      const gain = normal(K, 13);
      const y = joined('y', null);
      const ops = matmulNT(kit.engine, {
        label: 'nt', rows: TOKENS, x: kit.tensor('x', v.x), w: weight, y: y.whole, segments: y.segments, bias: kit.tensor('bias', v.bias),
        norm: { gain: kit.tensor('gain', gain), eps: 1e-5, out: kit.empty('normed', M * K) }, branch: { left: kit.tensor('xa', v.xa), right: kit.weight('b', 'f32', N, r, v.b), scale: 1.5 },
      });
      expect(ops).toHaveLength(variant === 'row' ? 1 : 3);
      await kit.run(ops, { tokens: M });
      for (const [i, n] of columns.entries()) {
        const branch = twin.matmulNT(sliceOf(v.xa, i), rowsOf(v.b, r, i), M, n, r, { alpha: 1.5 });
        const wanted = twin.matmulNT(rmsNorm(v.x, gain, 1e-5), rowsOf(v.w, K, i), M, n, K, { bias: v.bias.subarray(starts[i], starts[i]! + n), add: branch });
        expect((await kit.read(y.each[i]!)).subarray(0, M * n), `${M} rows, product ${i}`).toBeAllclose(wanted, 'f32');
      }
    }
  });

  it('tiled kernels take the branch along in one dispatch, the others need one more', () => {
    const count = (variant: MatmulVariant): number => {
      use(variant);
      const { N, r, v, joined, weight } = problem({ ...ROUND, M: 8 });
      const y = joined('y', null);
      return matmulNT(kit.engine, {
        label: 'nt', rows: TOKENS, x: kit.tensor('x', v.x), w: weight, y: y.whole, segments: y.segments, branch: { left: kit.tensor('xa', v.xa), right: kit.weight('b', 'f32', N, r, v.b) },
      }).length;
    };
    expect([count('tiled'), count('tiled64x64'), count('direct')]).toEqual([1, 1, 2]);
  });
});
