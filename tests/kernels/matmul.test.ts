import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/device.ts';
import { TOKENS, type Rows } from '../../src/engine/kernel.ts';
import { matmulNN, matmulNT, matmulTN, SPLITS } from '../../src/engine/kernels/matmul.ts';
import type { StorageType } from '../../src/engine/tensor.ts';
import { availableVariants, SHAPE_CLASSES, VARIANTS, type MatmulVariant } from '../../src/engine/variants.ts';
import { testDeviceKind } from '../setup/gpu.ts';
import * as twin from '../reference/matmul.ts';
import { rmsNorm } from '../reference/rmsNorm.ts';
import { normal, openKit, storable, type Kit } from './run.ts';

const DTYPES: StorageType[] = ['f32', 'bf16', 'f16', 'int8', 'nf4'];
/** SwiftShader compiles for seconds what stages much in workgroup memory; npm run proof runs all of it on lavapipe. */
const LONG = testDeviceKind() !== 'swiftshader';
const SPARE_ROWS = 3;
type Size = [M: number, N: number, K: number];
/** With few and with many columns on either side, row lengths a multiple of 4 and not: one, prime and round. */
const SIZES: Size[] = [[1, 1, 1], [33, 67, 131], [37, 8, 36], [66, 72, 64], [9, 70, 8], [5, 9, 37], [70, 36, 12], [19, 39, 9]];
/** Storage types differ in how weights are loaded, and that only by whether rows are a multiple of 4. */
const PACKED_SIZES: Size[] = [[33, 67, 131], [66, 72, 64]];
const ROW_SIZES: Size[] = [[1, 67, 131], [4, 72, 64], [3, 40, 8]];
const sizes = (variant: MatmulVariant, dtype: StorageType): Size[] => (variant === 'row' ? ROW_SIZES : dtype === 'f32' ? SIZES : PACKED_SIZES);

function useVariant(kit: Kit, variant: MatmulVariant): void {
  for (const shape of SHAPE_CLASSES) kit.engine.variants[shape] = variant;
}

/** Runs NT over x and returns y with the rows beyond M. */
async function runNT(kit: Kit, dtype: StorageType, [M, N, K]: Size, x: ArrayLike<number>, w: ArrayLike<number>, rows: Rows = TOKENS) {
  const y = kit.empty('y', (M + SPARE_ROWS) * N, 7);
  await kit.run(matmulNT(kit.engine, { label: 'nt', rows, x: kit.tensor('x', x), w: kit.weight('w', dtype, N, K, w), y, alpha: 0.5 }), { tokens: M });
  return kit.read(y);
}

