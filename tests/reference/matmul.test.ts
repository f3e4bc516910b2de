import { describe, expect, it } from 'vitest';
import { normal } from '../kernels/run.ts';
import { dot, finiteDifference } from './finiteDifference.ts';
import { matmulNN, matmulNT, matmulTN } from './matmul.ts';
import '../setup/allclose.ts';

describe('the matrix product twins', () => {
  const [M, N, K] = [3, 4, 5];
  const x = normal(M * K, 1);
  const w = normal(N * K, 2);
  const dy = normal(M * N, 3);
  const loss = (): number => dot(matmulNT(x, w, M, N, K, { alpha: 0.7, bias: [1, 2, 3, 4] }), dy);

  it('matmulNT multiplies rows by rows', () => {
    expect(matmulNT([1, 2, 3, 4], [5, 6, 7, 8, 9, 10], 2, 3, 2, { alpha: 2, bias: [1, 0, 0], add: [0, 0, 0, 0, 0, 1] })).toBeAllclose([35, 46, 58, 79, 106, 135], 'f64');
  });

  it('matmulNN is the gradient of matmulNT for x', () => {
    expect(matmulNN(dy, w, M, N, K, { alpha: 0.7 })).toBeAllclose(finiteDifference(loss, x), { relative: 1e-8, absolute: 1e-9 });
  });

  it('matmulTN is the gradient of matmulNT for w', () => {
    expect(matmulTN(dy, x, M, N, K, { alpha: 0.7 })).toBeAllclose(finiteDifference(loss, w), { relative: 1e-8, absolute: 1e-9 });
  });
});
