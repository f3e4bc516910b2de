/**
 * Owns how several matrices of as many rows share one tensor, so that one product can write or read all of them: q, k and v, or gate and up.
 * Refuses to know what is multiplied.
 */
import { viewTensor, type Tensor } from './tensor.ts';

/** Two or three matrices end to end. */
export interface Segments {
  /** Of each; all but the last a multiple of 4. */
  columns: readonly number[];
  /** Element of the tensor at which each begins, a multiple of 64. */
  starts: readonly number[];
}

/** Columns from .. of a matrix that has more of them. */
export interface Slice {
  from: number;
  /** Columns of the whole matrix. */
  of: number;
}

export const isBy4 = (slice: Slice | undefined): boolean => !slice || (slice.from % 4 === 0 && slice.of % 4 === 0);

export interface JoinedTensor {
  whole: Tensor;
  segments: Segments;
  /** A view of each. */
  each: readonly Tensor[];
}

const ALIGN = 64; // elements: 256 bytes, what a binding's offset is a multiple of

/** Lays matrices [rows, columns[i]] end to end in a tensor that `take` makes of so many elements. */
export function endToEnd(take: (label: string, elements: number) => Tensor, labels: readonly string[], rows: number, columns: readonly number[]): JoinedTensor {
  const starts: number[] = [];
  let end = 0;
  for (const n of columns) {
    starts.push(Math.ceil(end / ALIGN) * ALIGN);
    end = starts.at(-1)! + rows * n;
  }
  const whole = take(labels.join(' '), end);
  return { whole, segments: { columns, starts }, each: labels.map((label, i) => viewTensor(whole, label, starts[i]!, rows * columns[i]!)) };
}

/** Elements that `endToEnd` asks for, alignment included. */
export const endToEndElements = (rows: number, columns: readonly number[]): number =>
  columns.reduce((end, n) => Math.ceil(end / ALIGN) * ALIGN + rows * n, 0);

/** second, third, second_at and third_at of shaders/lib/segments.wgsl. */
export function segmentParams(segments: Segments | undefined): number[] {
  if (!segments) return [0, 0, 0, 0];
  const { columns: [first = 0, next = 0], starts: [, second = 0, third = 0] } = segments;
  return [first, first + next, second, third];
}
