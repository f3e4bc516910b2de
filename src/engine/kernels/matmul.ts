/**
 * The three matrix products of LoRA training: X W^T, dY W and A^T B. Owns their launch and the choice of kernel by shape class;
 * refuses to know which layer they serve. Weights keep their storage type; a weight in several parts gives one op a part.
 */
import columnsBy4 from '../../../shaders/lib/columns_by4.wgsl?raw';
import columnsOdd from '../../../shaders/lib/columns_odd.wgsl?raw';
import leftBy4 from '../../../shaders/lib/left_by4.wgsl?raw';
import leftOdd from '../../../shaders/lib/left_odd.wgsl?raw';
import outBy4 from '../../../shaders/lib/out_by4.wgsl?raw';
import outOdd from '../../../shaders/lib/out_odd.wgsl?raw';
import productNN from '../../../shaders/lib/product_nn.wgsl?raw';
import productNT from '../../../shaders/lib/product_nt.wgsl?raw';
import productTN from '../../../shaders/lib/product_tn.wgsl?raw';
import weightBy4F32 from '../../../shaders/lib/weight_by4_f32.wgsl?raw';
import weightBy4Packed from '../../../shaders/lib/weight_by4_packed.wgsl?raw';
import weightBy4Quantised from '../../../shaders/lib/weight_by4_quantised.wgsl?raw';
import weightOdd from '../../../shaders/lib/weight_odd.wgsl?raw';
import nnDirect from '../../../shaders/matmul_nn.wgsl?raw';
import nnSubgroup from '../../../shaders/matmul_nn_subgroup.wgsl?raw';
import nnTiled from '../../../shaders/matmul_nn_tiled.wgsl?raw';
import ntDirect from '../../../shaders/matmul_nt.wgsl?raw';
import ntRow from '../../../shaders/matmul_nt_row.wgsl?raw';
import ntSubgroup from '../../../shaders/matmul_nt_subgroup.wgsl?raw';
import ntTiled from '../../../shaders/matmul_nt_tiled.wgsl?raw';
import tnDirect from '../../../shaders/matmul_tn.wgsl?raw';
import tnSubgroup from '../../../shaders/matmul_tn_subgroup.wgsl?raw';
import tnTiled from '../../../shaders/matmul_tn_tiled.wgsl?raw';
import sumParts from '../../../shaders/sum_parts.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, rowCount, rowParams, type Choice, type Op, type Rows } from '../kernel.ts';
import { isBy4, segmentParams, type Segments, type Slice } from '../segments.ts';
import { isQuantised, type StorageType, type Tensor, type Weight } from '../tensor.ts';
import { availableVariants, chosenVariant, FEW_ROWS, keyOf, SKINNY, type MatmulVariant, type ShapeClass } from '../variants.ts';
import {
  directLaunch, isTiled, lanesOf, over, rowLaunch, segmentLibrary, sharedBy, spec, SPLITS, tiledLaunch, tileOf, tilingOf, withBranch, withSums, type Launch, type RowExtras, type Side,
} from './matmulLaunch.ts';
import { isMatrix, matrixLaunch } from './matmulMatrix.ts';
import { rmsNorm } from './rmsNorm.ts';

export { SPLITS };

/** Loaders of the weight: four elements at a time where rows are multiples of 4. */
function weightLoader(dtype: StorageType, by4: boolean): { library: string[]; constants: Record<string, number>; weight?: StorageType } {
  if (!by4) return { library: [weightOdd], constants: {}, weight: dtype };
  if (isQuantised(dtype)) return { library: [weightBy4Quantised], constants: {}, weight: dtype };
  if (dtype === 'f32') return { library: [weightBy4F32], constants: {} };
  return { library: [weightBy4Packed], constants: { WEIGHT_TYPE: dtype === 'bf16' ? 1 : 2 } };
}

/** How a product writes: tiles four elements at a time where every row and part of one is a multiple of 4. */
const outLibrary = (variant: MatmulVariant, ...columns: number[]): string =>
  (tilingOf(variant) || isMatrix(variant)) && columns.every((n) => n % 4 === 0) ? outBy4 : outOdd;

