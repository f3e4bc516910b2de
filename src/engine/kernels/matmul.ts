/**
 * The three matrix products of LoRA training: X W^T, dY W and A^T B. Owns their launch; refuses to know which layer they serve.
 * Weights keep their storage type; a weight in several parts gives one op a part.
 */
import matmulNNBody from '../../../shaders/matmul_nn.wgsl?raw';
import matmulNTBody from '../../../shaders/matmul_nt.wgsl?raw';
import matmulTNBody from '../../../shaders/matmul_tn.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, rowCount, rowParams, type Op, type Rows, type StepDims } from '../kernel.ts';
import type { Tensor, Weight } from '../tensor.ts';

const TILE = 4;
const THREADS = 32;

const tiles = (n: number): number => Math.ceil(n / TILE);
const partLabel = (label: string, w: Weight, i: number): string => (w.parts.length > 1 ? `${label} part ${i}` : label);

export interface MatmulNT {
  label: string;
  rows: Rows;
  /** [M, K] */
  x: Tensor;
  /** [N, K] */
  w: Weight;
  /** [M, N] */
  y: Tensor;
  alpha?: number;
  /** 'accumulate': into y. A tensor of y's shape, another buffer than y: y = ... + it. */
  add?: 'accumulate' | Tensor;
  /** f32 [N] */
  bias?: Tensor;
  /** First row of x and of y. */
  xRowStart?: number;
  yRowStart?: number;
}

/** y[M, N] = alpha * x[M, K] w[N, K]^T + bias[N] (+ y or another tensor). */
export function matmulNT(e: Engine, o: MatmulNT): Op[] {
  const { w, rows } = o;
  const K = w.cols;
  return w.parts.map((part, i): Op => ({
    label: partLabel(o.label, w, i),
    ...compileKernel(e, {
      name: 'matmul_nt',
      body: matmulNTBody,
      constants: { K_BY_4: K % 4 === 0, HAS_BIAS: o.bias !== undefined, ADD: o.add === undefined ? 0 : o.add === 'accumulate' ? 1 : 2 },
      weight: w.dtype,
      access: ['read', 'read', 'read', 'read', 'write'],
    }),
    params: [...rowParams(rows), part.rows, K, w.rows, part.rowStart, o.xRowStart ?? 0, o.yRowStart ?? 0, f32(o.alpha ?? 1)],
    // What is not given is bound to x, which is only read too.
    tensors: [o.x, part.tensor, o.bias ?? o.x, o.add === undefined || o.add === 'accumulate' ? o.x : o.add, o.y],
    grid: (dims: StepDims) => linearGrid(tiles(rowCount(rows, dims)) * tiles(part.rows), THREADS),
    flops: (dims: StepDims) => 2 * rowCount(rows, dims) * part.rows * K,
  }));
}

export interface MatmulNN {
  label: string;
  rows: Rows;
  /** [M, N] */
  dy: Tensor;
  /** [N, K] */
  w: Weight;
  /** [M, K] */
  dx: Tensor;
  alpha?: number;
  /** Default false: dx is overwritten. */
  accumulate?: boolean;
  dyRowStart?: number;
  dxRowStart?: number;
}

/** dx[M, K] (+)= alpha * dy[M, N] w[N, K]. */
export function matmulNN(e: Engine, o: MatmulNN): Op[] {
  const { w, rows } = o;
  const K = w.cols;
  return w.parts.map((part, i): Op => ({
    label: partLabel(o.label, w, i),
    ...compileKernel(e, {
      name: 'matmul_nn',
      body: matmulNNBody,
      constants: { K_BY_4: K % 4 === 0, ACCUMULATE: i > 0 || (o.accumulate ?? false) },
      weight: w.dtype,
      access: ['read', 'read', 'write'],
    }),
    params: [...rowParams(rows), part.rows, K, w.rows, part.rowStart, o.dyRowStart ?? 0, o.dxRowStart ?? 0, f32(o.alpha ?? 1)],
    tensors: [o.dy, part.tensor, o.dx],
    grid: (dims: StepDims) => linearGrid(tiles(rowCount(rows, dims)) * tiles(K), THREADS),
    flops: (dims: StepDims) => 2 * rowCount(rows, dims) * part.rows * K,
  }));
}

export interface MatmulTN {
  label: string;
  rows: Rows;
  /** [M, P] */
  p: Tensor;
  pCols: number;
  /** [M, Q] */
  q: Tensor;
  qCols: number;
  /** [P, Q] */
  out: Tensor;
  alpha?: number;
  /** Default true. */
  accumulate?: boolean;
}

/** out[P, Q] (+)= alpha * sum_m p[m, P] q[m, Q]; with no rows nothing is written. */
export function matmulTN(e: Engine, o: MatmulTN): Op[] {
  const { rows, pCols: P, qCols: Q } = o;
  return [{
    label: o.label,
    ...compileKernel(e, {
      name: 'matmul_tn',
      body: matmulTNBody,
      constants: { ACCUMULATE: o.accumulate ?? true },
      access: ['read', 'read', 'write'],
    }),
    params: [...rowParams(rows), P, Q, f32(o.alpha ?? 1)],
    tensors: [o.p, o.q, o.out],
    grid: (dims: StepDims) => (rowCount(rows, dims) === 0 ? [0, 0, 0] : linearGrid(tiles(P) * tiles(Q), THREADS)),
    flops: (dims: StepDims) => 2 * rowCount(rows, dims) * P * Q,
  }];
}
