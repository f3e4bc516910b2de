/**
 * Products by the device's matrix units: the numbers of f32, whatever the operands' size. Where the device has no such units (or hides them) every test here is skipped.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { autotune, type Measured } from '../../src/engine/autotune.ts';
import type { Engine } from '../../src/engine/device.ts';
import { TOKENS } from '../../src/engine/kernel.ts';
import { matmulNN, matmulNT } from '../../src/engine/kernels/matmul.ts';
import { endToEnd } from '../../src/engine/segments.ts';
import { writeTensor, type StorageType } from '../../src/engine/tensor.ts';
import { availableVariants, defaultVariant, SHAPE_CLASSES, variantsInForce, type MatmulVariant } from '../../src/engine/variants.ts';
import * as twin from '../reference/matmul.ts';
import { normal, openKit, storable, type Kit } from './run.ts';

type Size = [M: number, N: number, K: number];
const MATRIX = ['matrix', 'matrix64x64'] as const;
const DTYPES: StorageType[] = ['f32', 'bf16', 'f16', 'int8', 'nf4'];
/** Rows in parts of tiles and fragments, sums that end within a block, row lengths a multiple of 4 and not. */
const SIZES: Size[] = [[33, 67, 131], [66, 72, 64], [5, 35, 37], [70, 36, 12]];
const PACKED_SIZES: Size[] = [[33, 67, 131], [66, 72, 64]];

/** Root of the mean squared difference, in units of the mean square expected. */
function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    size += expected[i]! ** 2;
  }
  return Math.sqrt(difference / size);
}