/** The most rows these tensors and this kind of rows allow: what a product is classed by, whatever a batch holds. */
function mostRows(rows: Rows, ...sides: [tensor: Tensor, cols: number, rowStart: number | undefined][]): number {
  const capacity = sides.map(([tensor, cols, rowStart]) => Math.floor(tensor.byteLength / 4 / cols) - (rowStart ?? 0));
  return Math.min(rows.kind === 'tokens' ? Infinity : rows.count, ...capacity);
}

/** What tuning may choose for a product, and how to make it again with another choice. */
const choiceOf = (e: Engine, shape: ShapeClass, key: string, usual: MatmulVariant, inputs: Tensor[], output: Tensor, remake: Choice['remake'], parts?: Tensor): Choice =>
  ({ key, candidates: availableVariants(e, shape).filter((v) => v !== 'split' || parts), usual, inputs, output, remake });

/** The scratch of a split sum of `size` elements, or null where there is none or it is not asked for. */
const partsFor = (variant: MatmulVariant, parts: Tensor | undefined, size: number): Tensor | null =>
  variant === 'split' && parts ? { ...parts, byteLength: SPLITS * size * 4 } : null;

/** 'split' needs scratch. */
const splitOr = (variant: MatmulVariant, parts: Tensor | undefined): MatmulVariant => (variant === 'split' && !parts ? 'tiled' : variant);

/** A matrix that is the sum of `count` others, `size` elements from one to the next. */
export interface InParts {
  tensor: Tensor;
  size: number;
  count: number;
}

/** out[start + r, c] (+)= the sum of its parts. */
function sumOfParts(e: Engine, label: string, rows: Rows, cols: number, { tensor, size, count }: InParts, out: Tensor, start: number, accumulate: boolean, when: Op['grid']): Op {
  return {
    label: `${label} parts`,
    ...compileKernel(e, { name: 'sum_parts', body: sumParts, constants: { ACCUMULATE: accumulate }, access: ['read', 'write'] }),
    params: [...rowParams(rows), cols, size, count, start],
    tensors: [tensor, out],
    grid: when,
    flops: (dims) => count * rowCount(rows, dims) * cols,
  };
}

const partLabel = (label: string, w: Weight, i: number): string => (w.parts.length > 1 ? `${label} part ${i}` : label);

/**
 * A product of low rank added to another: LoRA's branch. Tiled kernels append it to their sum, in the same accumulators, and the row kernel adds it; for the
 * others it is an op of its own that accumulates.
 */
export interface LowRank {
  /** [M, r]; NT with segments: [M, segments · r], each its own. */
  left: Tensor;
  /** NT: [N, r]. NN: [r, K]. In f32. */
  right: Weight;
  /** Default 1. */
  scale?: number;
  /** NT without segments or norm: left as it was begun by what made x. The row kernel adds the parts up while it reads them; otherwise they are added up in `left` first. */
  parts?: InParts;
}

/** Where a kernel that makes x begins LoRA's x Aᵀ. */
export interface Begun {
  /** [r, K], in f32. */
  a: Weight;
  parts: Omit<InParts, 'count'>;
}

/** The part of a low-rank weight, where a kernel takes it along. */
const takenAlong = (variant: MatmulVariant, branch: LowRank | undefined): Tensor | null =>
  branch && (isTiled(variant) || isMatrix(variant) || variant === 'row') && branch.right.parts.length === 1 && branch.right.dtype === 'f32' ? branch.right.parts[0]!.tensor : null;

