import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { matmulNN, matmulNT, matmulTN } from '../../src/engine/kernels/matmul.ts';
import { TOKENS } from '../../src/engine/kernel.ts';
import type { StorageType } from '../../src/engine/tensor.ts';
import * as twin from '../reference/matmul.ts';
import { normal, openKit, storable, type Kit } from './run.ts';

const DTYPES: StorageType[] = ['f32', 'bf16', 'f16'];
/** [M, N, K]: one, odd, round, prime, LoRA-shaped. */
const SIZES: [number, number, number][] = [[1, 1, 1], [3, 5, 7], [5, 9, 12], [32, 64, 64], [33, 67, 131], [37, 8, 128], [37, 128, 8], [29, 3, 30], [29, 30, 3]];
const SPARE_ROWS = 3;

describe('matrix products', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit();
  });
  afterAll(() => kit.close());

  for (const dtype of DTYPES) {
    it(`matmulNT with ${dtype} weights gives its twin's numbers at odd and round sizes, and leaves rows beyond M alone`, async () => {
      for (const [M, N, K] of SIZES) {
        const x = normal(M * K, 1);
        const w = storable(normal(N * K, 2), dtype);
        const y = kit.empty('y', (M + SPARE_ROWS) * N, 7);
        await kit.run(matmulNT(kit.engine, { label: 'nt', rows: TOKENS, x: kit.tensor('x', x), w: kit.weight('w', dtype, N, K, w), y, alpha: 0.5 }), { tokens: M });
        const got = await kit.read(y);
        expect(got.subarray(0, M * N), `${M} x ${N} x ${K}`).toBeAllclose(twin.matmulNT(x, w, M, N, K, { alpha: 0.5 }), 'f32');
        expect(got.subarray(M * N)).toEqual(new Float32Array(SPARE_ROWS * N).fill(7));
      }
    });

    it(`matmulNN with ${dtype} weights gives its twin's numbers at odd and round sizes, and leaves rows beyond M alone`, async () => {
      for (const [M, N, K] of SIZES) {
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

  it('matmulTN gives its twin\'s numbers, accumulating by default', async () => {
    for (const [P, Q, M] of SIZES) {
      const p = normal(M * P, 1);
      const q = normal(M * Q, 2);
      const before = normal(P * Q, 3);
      const out = kit.tensor('out', before);
      await kit.run(matmulTN(kit.engine, { label: 'tn', rows: TOKENS, p: kit.tensor('p', p), pCols: P, q: kit.tensor('q', q), qCols: Q, out, alpha: 2 }), { tokens: M });
      expect(await kit.read(out), `${P} x ${Q} over ${M}`).toBeAllclose(twin.matmulTN(p, q, M, P, Q, { alpha: 2, add: before }), 'f32');
    }
  });
});
