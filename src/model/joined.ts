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
import { matmulNN, matmulNT, matmulTN } from '../engine/kernels/matmul.ts';
import type { JoinedTensor } from '../engine/segments.ts';
import type { Tensor, Weight } from '../engine/tensor.ts';

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
}

/** One product for a group, with LoRA's branch unless nothing of it is adapted. */
export interface JoinedProjection {
  label: string;
  weight: Weight;
  bias: Tensor | null;
  lora: LoraGroup | null;
}

const labelOf = (of: Pick<JoinedProjection, 'label'>, part: string): string => `${of.label} lora ${part}`;

/** y = x Wᵀ + scaling · (x Aᵀ) Bᵀ, keeping x Aᵀ. */
export function joinedForward(e: Engine, of: JoinedProjection, x: Tensor, y: JoinedTensor, xa: Tensor | null): Op[] {
  const { label, weight, bias, lora } = of;
  return [
    ...(lora ? matmulNT(e, { label: labelOf(of, 'A'), rows: TOKENS, x, w: lora.a, y: xa!, skinny: true }) : []),
    ...matmulNT(e, { label, rows: TOKENS, x, w: weight, y: y.whole, segments: y.segments, bias: bias ?? undefined, branch: branchOf(lora, xa) }),
  ];
}

/** The same of the RMSNorm of x, which kernels for few rows fold in; where they do, `norm.out` is not written. */
export function joinedNormed(e: Engine, of: JoinedProjection, x: Tensor, norm: { gain: Tensor; eps: number; out: Tensor }, y: JoinedTensor, xa: Tensor | null): Op[] {
  const { label, weight, bias, lora } = of;
  const product = { label, rows: TOKENS, w: weight, y: y.whole, segments: y.segments, bias: bias ?? undefined, branch: branchOf(lora, xa) };
  const down = lora ? matmulNT(e, { label: labelOf(of, 'A'), rows: TOKENS, x, w: lora.a, y: xa!, skinny: true, norm }) : [];
  // One that was not folded in is there for both.
  return [...down, ...matmulNT(e, down.length > 1 ? { ...product, x: norm.out } : { ...product, x, norm })];
}

const branchOf = (lora: LoraGroup | null, xa: Tensor | null) => (lora ? { left: xa!, right: lora.b, scale: lora.scaling } : undefined);

/** dB += s dyᵀ (x Aᵀ), dxa = s dy B, dA += dxaᵀ x, each projection's with its own; d x = dy W + dxa A unless it is not wanted. */
export function joinedBackward(e: Engine, of: JoinedProjection, x: Tensor, dy: JoinedTensor, xa: Tensor | null, dx: Tensor | null, scratch: { dxa: Tensor; parts: Tensor }): Op[] {
  const { label, weight, lora } = of;
  const { whole, segments } = dy;
  const { dxa, parts } = scratch;
  return [
    ...(lora ? [
      ...matmulTN(e, { label: labelOf(of, 'dB'), rows: TOKENS, p: whole, pCols: lora.b.rows, segments, q: xa!, qCols: lora.r, out: lora.dB, alpha: lora.scaling, parts }),
      ...matmulNN(e, { label: labelOf(of, 'dxa'), rows: TOKENS, dy: whole, segments, apart: true, w: lora.b, dx: dxa, alpha: lora.scaling }),
      ...matmulTN(e, { label: labelOf(of, 'dA'), rows: TOKENS, p: dxa, pCols: lora.a.rows, q: x, qCols: lora.a.cols, out: lora.dA, parts }),
    ] : []),
    ...(dx ? matmulNN(e, { label: `${label} dX`, rows: TOKENS, dy: whole, segments, w: weight, dx, branch: lora ? { left: dxa, right: lora.a } : undefined }) : []),
  ];
}