export interface MatmulNT {
  label: string;
  rows: Rows;
  /** [M, K] */
  x: Tensor;
  /** [N, K]; of one part where y has segments. */
  w: Weight;
  /** [M, N] */
  y: Tensor;
  /** y's columns are those of several matrices end to end in it, and so are those of a tensor that is added. Not together with row starts. */
  segments?: Segments;
  /** x is [M, segments · K]: each segment is the product of its own columns of x. */
  sliced?: boolean;
  /** y is columns of a matrix that has more. Not together with a bias, a branch or segments. */
  slice?: Slice;
  /** To be served as a product with few columns. Default: up to SKINNY. */
  skinny?: boolean;
  alpha?: number;
  /** 'accumulate': into y. A tensor of y's shape, another buffer than y: y = ... + it. */
  add?: 'accumulate' | Tensor;
  /** f32 [N] */
  bias?: Tensor;
  /** Added before the bias; not together with row starts. */
  branch?: LowRank;
  /** The product is that of x's RMSNorm, which the row kernel folds in; others write it to `out` [M, K] first. Not together with row starts. */
  norm?: { gain: Tensor; eps: number; out: Tensor };
  /** out [M, R] = x w^T with another weight [R, K] in f32 of one part: further columns for the row kernel, a product by itself for others. Not together with a branch. */
  beside?: { w: Weight; out: Tensor };
  /** First row of x and of y. */
  xRowStart?: number;
  yRowStart?: number;
}

function launchNT(e: Engine, shape: ShapeClass, variant: MatmulVariant, { rows: N, dtype }: Weight, extras: RowExtras): Launch {
  const skinny = shape === 'matmulNT.skinny';
  if (isTiled(variant)) return tiledLaunch(withBranch(ntTiled, extras.branch), tileOf(e, variant, skinny), { BRANCH: extras.branch });
  const LANES = lanesOf(e);
  if (isMatrix(variant)) return matrixLaunch(e, variant, withBranch(ntTiled, extras.branch), dtype, extras.branch);
  if (variant === 'row') return rowLaunch(ntRow, extras);
  if (variant === 'direct') return directLaunch(ntDirect);
  const { TALL, height } = sharedBy(skinny ? N : shape === 'matmulNT.row' ? FEW_ROWS : Infinity);
  return {
    body: withSums(ntSubgroup),
    constants: { LANES, TALL, LANES_ALONG_M: skinny },
    grid: skinny ? (rows, columns) => [over(rows, 4 * LANES), over(columns, height), 1] : (rows, columns) => [over(rows, height), over(columns, 4 * LANES), 1],
  };
}

/** Which kernel serves an NT product. */
function chosenNT(e: Engine, o: MatmulNT): { shape: ShapeClass; key: string; variant: MatmulVariant } {
  const { w, rows, segments, sliced = false } = o;
  const most = mostRows(rows, [o.x, w.cols * (sliced ? segments!.columns.length : 1), o.xRowStart], [o.y, o.slice?.of ?? w.rows, o.yRowStart]);
  const shape: ShapeClass = most <= FEW_ROWS ? 'matmulNT.row' : o.skinny ?? w.rows <= SKINNY ? 'matmulNT.skinny' : 'matmulNT.wide';
  const key = keyOf(shape, most, w.rows, w.cols, w.dtype, segments?.columns.length);
  return { shape, key, variant: chosenVariant(e, shape, key) };
}

/** Whether the row kernel serves an NT product. */
export const isRowProduct = (e: Engine, o: MatmulNT): boolean => chosenNT(e, o).variant === 'row';