describe('matrix products', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit();
  });
  afterAll(() => kit.close());

  it('offer only variants this device can run: subgroup kernels where it has subgroups of 4 or more, and none by matrix units that nobody asked to see', () => {
    const cannot = [...(kit.engine.device.adapterInfo.subgroupMinSize >= 4 ? [] : ['subgroup']), 'matrix', 'matrix64x64'];
    for (const shape of SHAPE_CLASSES) {
      const missing = VARIANTS[shape].filter((v) => !availableVariants(kit.engine, shape).includes(v));
      expect(missing).toEqual(VARIANTS[shape].filter((v) => cannot.includes(v)));
    }
  });

  for (const variant of ['direct', 'subgroup', 'tiled', 'row'] as const) {
    describe(`${variant} kernels`, () => {
      for (const dtype of DTYPES) {
        it(`matmulNT with ${dtype} weights gives its twin's numbers at odd and round sizes, and leaves rows beyond M alone`, async () => {
          useVariant(kit, variant);
          for (const [M, N, K] of sizes(variant, dtype)) {
            const x = normal(M * K, 1);
            const w = storable(normal(N * K, 2), dtype);
            const got = await runNT(kit, dtype, [M, N, K], x, w, variant === 'row' ? { kind: 'fixed', count: M } : TOKENS);
            expect(got.subarray(0, M * N), `${M} x ${N} x ${K}`).toBeAllclose(twin.matmulNT(x, w, M, N, K, { alpha: 0.5 }), 'f32');
            expect(got.subarray(M * N)).toEqual(new Float32Array(SPARE_ROWS * N).fill(7));
          }
        });

        if (variant === 'row') continue;
        it(`matmulNN with ${dtype} weights gives its twin's numbers at odd and round sizes, and leaves rows beyond M alone`, async () => {
          useVariant(kit, variant);
          for (const [M, N, K] of sizes(variant, dtype)) {
            const dy = normal(M * N, 1);
            const w = storable(normal(N * K, 2), dtype);
            const dx = kit.empty('dx', (M + SPARE_ROWS) * K, 7);
            await kit.run(matmulNN(kit.engine, { label: 'nn', rows: TOKENS, dy: kit.tensor('dy', dy), w: kit.weight('w', dtype, N, K, w), dx, alpha: 0.5 }), { tokens: M });
            const got = await kit.read(dx);
            expect(got.subarray(0, M * K), `${M} x ${N} x ${K}`).toBeAllclose(twin.matmulNN(dy, w, M, N, K, { alpha: 0.5 }), 'f32');
            expect(got.subarray(M * K)).toEqual(new Float32Array(SPARE_ROWS * K).fill(7));
          }
        });
      }

      it('matmulNT adds a bias, what y holds, or another tensor, in rows given by offsets', async () => {
        useVariant(kit, variant);
        const rows: Rows = { kind: 'fixed', count: variant === 'row' ? 3 : 5 };
        const [M, N, K] = [rows.count, 37, 12];
        const x = normal((M + 2) * K, 1);
        const w = normal(N * K, 2);
        const bias = normal(N, 3);
        const c = normal((M + 1) * N, 4);
        for (const add of ['accumulate', 'tensor'] as const) {
          const held = kit.tensor('held', c);
          const y = add === 'accumulate' ? held : kit.empty('y', (M + 1) * N);
          await kit.run(matmulNT(kit.engine, {
            label: 'nt', rows, x: kit.tensor('x', x), w: kit.weight('w', 'f32', N, K, w), y,
            add: add === 'accumulate' ? add : held, bias: kit.tensor('bias', bias), xRowStart: 2, yRowStart: 1, alpha: -2,
          }), {});
          const expected = twin.matmulNT(x.subarray(2 * K), w, M, N, K, { alpha: -2, bias, add: c.subarray(N) });
          expect((await kit.read(y)).subarray(N), add).toBeAllclose(expected, 'f32');
        }
      });

      if (variant === 'row') return;
      // Parts of a quantised weight begin at whole blocks: 32 rows of 22.
      it.each([['bf16', [0, 46, 92, 138]], ['nf4', [0, 32, 64, 96, 128]]] as const)('a weight in several parts gives what one part gives, stored as %s', async (dtype, starts) => {
        useVariant(kit, variant);
        const [M, N, K] = [13, 154, 22];
        const w = storable(normal(N * K, 2), dtype);
        const x = normal(M * K, 1);
        const dy = normal(M * N, 3);
        const before = normal(M * K, 4);
        const weight = kit.weight('w', dtype, N, K, w, dtype === 'nf4' ? 512 : 2048);
        const y = kit.empty('y', M * N);
        const dx = kit.tensor('dx', before);
        const ops = [
          ...matmulNT(kit.engine, { label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: weight, y }),
          ...matmulNN(kit.engine, { label: 'nn', rows: TOKENS, dy: kit.tensor('dy', dy), w: weight, dx, accumulate: true }),
        ];
        expect(weight.parts.map((part) => part.rowStart)).toEqual(starts);
        expect(ops).toHaveLength(2 * starts.length);
        await kit.run(ops, { tokens: M });
        expect(await kit.read(y)).toBeAllclose(twin.matmulNT(x, w, M, N, K), 'f32');
        expect(await kit.read(dx)).toBeAllclose(twin.matmulNN(dy, w, M, N, K, { add: before }), 'f32');
      });

      it('a row of y has the same bits whatever other rows there are', async () => {
        useVariant(kit, variant);
        const [N, K] = [72, 64];
        const x = normal(67 * K, 1);
        const w = normal(N * K, 2);
        const many = await runNT(kit, 'f32', [67, N, K], x, w);
        for (const M of [5, 17]) {
          const few = await runNT(kit, 'f32', [M, N, K], x.subarray(0, M * K), w);
          expect(few.subarray(0, M * N)).toEqual(many.subarray(0, M * N));
        }
      });

      it('matmulTN gives its twin\'s numbers, accumulating by default', async () => {
        useVariant(kit, variant);
        for (const [P, Q, M] of [...SIZES, [8, 130, 300], [130, 16, 300]] as const) {
          const p = normal(M * P, 1);
          const q = normal(M * Q, 2);
          const before = normal(P * Q, 3);
          for (const accumulate of [undefined, false]) {
            const out = kit.tensor('out', before);
            await kit.run(matmulTN(kit.engine, { label: 'tn', rows: TOKENS, p: kit.tensor('p', p), pCols: P, q: kit.tensor('q', q), qCols: Q, out, alpha: 2, accumulate }), { tokens: M });
            const expected = twin.matmulTN(p, q, M, P, Q, { alpha: 2, add: accumulate === undefined ? before : undefined });
            expect(await kit.read(out), `${P} x ${Q} over ${M}`).toBeAllclose(expected, 'f32');
          }
        }
      });
    });
  }

  /** NT and NN, with rows in parts of tiles and of blocks, and a sum that ends within a block. */
  async function checkBoth(e: Engine, [M, N, K]: Size, dtype: StorageType): Promise<void> {
    const x = normal(M * K, 1);
    const dy = normal(M * N, 2);
    const w = storable(normal(N * K, 3), dtype);
    const [y, dx] = [kit.empty('y', M * N), kit.empty('dx', M * K)];
    const weight = kit.weight('w', dtype, N, K, w);
    await kit.run([
      ...matmulNT(e, { label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: weight, y }),
      ...matmulNN(e, { label: 'nn', rows: TOKENS, dy: kit.tensor('dy', dy), w: weight, dx }),
    ], { tokens: M });
    expect(await kit.read(y), `${M} x ${N} x ${K} ${dtype}`).toBeAllclose(twin.matmulNT(x, w, M, N, K), 'f32');
    expect(await kit.read(dx), `${M} x ${N} x ${K} ${dtype}`).toBeAllclose(twin.matmulNN(dy, w, M, N, K), 'f32');
  }

  it.each(VARIANTS['matmulNT.wide'].filter((v) => v.startsWith('tiled') && v !== 'tiled'))('%s gives its twin\'s numbers both ways', async (variant) => {
    useVariant(kit, variant);
    await checkBoth(kit.engine, [133, 67, 131], 'f32');
    if (LONG) await checkBoth(kit.engine, [66, 140, 36], 'bf16');
  });

  it.each(LONG ? ['direct', 'tiled', 'tiled128x64'] as const : ['direct', 'tiled'] as const)('a low-rank branch is added by %s kernels, along with bias and stream, whatever the parts of the weight', async (variant) => {
    useVariant(kit, variant);
    for (const [M, N, K, r, maxBinding] of [[37, 66, 23, 3, 2048], [70, 40, 36, 8, Infinity]] as const) {
      const [x, dy, w] = [normal(M * K, 1), normal(M * N, 2), normal(N * K, 3)];
      const [xa, dxa, a, b] = [normal(M * r, 4), normal(M * r, 5), normal(r * K, 6), normal(N * r, 7)];
      const [bias, c, before] = [normal(N, 8), normal(M * N, 9), normal(M * K, 10)];
      const y = kit.empty('y', M * N);
      const dx = kit.tensor('dx', before);
      const weight = kit.weight('w', 'f32', N, K, w, maxBinding);
      await kit.run([
        ...matmulNT(kit.engine, {
          label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: weight, y, bias: kit.tensor('bias', bias), add: kit.tensor('c', c),
          branch: { left: kit.tensor('xa', xa), right: kit.weight('b', 'f32', N, r, b), scale: 1.5 },
        }),
        ...matmulNN(kit.engine, {
          label: 'nn', rows: TOKENS, dy: kit.tensor('dy', dy), w: weight, dx, accumulate: true,
          branch: { left: kit.tensor('dxa', dxa), right: kit.weight('a', 'f32', r, K, a) },
        }),
      ], { tokens: M });
      const branch = twin.matmulNT(xa, b, M, N, r, { alpha: 1.5, add: c });
      expect(await kit.read(y), `NT ${M} x ${N} x ${K}, rank ${r}`).toBeAllclose(twin.matmulNT(x, w, M, N, K, { bias, add: branch }), 'f32');
      const back = twin.matmulNN(dxa, a, M, r, K, { add: before });
      expect(await kit.read(dx), `NN ${M} x ${N} x ${K}, rank ${r}`).toBeAllclose(twin.matmulNN(dy, w, M, N, K, { add: back }), 'f32');
    }
  });

  it.each(['split', 'tiledThin'] as const)('matmulTN, %s, gives its twin\'s numbers, with fewer rows than parts too', async (variant) => {
    useVariant(kit, variant);
    for (const [P, Q, M] of [[16, 36, 70], [12, 20, 5], [7, 18, 33]] as const) {
      const [p, q, before] = [normal(M * P, 1), normal(M * Q, 2), normal(P * Q, 3)];
      for (const accumulate of [true, false]) {
        const out = kit.tensor('out', before);
        const parts = kit.empty('parts', SPLITS * P * Q + 64, 9);
        const ops = matmulTN(kit.engine, { label: 'tn', rows: TOKENS, p: kit.tensor('p', p), pCols: P, q: kit.tensor('q', q), qCols: Q, out, alpha: 2, accumulate, parts });
        expect(ops).toHaveLength(variant === 'split' ? 2 : 1);
        await kit.run(ops, { tokens: M });
        expect(await kit.read(out), `${P} x ${Q} over ${M}`).toBeAllclose(twin.matmulTN(p, q, M, P, Q, { alpha: 2, add: accumulate ? before : undefined }), 'f32');
      }
    }
  });

  it.each([['f32', Infinity], ['bf16', 2048]] as const)('matmulNN, split, gives its twin\'s numbers into rows given by an offset, stored as %s', async (dtype, maxBinding) => {
    useVariant(kit, 'split');
    const [M, N, K] = [11, 150, 36];
    const w = storable(normal(N * K, 2), dtype);
    const dy = normal(M * N, 1);
    for (const accumulate of [false, true]) {
      const before = normal((M + 5) * K, 4);
      const dx = kit.tensor('dx', before);
      const parts = kit.empty('parts', SPLITS * (M + 2) * K, 9);
      const weight = kit.weight('w', dtype, N, K, w, maxBinding);
      const ops = matmulNN(kit.engine, { label: 'nn', rows: { kind: 'targets', start: 0, count: M + 2 }, dy: kit.tensor('dy', [...dy, ...normal(2 * N, 5)]), w: weight, dx, dxRowStart: 3, accumulate, parts });
      expect(ops).toHaveLength(2 * weight.parts.length);
      await kit.run(ops, { targets: M });
      const expected = [...before];
      twin.matmulNN(dy, w, M, N, K, { add: accumulate ? before.subarray(3 * K) : undefined }).forEach((v, i) => (expected[3 * K + i] = v));
      expect(await kit.read(dx)).toBeAllclose(expected, 'f32');
    }
  });

  it.each(['row', 'direct'] as const)('a normed row, %s, is the product of its RMSNorm', async (variant) => {
    useVariant(kit, variant);
    for (const [M, N, K] of ROW_SIZES) {
      const [x, w, gain, bias] = [normal(M * K, 1), normal(N * K, 2), normal(K, 3), normal(N, 4)];
      const y = kit.empty('y', M * N);
      const ops = matmulNT(kit.engine, {
        label: 'nt', rows: { kind: 'fixed', count: M }, x: kit.tensor('x', x), w: kit.weight('w', 'f32', N, K, w), y, bias: kit.tensor('bias', bias),
        norm: { gain: kit.tensor('gain', gain), eps: 1e-5, out: kit.empty('normed', M * K) },
      });
      expect(ops).toHaveLength(variant === 'row' ? 1 : 2);
      await kit.run(ops, {});
      expect(await kit.read(y), `${M} x ${N} x ${K}`).toBeAllclose(twin.matmulNT(rmsNorm(x, gain, 1e-5), w, M, N, K, { bias }), 'f32');
    }
  });

  it('skinny products by thin tiles are their twin\'s', async () => {
    useVariant(kit, 'tiledThin');
    await checkBoth(kit.engine, [37, 16, 67], 'f32');
    await checkBoth(kit.engine, [29, 68, 12], 'f32');
  });

  it('tiled kernels take a low-rank branch along in one dispatch, the others need one more', () => {
    const ops = (variant: MatmulVariant): number => {
      useVariant(kit, variant);
      const branch = { left: kit.empty('xa', 8 * 4), right: kit.weight('b', 'f32', 40, 4, normal(160, 1)) };
      return matmulNT(kit.engine, { label: 'nt', rows: TOKENS, x: kit.empty('x', 8 * 12), w: kit.weight('w', 'f32', 40, 12, normal(480, 1)), y: kit.empty('y', 8 * 40), branch }).length;
    };
    expect([ops('tiled'), ops('tiled32x32'), ops('direct')]).toEqual([1, 1, 2]);
  });

  for (const variant of VARIANTS['matmulNT.wide'].filter((v) => v.startsWith('tiled') && LONG)) {
    it(`${variant} gives its twin's numbers with as many steps in workgroup memory as on GPUs`, async () => {
      useVariant(kit, variant);
      await checkBoth({ ...kit.engine, info: { ...kit.engine.info, software: false } }, [70, 67, 36], 'f32');
    });
  }

  it('tiled gives its twin\'s numbers with the tile sizes of GPUs too', async () => {
    const e = { ...kit.engine, info: { ...kit.engine.info, software: false } };
    useVariant(kit, 'tiled');
    const [M, N, K] = [70, 67, 36];
    const x = normal(M * K, 1);
    const w = normal(N * K, 2);
    const y = kit.empty('y', M * N);
    const out = kit.empty('out', N * K);
    await kit.run([
      ...matmulNT(e, { label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: kit.weight('w', 'f32', N, K, w), y }),
      ...matmulTN(e, { label: 'tn', rows: TOKENS, p: y, pCols: N, q: kit.tensor('x', x), qCols: K, out }),
    ], { tokens: M });
    const expected = twin.matmulNT(x, w, M, N, K);
    expect(await kit.read(y)).toBeAllclose(expected, 'f32');
    expect(await kit.read(out)).toBeAllclose(twin.matmulTN(expected, x, M, N, K), 'f32');
  });
});
