/**
 * Owns projections that read the same input as one product, forward and backward: when they can be, and the dispatches. Refuses to know
 * the rest of a layer.
 *
 * Weights W lie one below the other, outputs [M, N_j] end to end; with LoRA, A [g r, C] and B [N_1 + .. + N_g, r] too, and x Aᵀ and its gradient are
 * [M, g r], each projection's r columns beside the others'.
 */
import type { TargetModule } from '../config/recipe.ts';
import type { Engine } from '../engine/device.ts';
import { TOKENS, type Op } from '../engine/kernel.ts';
import { isRowProduct, matmulNN, matmulNT, matmulTN, type LowRank } from '../engine/kernels/matmul.ts';
import type { JoinedTensor, Slice } from '../engine/segments.ts';
import type { Tensor, Weight } from '../engine/tensor.ts';
import type { LoraEntry } from './lora.ts';

/** Projections of the same input. */
export const GROUPS = {
  qkv: ['q_proj', 'k_proj', 'v_proj'],
  gateUp: ['gate_proj', 'up_proj'],
} as const satisfies Record<string, readonly TargetModule[]>;
export type GroupName = keyof typeof GROUPS;
export const GROUP_NAMES = Object.keys(GROUPS) as GroupName[];

/** LoRA of a whole group, all adapted alike. */
export interface LoraGroup {
  /** [g r, C] */
  a: Weight;
  /** [N_1 + .. + N_g, r] */
  b: Weight;
  dA: Tensor;
  dB: Tensor;
  r: number;
  scaling: number;
  /** Of each projection. */
  entries: readonly LoraEntry[];
}

/** What stands between x and A: dropout, each projection's by its own mask. */
export interface Dropped {
  /** What A reads in place of x. */
  input: (entry: LoraEntry) => [input: Tensor, ops: Op[]];
  /** dx += dropout of what the branch gives, which is [M, C] in `branch` first. */
  back: (entry: LoraEntry) => Op[];
  branch: Tensor | null;
}

/** One product for a group, with LoRA's branch unless nothing of it is adapted. */
export interface JoinedProjection {
  label: string;
  weight: Weight;
  bias: Tensor | null;
  lora: LoraGroup | null;
}

const labelOf = (of: Pick<JoinedProjection, 'label'>, part: string): string => `${of.label} lora ${part}`;

/** A projection's columns of x Aᵀ. */
const sliceOf = (lora: LoraGroup, i: number): Slice => ({ from: i * lora.r, of: lora.a.rows });

/** y = x Wᵀ + scaling · (x Aᵀ) Bᵀ, keeping x Aᵀ; A reads what `dropped` makes of x. */
export function joinedForward(e: Engine, of: JoinedProjection, x: Tensor, y: JoinedTensor, xa: Tensor | null, dropped: Dropped | null): Op[] {
  const { label, weight, bias, lora } = of;
  const product = matmulNT(e, { label, rows: TOKENS, x, w: weight, y: y.whole, segments: y.segments, bias: bias ?? undefined, branch: branchOf(lora, xa) });
  if (!lora) return product;
  if (!dropped) return [...matmulNT(e, { label: labelOf(of, 'A'), rows: TOKENS, x, w: lora.a, y: xa!, skinny: true }), ...product];
  const down = lora.entries.flatMap((entry, i) => {
    const [input, ops] = dropped.input(entry);
    return [...ops, ...matmulNT(e, { label: labelOf(of, `A ${i}`), rows: TOKENS, x: input, w: entry.a, y: xa!, slice: sliceOf(lora, i) })];
  });
  return [...down, ...product];
}

/**
 * The same of the RMSNorm of x, which kernels for few rows fold in; where they do, `norm.out` is not written.
 * @param branch left: for whoever reads y to add, who needs x Aᵀ alone; one dispatch where `isForFew`
 */
export function joinedNormed(
  e: Engine, of: JoinedProjection, x: Tensor, norm: { gain: Tensor; eps: number; out: Tensor }, y: JoinedTensor, xa: Tensor | null, branch: 'added' | 'left',
): Op[] {
  const { label, weight, bias, lora } = of;
  const alone = { label, rows: TOKENS, w: weight, y: y.whole, segments: y.segments, bias: bias ?? undefined };
  if (lora && branch === 'left') return matmulNT(e, { ...alone, x, norm, beside: { w: lora.a, out: xa! } });
  const product = { ...alone, branch: branchOf(lora, xa) };
  const down = lora ? matmulNT(e, { label: labelOf(of, 'A'), rows: TOKENS, x, w: lora.a, y: xa!, skinny: true, norm }) : [];
  // One that was not folded in is there for both.
  return [...down, ...matmulNT(e, down.length > 1 ? { ...product, x: norm.out } : { ...product, x, norm })];
}

/** Whether the kernel for few rows serves a group's product. */
export const isForFew = (e: Engine, { label, weight }: JoinedProjection, x: Tensor, y: JoinedTensor): boolean =>
  isRowProduct(e, { label, rows: TOKENS, x, w: weight, y: y.whole, segments: y.segments });

const branchOf = (lora: LoraGroup | null, xa: Tensor | null) => (lora ? { left: xa!, right: lora.b, scale: lora.scaling } : undefined);

/** dB += s dyᵀ (x Aᵀ), dxa = s dy B, dA += dxaᵀ x, each projection's with its own; d x = dy W + dxa A unless it is not wanted. */
export function joinedBackward(
  e: Engine, of: JoinedProjection, x: Tensor, dy: JoinedTensor, xa: Tensor | null, dx: Tensor | null, scratch: { dxa: Tensor; parts: Tensor }, dropped: Dropped | null,
): Op[] {
  const { label, weight, lora } = of;
  const { whole, segments } = dy;
  const { dxa, parts } = scratch;
  const through = (branch?: LowRank): Op[] => (dx ? matmulNN(e, { label: `${label} dX`, rows: TOKENS, dy: whole, segments, w: weight, dx, branch }) : []);
  if (!lora) return through();
  const gradients = [
    ...matmulTN(e, { label: labelOf(of, 'dB'), rows: TOKENS, p: whole, pCols: lora.b.rows, segments, q: xa!, qCols: lora.r, out: lora.dB, alpha: lora.scaling, parts }),
    ...matmulNN(e, { label: labelOf(of, 'dxa'), rows: TOKENS, dy: whole, segments, apart: true, w: lora.b, dx: dxa, alpha: lora.scaling }),
  ];
  if (!dropped) {
    const dA = matmulTN(e, { label: labelOf(of, 'dA'), rows: TOKENS, p: dxa, pCols: lora.a.rows, q: x, qCols: lora.a.cols, out: lora.dA, parts });
    return [...gradients, ...dA, ...through({ left: dxa, right: lora.a })];
  }
  const each = (ops: (entry: LoraEntry, slice: Slice, name: string) => Op[]): Op[] => lora.entries.flatMap((entry, i) => ops(entry, sliceOf(lora, i), String(i)));
  return [
    ...gradients,
    ...each((entry, slice, name) => {
      const [input, ops] = dropped.input(entry);
      return [...ops, ...matmulTN(e, { label: labelOf(of, `dA ${name}`), rows: TOKENS, p: dxa, pCols: lora.r, slice, q: input, qCols: lora.a.cols, out: entry.dA, parts })];
    }),
    ...through(),
    ...(dx ? each((entry, slice, name) => [
      ...matmulNN(e, { label: labelOf(of, `dX ${name}`), rows: TOKENS, dy: dxa, slice, w: entry.a, dx: dropped.branch! }), ...dropped.back(entry),
    ]) : []),
  ];
}