/** y[M, N] = alpha * x[M, K] w[N, K]^T + bias[N] (+ y or another tensor). */
export function matmulNT(e: Engine, o: MatmulNT): Op[] {
  const { w, rows, segments, sliced = false } = o;
  const K = w.cols;
  const { shape, key, variant } = chosenNT(e, o);
  const { branch, norm } = o;
  if (norm && variant !== 'row') {
    const normed = rmsNorm(e, { label: `${o.label} norm`, rows, cols: K, x: o.x, gain: norm.gain, out: norm.out, eps: norm.eps });
    const [product, ...rest] = matmulNT(e, { ...o, x: norm.out, norm: undefined });
    const choice = choiceOf(e, shape, key, variant, [o.x], o.y, (view) => matmulNT(view, o));
    return [{ ...normed[0]!, choice }, ...normed.slice(1), { ...product!, choice: undefined }, ...rest];
  }
  const along = takenAlong(variant, branch);
  const free = norm ? 8 : 7;
  const parts = along && variant === 'row' ? branch!.parts : undefined;
  const beside = variant === 'row' && !branch && w.parts.length === 1 ? o.beside : undefined;
  const besideRows = beside?.w.rows ?? 0;
  const launch = launchNT(e, shape, variant, w, { norm: norm !== undefined, branch: along ? free : 0, parts: parts !== undefined, beside: beside ? free : 0, besideRows });
  const loader = weightLoader(w.dtype, K % 4 === 0);
  const kernel = compileKernel(e, {
    ...spec('matmul_nt', variant, launch, {
      library: [
        K % 4 === 0 ? leftBy4 : leftOdd, ...loader.library, segmentLibrary(segments), productNT,
        outLibrary(variant, ...(segments?.columns ?? []), o.slice?.of ?? 0, o.slice?.from ?? 0, ...w.parts.flatMap((part) => [part.rows, part.rowStart])),
      ],
      constants: { ...loader.constants, SLICED: sliced, HAS_BIAS: o.bias !== undefined, ADD: o.add === undefined ? 0 : o.add === 'accumulate' ? 1 : 2 },
      access: ['read', 'read', 'read', 'read', 'write', ...(norm ? ['read'] as const : []), ...(along ? ['read', 'read'] as const : []), ...(beside ? ['read', 'write'] as const : [])],
    }),
    weight: loader.weight,
  });
  const alpha = o.alpha ?? 1;
  const r = branch?.right.cols ?? 0;
  const ops = w.parts.map((part, i): Op => ({
    label: partLabel(o.label, w, i),
    pipeline: kernel.pipeline,
    layout: kernel.layout,
    params: [
      ...rowParams(rows), part.rows, K, o.slice?.of ?? w.rows, (o.slice?.from ?? 0) + part.rowStart, o.xRowStart ?? 0, o.yRowStart ?? 0, f32(alpha), r, f32((branch?.scale ?? 1) / alpha), f32(norm?.eps ?? 0),
      ...segmentParams(segments), parts?.count ?? 0, parts?.size ?? 0, besideRows,
    ],
    // What is not given is bound to x, which is only read too.
    tensors: [o.x, part.tensor, o.bias ?? o.x, o.add === undefined || o.add === 'accumulate' ? o.x : o.add, o.y, ...(norm ? [norm.gain] : []), ...(along ? [parts?.tensor ?? branch!.left, along] : []), ...(beside ? [beside.w.parts[0]!.tensor, beside.out] : [])],
    grid: (dims) => launch.grid(rowCount(rows, dims), segments?.columns ?? part.rows),
    flops: (dims) => 2 * rowCount(rows, dims) * (part.rows * (K + (along ? r : 0)) + besideRows * K),
    ...(i === 0 ? { choice: choiceOf(e, shape, key, variant, [o.x], o.y, (view) => matmulNT(view, o)) } : {}),
  }));
  if (o.beside && !beside) ops.push(...matmulNT(e, { label: `${o.label} beside`, rows, x: o.x, w: o.beside.w, y: o.beside.out, skinny: true, norm }));
  if (branch?.parts && !parts) ops.unshift(sumOfParts(e, `${o.label} lora A`, rows, r, branch.parts, branch.left, 0, false, (dims) => linearGrid(rowCount(rows, dims) * r, 64)));
  if (!branch || along) return ops;
  return [...ops, ...matmulNT(e, { label: `${o.label} lora B`, rows, x: branch.left, w: branch.right, y: o.y, alpha: branch.scale, add: 'accumulate', segments, sliced: segments !== undefined })];
}

export interface MatmulNN {
  label: string;
  rows: Rows;
  /** [M, N] */
  dy: Tensor;
  /** [N, K]; of one part where dy has segments. */
  w: Weight;
  /** [M, K] */
  dx: Tensor;
  /** dy's columns are those of several matrices end to end in it. Not together with row starts. */
  segments?: Segments;
  /** dy is columns of a matrix that has more. Not together with segments. */
  slice?: Slice;
  /** dx is [M, segments · K]: K columns for each segment, the sum over its own columns alone. Without a branch. */
  apart?: boolean;
  alpha?: number;
  /** Default false: dx is overwritten. */
  accumulate?: boolean;
  /** Not together with row starts. */
  branch?: LowRank;
  /** Scratch of at least SPLITS * M * K elements: without it the sum is not split. */
  parts?: Tensor;
  dyRowStart?: number;
  dxRowStart?: number;
}