describe('products by matrix units', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit({ experimental: true });
  });
  afterAll(() => kit.close());
  beforeEach((context) => {
    context.skip(kit.engine.info.subgroupMatrix === null, `${kit.engine.info.description} shows no subgroup matrices of f16 into f32`);
  });

  const use = (variant: MatmulVariant): void => {
    for (const shape of ['matmulNT.wide', 'matmulNN.wide']) kit.engine.variants[shape] = variant;
  };

  /** y = x w^T and dx = dy w. */
  async function both(e: Engine, [M, N, K]: Size, dtype: StorageType, { x, dy, w }: Record<'x' | 'dy' | 'w', Float64Array>) {
    const [y, dx] = [kit.empty('y', (M + 3) * N, 7), kit.empty('dx', (M + 3) * K, 7)];
    const weight = kit.weight('w', dtype, N, K, w);
    await kit.run([
      ...matmulNT(e, { label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: weight, y, alpha: 0.5 }),
      ...matmulNN(e, { label: 'nn', rows: TOKENS, dy: kit.tensor('dy', dy), w: weight, dx, alpha: 0.5 }),
    ], { tokens: M });
    return { y: await kit.read(y), dx: await kit.read(dx) };
  }

  async function check(e: Engine, size: Size, dtype: StorageType): Promise<void> {
    const [M, N, K] = size;
    const operands = { x: normal(M * K, 1), dy: normal(M * N, 2), w: storable(normal(N * K, 3), dtype) };
    const { y, dx } = await both(e, size, dtype, operands);
    expect(y.subarray(0, M * N), `NT ${size.join(' x ')} ${dtype}`).toBeAllclose(twin.matmulNT(operands.x, operands.w, M, N, K, { alpha: 0.5 }), 'f32');
    expect(dx.subarray(0, M * K), `NN ${size.join(' x ')} ${dtype}`).toBeAllclose(twin.matmulNN(operands.dy, operands.w, M, N, K, { alpha: 0.5 }), 'f32');
    expect(y.subarray(M * N)).toEqual(new Float32Array(3 * N).fill(7));
    expect(dx.subarray(M * K)).toEqual(new Float32Array(3 * K).fill(7));
  }

  for (const variant of MATRIX) {
    it.each(DTYPES)(`${variant}, weights in %s: the twin's numbers at odd and round sizes, rows beyond M left alone`, async (dtype) => {
      use(variant);
      for (const size of dtype === 'f32' ? SIZES : PACKED_SIZES) await check(kit.engine, size, dtype);
    });
  }

  it('subgroups smaller than the largest there may be: those left over multiply nothing', async () => {
    use('matrix64x64');
    const { info } = kit.engine;
    await check({ ...kit.engine, info: { ...info, subgroupMatrix: { ...info.subgroupMatrix!, lanes: 2 * info.subgroupMatrix!.lanes } } }, [33, 35, 37], 'f32');
  });

  it('the sizes of tiles that graphics cards get', async () => {
    use('matrix64x64');
    await check({ ...kit.engine, info: { ...kit.engine.info, software: false } }, [70, 67, 40], 'bf16');
  });

  const MIXED: Size = [40, 48, 576];
  /** Values times powers of two, by place. */
  const scaled = (values: Float64Array, exponent: (i: number) => number): Float64Array => values.map((v, i) => Math.fround(v * 2 ** exponent(i)));
  const [M, N, K] = MIXED;
  const SCALES: { what: string; x?: (i: number) => number; dy?: (i: number) => number; w?: (i: number) => number }[] = [
    { what: 'of size 1' },
    { what: 'with weights of 1e-6', w: () => -20 },
    { what: 'with activations of 1e6 and gradients of 1e-12', x: () => 20, dy: () => -40 },
    { what: 'at the ends of f32: activations of 1e36, weights of 1e-34', x: () => 120, dy: () => 70, w: () => -112 },
    { what: 'that grow and shrink along the sum', x: (i) => (i % K) / 16 - 12, dy: (i) => 12 - (i % N), w: (i) => (Math.floor(i / K) % 2 === 0 ? -8 : 3) },
    { what: 'of rows a thousand times another\'s', x: (i) => (Math.floor(i / K) % 8 === 0 ? 10 : 0), dy: (i) => (Math.floor(i / N) % 8 === 3 ? 10 : 0) },
  ];

  it.each(['f32', 'bf16'] as const)('weights in %s: the error against f64, row by row, is within twice that of tiled kernels in f32, whatever the operands\' sizes', async (dtype) => {
    for (const { what, x = () => 0, dy = () => 0, w = () => 0 } of SCALES) {
      const operands = { x: scaled(normal(M * K, 1), x), dy: scaled(normal(M * N, 2), dy), w: storable(scaled(normal(N * K, 3), w), dtype) };
      const y = twin.matmulNT(operands.x, operands.w, M, N, K, { alpha: 0.5 });
      const dx = twin.matmulNN(operands.dy, operands.w, M, N, K, { alpha: 0.5 });
      const errors = async (variant: MatmulVariant): Promise<[nt: number, nn: number]> => {
        use(variant);
        const got = await both(kit.engine, MIXED, dtype, operands);
        const rows = Array.from({ length: M }, (_, m) => m);
        const worst = (actual: Float32Array, expected: Float64Array, cols: number): number =>
          Math.max(...rows.map((m) => relativeError(actual.subarray(m * cols, (m + 1) * cols), expected.subarray(m * cols, (m + 1) * cols))));
        return [worst(got.y, y, N), worst(got.dx, dx, K)];
      };
      const [tiled, matrix] = [await errors('tiled'), await errors('matrix')];
      if (process.env.ETUDE_SHOW_ERRORS) console.log(`${dtype} ${what}: tiled ${tiled.map((v) => v.toExponential(2)).join(' ')}, matrix ${matrix.map((v) => v.toExponential(2)).join(' ')}`);
      // Rounding is noise: where f32 happens to have next to none, a unit in its last place is allowed.
      matrix.forEach((error, i) => expect(error, `${what}, ${i === 0 ? 'NT' : 'NN'}`).toBeLessThan(Math.max(2 * tiled[i]!, 2 ** -23)));
    }
  });

  it('what is not finite stays in its own row, and what lies beyond the rows counts for nothing', async () => {
    use('matrix');
    const [x, w] = [normal(M * K, 1), normal(N * K, 3)];
    const expected = twin.matmulNT(x, w, M, N, K);
    const held = Float64Array.from([...x, ...new Float64Array(3 * K).fill(Infinity)]);
    const y = kit.empty('y', (M + 3) * N);
    const product = matmulNT(kit.engine, { label: 'nt', rows: TOKENS, x: kit.tensor('x', held), w: kit.weight('w', 'f32', N, K, w), y });
    await kit.run(product, { tokens: M });
    expect((await kit.read(y)).subarray(0, M * N)).toBeAllclose(expected, 'f32');
    held[9 * K + 5] = Infinity;
    held[20 * K] = NaN;
    await kit.run(matmulNT(kit.engine, { label: 'nt', rows: TOKENS, x: kit.tensor('x', held), w: kit.weight('w', 'f32', N, K, w), y }), { tokens: M });
    const got = await kit.read(y);
    for (let m = 0; m < M; m++) expect(got.subarray(m * N, (m + 1) * N).some((v) => Number.isFinite(v)), `row ${m}`).toBe(m !== 9 && m !== 20);
  });

  it.each([['f32', Infinity], ['bf16', 2048]] as const)('takes a low-rank branch along, with bias and stream, over a weight in %s', async (dtype, maxBinding) => {
    use('matrix');
    for (const [rows, n, k, r] of [[37, 66, 39, 3], [21, 40, 36, 9]] as const) {
      const [x, dy, w] = [normal(rows * k, 1), normal(rows * n, 2), storable(normal(n * k, 3), dtype)];
      const [xa, dxa, a, b] = [normal(rows * r, 4), normal(rows * r, 5), normal(r * k, 6), normal(n * r, 7)];
      const [bias, c, before] = [normal(n, 8), normal(rows * n, 9), normal(rows * k, 10)];
      const [y, dx] = [kit.empty('y', rows * n), kit.tensor('dx', before)];
      const weight = kit.weight('w', dtype, n, k, w, maxBinding);
      const ops = [
        ...matmulNT(kit.engine, {
          label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: weight, y, bias: kit.tensor('bias', bias), add: kit.tensor('c', c),
          branch: { left: kit.tensor('xa', xa), right: kit.weight('b', 'f32', n, r, b), scale: 1.5 },
        }),
        ...matmulNN(kit.engine, {
          label: 'nn', rows: TOKENS, dy: kit.tensor('dy', dy), w: weight, dx, accumulate: true, branch: { left: kit.tensor('dxa', dxa), right: kit.weight('a', 'f32', r, k, a) },
        }),
      ];
      expect(ops).toHaveLength(2 * weight.parts.length);
      await kit.run(ops, { tokens: rows });
      const branch = twin.matmulNT(xa, b, rows, n, r, { alpha: 1.5, add: c });
      expect(await kit.read(y), `NT ${rows} x ${n} x ${k}, rank ${r}`).toBeAllclose(twin.matmulNT(x, w, rows, n, k, { bias, add: branch }), 'f32');
      expect(await kit.read(dx), `NN ${rows} x ${n} x ${k}, rank ${r}`).toBeAllclose(twin.matmulNN(dy, w, rows, n, k, { add: twin.matmulNN(dxa, a, rows, r, k, { add: before }) }), 'f32');
    }
  });

  it.each([['f32', 39, [76, 20, 36]], ['bf16', 36, [72, 136]]] as const)('products side by side, each with its branch, over a weight in %s', async (dtype, k, columns) => {
    use('matrix');
    const [rows, r] = [35, 5];
    const parts = columns.length;
    const n = columns.reduce((sum, c) => sum + c, 0);
    const starts = columns.map((_, i) => columns.slice(0, i).reduce((sum, c) => sum + c, 0));
    const [x, w, b, bias] = [normal(rows * k, 1), storable(normal(n * k, 2), dtype), normal(n * r, 3), normal(n, 4)];
    const [xa, dxa, a] = [normal(rows * r * parts, 5), normal(rows * r * parts, 6), normal(r * parts * k, 7)];
    const dys = columns.map((c, i) => normal(rows * c, 8 + i));
    const joined = (label: string) => endToEnd((name, elements) => kit.empty(name, elements, 7), columns.map((_, i) => `${label} ${i}`), rows, columns);
    const [y, dy] = [joined('y'), joined('dy')];
    dys.forEach((v, i) => writeTensor(kit.engine, dy.each[i]!, Float32Array.from(v)));
    const [dx, apart] = [kit.empty('dx', rows * k), kit.empty('apart', rows * k * parts)];
    const weight = kit.weight('w', dtype, n, k, w);
    await kit.run([
      ...matmulNT(kit.engine, {
        label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: weight, y: y.whole, segments: y.segments, bias: kit.tensor('bias', bias),
        branch: { left: kit.tensor('xa', xa), right: kit.weight('b', 'f32', n, r, b), scale: 1.5 },
      }),
      ...matmulNN(kit.engine, { label: 'nn', rows: TOKENS, dy: dy.whole, segments: dy.segments, w: weight, dx, branch: { left: kit.tensor('dxa', dxa), right: kit.weight('a', 'f32', r * parts, k, a) } }),
      ...matmulNN({ ...kit.engine, variants: { 'matmulNN.wide': 'matrix' } }, { label: 'apart', rows: TOKENS, dy: dy.whole, segments: dy.segments, apart: true, w: weight, dx: apart }),
    ], { tokens: rows });
    let expectedDx = twin.matmulNN(dxa, a, rows, r * parts, k);
    const gotApart = await kit.read(apart);
    for (const [i, c] of columns.entries()) {
      const mine = (values: Float64Array, width: number): Float64Array => values.subarray(starts[i]! * width, (starts[i]! + c) * width);
      const slice = Float64Array.from({ length: rows * r }, (_, at) => xa[Math.floor(at / r) * r * parts + i * r + (at % r)]!);
      const branch = twin.matmulNT(slice, mine(b, r), rows, c, r, { alpha: 1.5 });
      expect(await kit.read(y.each[i]!), `y ${i}`).toBeAllclose(twin.matmulNT(x, mine(w, k), rows, c, k, { bias: mine(bias, 1), add: branch }), 'f32');
      const own = twin.matmulNN(dys[i]!, mine(w, k), rows, c, k);
      expect(Float64Array.from({ length: rows * k }, (_, at) => gotApart[Math.floor(at / k) * k * parts + i * k + (at % k)]!), `apart ${i}`).toBeAllclose(own, 'f32');
      expectedDx = expectedDx.map((v, at) => v + own[at]!);
    }
    expect(await kit.read(dx), 'dx').toBeAllclose(expectedDx, 'f32');
  });

  it('tuning measures them and finds their numbers those of f32', async () => {
    const e: Engine = { ...kit.engine, variants: {} };
    const table: Measured[] = [];
    const w = kit.weight('w', 'f32', N, K, normal(N * K, 3));
    const product = matmulNT(e, { label: 'nt', rows: TOKENS, x: kit.empty('x', M * K), w, y: kit.empty('y', M * N) });
    await autotune(e, product, { tokens: M, targets: 0 }, { budgetMs: 60_000, only: ['direct', 'matrix'], onMeasured: (row) => table.push(row) });
    expect(table[0]!.ms).toEqual({ direct: expect.any(Number) as number, matrix: expect.any(Number) as number });
  });

  it('nobody\'s default, and a candidate wherever the device has it', () => {
    const e: Engine = { ...kit.engine, info: { ...kit.engine.info, software: false }, variants: {} };
    for (const shape of SHAPE_CLASSES) {
      expect(MATRIX).not.toContain(defaultVariant(e, shape));
      expect(MATRIX.every((v) => availableVariants(e, shape).includes(v))).toBe(shape.endsWith('.wide'));
      expect(availableVariants({ ...e, info: { ...e.info, subgroupMatrix: null } }, shape)).not.toContain('matrix');
    }
    expect(variantsInForce({ ...e, variants: { 'matmulNT.wide': 'matrix' } })).toMatchObject({ 'matmulNT.wide': 'matrix', 'matmulNN.wide': 'tiled' });
  });
});
