/** f64 twins of matmul_nt, matmul_nn and matmul_tn, row-major. */

/** y[M, N] = alpha * x[M, K] w[N, K]^T + bias[N] + add[M, N]. */
export function matmulNT(
  x: ArrayLike<number>, w: ArrayLike<number>, M: number, N: number, K: number,
  { alpha = 1, bias, add }: { alpha?: number; bias?: ArrayLike<number>; add?: ArrayLike<number> } = {},
): Float64Array {
  const y = new Float64Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x[m * K + k]! * w[n * K + k]!;
      y[m * N + n] = alpha * sum + (bias?.[n] ?? 0) + (add?.[m * N + n] ?? 0);
    }
  }
  return y;
}

/** dx[M, K] = alpha * dy[M, N] w[N, K] + add[M, K]: the gradient of matmulNT's y with respect to x. */
export function matmulNN(
  dy: ArrayLike<number>, w: ArrayLike<number>, M: number, N: number, K: number,
  { alpha = 1, add }: { alpha?: number; add?: ArrayLike<number> } = {},
): Float64Array {
  const dx = new Float64Array(M * K);
  for (let m = 0; m < M; m++) {
    for (let k = 0; k < K; k++) {
      let sum = 0;
      for (let n = 0; n < N; n++) sum += dy[m * N + n]! * w[n * K + k]!;
      dx[m * K + k] = alpha * sum + (add?.[m * K + k] ?? 0);
    }
  }
  return dx;
}

/** out[P, Q] = alpha * a[M, P]^T b[M, Q] + add[P, Q]: with a = dy, b = x the gradient of matmulNT's y with respect to w. */
export function matmulTN(
  a: ArrayLike<number>, b: ArrayLike<number>, M: number, P: number, Q: number,
  { alpha = 1, add }: { alpha?: number; add?: ArrayLike<number> } = {},
): Float64Array {
  const out = new Float64Array(P * Q);
  for (let p = 0; p < P; p++) {
    for (let q = 0; q < Q; q++) {
      let sum = 0;
      for (let m = 0; m < M; m++) sum += a[m * P + p]! * b[m * Q + q]!;
      out[p * Q + q] = alpha * sum + (add?.[p * Q + q] ?? 0);
    }
  }
  return out;
}