function launchNN(e: Engine, shape: ShapeClass, variant: MatmulVariant, dtype: StorageType, branch: number): Launch {
  if (isMatrix(variant)) return matrixLaunch(e, variant, withBranch(nnTiled, branch), dtype, branch);
  const tiling = tilingOf(variant);
  if (tiling) return tiledLaunch(withBranch(nnTiled, branch), tileOf(e, tiling.tiles, shape === 'matmulNN.skinny'), { BRANCH: branch, SPLITS: tiling.splits }, tiling.splits);
  const LANES = lanesOf(e);
  if (variant === 'direct') return directLaunch(nnDirect);
  return { body: withSums(nnSubgroup), constants: { LANES }, grid: (rows, columns) => [over(rows, 16), over(columns, 4 * LANES), 1] };
}

/** dx[M, K] (+)= alpha * dy[M, N] w[N, K]. */
export function matmulNN(e: Engine, o: MatmulNN): Op[] {
  const { w, rows, segments, apart = false } = o;
  const K = w.cols;
  const columns: Side = apart ? segments!.columns.map(() => K) : K;
  const shape: ShapeClass = K <= SKINNY ? 'matmulNN.skinny' : 'matmulNN.wide';
  const most = mostRows(rows, [o.dy, o.slice?.of ?? w.rows, o.dyRowStart], [o.dx, K * (apart ? segments!.columns.length : 1), o.dxRowStart]);
  const key = keyOf(shape, most, w.rows, K, w.dtype, segments?.columns.length);
  const variant = splitOr(chosenVariant(e, shape, key), o.parts);
  const split = partsFor(variant, o.parts, most * K);
  const { branch } = o;
  const loader = weightLoader(w.dtype, K % 4 === 0);
  const leftIsBy4 = segments ? segments.columns.every((n) => n % 4 === 0) : isBy4(o.slice) && w.parts.every((part) => part.rowStart % 4 === 0 && part.rows % 4 === 0);
  const alpha = o.alpha ?? 1;
  const r = branch?.right.rows ?? 0;
  const ops = w.parts.flatMap((part, i): Op[] => {
    const accumulate = i > 0 || (o.accumulate ?? false);
    // With the first part alone: the others add to what it wrote.
    const along = i === 0 ? takenAlong(variant, branch) : null;
    const launch = launchNN(e, shape, variant, w.dtype, along ? 5 : 0);
    const kernel = compileKernel(e, {
      ...spec('matmul_nn', variant, launch, {
        library: [leftIsBy4 ? leftBy4 : leftOdd, ...loader.library, segmentLibrary(segments), productNN, outLibrary(variant, K)],
        constants: { ...loader.constants, APART: apart, ACCUMULATE: accumulate && !split },
        access: ['read', 'read', 'write', ...(along ? ['read', 'read'] as const : [])],
      }),
      weight: loader.weight,
    });
    const label = partLabel(o.label, w, i);
    const product: Op = {
      label,
      pipeline: kernel.pipeline,
      layout: kernel.layout,
      params: [
        ...rowParams(rows), part.rows, K, o.slice?.of ?? w.rows, (o.slice?.from ?? 0) + part.rowStart, o.dyRowStart ?? 0, split ? 0 : o.dxRowStart ?? 0, f32(alpha), most * K, r, f32((branch?.scale ?? 1) / alpha),
        ...segmentParams(segments),
      ],
      tensors: [o.dy, part.tensor, split ?? o.dx, ...(along ? [branch!.left, along] : [])],
      grid: (dims) => launch.grid(rowCount(rows, dims), columns),
      flops: (dims) => 2 * rowCount(rows, dims) * (part.rows + (along ? r : 0)) * K,
      ...(i === 0 ? { choice: choiceOf(e, shape, key, variant, [o.dy], o.dx, (view) => matmulNN(view, o), o.parts) } : {}),
    };
    if (!split) return [product];
    return [product, sumOfParts(e, label, rows, K, { tensor: split, size: most * K, count: SPLITS }, o.dx, o.dxRowStart ?? 0, accumulate, (dims) => linearGrid(rowCount(rows, dims) * K, 64))];
  });
  if (!branch || takenAlong(variant, branch)) return ops;
  return [...ops, ...matmulNN(e, { label: `${o.label} lora`, rows, dy: branch.left, w: branch.right, dx: o.dx, alpha: branch.scale, accumulate: true })];
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
  /** p is columns of a matrix that has more. Not together with segments. */
  slice?: Slice;
  /** p's columns are those of several matrices end to end in it, and q is [M, segments · Q]: rows of out are the product with their own segment's. */
  segments?: Segments;
  alpha?: number;
  /** Default true. */
  accumulate?: boolean;
  /** Scratch of at least SPLITS * P * Q elements: without it the sum is not split. */
  parts?: Tensor;
}

function launchTN(e: Engine, variant: MatmulVariant, P: Side, Q: number, ownP: boolean): Launch {
  const tiling = tilingOf(variant);
  if (tiling) return tiledLaunch(withBranch(tnTiled, 0), tileOf(e, tiling.tiles, true), { SPLITS: tiling.splits }, tiling.splits);
  if (variant === 'direct') return directLaunch(tnDirect);
  const LANES = lanesOf(e);
  const [wide, narrow] = ownP ? [P, Q] : [Q, over(P, 1)];
  const { TALL, height } = sharedBy(over(narrow, 1));
  return { body: withSums(tnSubgroup), constants: { LANES, TALL, OWN_P: ownP }, grid: () => [over(wide, 4 * LANES), over(narrow, height), 1] };
}

/** out[P, Q] (+)= alpha * sum_m p[m, P] q[m, Q]; with no rows nothing is written. */
export function matmulTN(e: Engine, o: MatmulTN): Op[] {
  const { rows, pCols: P, qCols: Q, parts, segments } = o;
  const shape: ShapeClass = 'matmulTN.skinny';
  const key = keyOf(shape, mostRows(rows, [o.p, o.slice?.of ?? P, 0], [o.q, Q * (segments?.columns.length ?? 1), 0]), P, Q, 'f32', segments?.columns.length);
  const variant = splitOr(chosenVariant(e, shape, key), parts);
  const split = partsFor(variant, parts, P * Q);
  const launch = launchTN(e, variant, segments?.columns ?? P, Q, segments !== undefined || P > Q);
  const accumulate = o.accumulate ?? true;
  const by4 = tilingOf(variant) !== null && Q % 4 === 0 && isBy4(o.slice) && (segments?.columns ?? [P]).every((n) => n % 4 === 0);
  const product: Op = {
    label: o.label,
    ...compileKernel(e, spec('matmul_tn', variant, launch, {
      library: [segmentLibrary(segments), productTN, outLibrary(variant, Q), by4 ? columnsBy4 : columnsOdd],
      constants: { ACCUMULATE: accumulate && !split },
      access: ['read', 'read', 'write'],
    })),
    params: [...rowParams(rows), P, Q, f32(o.alpha ?? 1), ...segmentParams(segments), o.slice?.of ?? P, o.slice?.from ?? 0],
    tensors: [o.p, o.q, split ?? o.out],
    grid: (dims) => (rowCount(rows, dims) === 0 ? [0, 0, 0] : launch.grid(segments?.columns ?? P, Q)),
    flops: (dims) => 2 * rowCount(rows, dims) * P * Q,
    choice: choiceOf(e, shape, key, variant, [o.p, o.q], o.out, (view) => matmulTN(view, o), parts),
  };
  if (!split) return [product];
  const whole: Rows = { kind: 'fixed', count: P };
  return [product, sumOfParts(e, o.label, whole, Q, { tensor: split, size: P * Q, count: SPLITS }, o.out, 0, accumulate, (dims) => (rowCount(rows, dims) === 0 ? [0, 0, 0] : linearGrid(P * Q, 64)))];
}
