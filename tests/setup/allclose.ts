/**
 * The one way tests compare arrays of floats: expect(actual).toBeAllclose(expected, 'f32').
 * An element passes when |actual - expected| <= relative * |expected| + absolute * (largest |expected|), and both are finite.
 * Importing this file adds the matcher.
 */
import { expect } from 'vitest';

export interface Tolerance {
  relative: number;
  /** In units of the largest magnitude in `expected`. */
  absolute: number;
}

/**
 * What rounding alone explains. 'f32': f32 arithmetic with f32 accumulation, widened weights included (bf16 and f16 widen exactly).
 * 'bf16' and 'f16': the values themselves went through that type. 'f64': two f64 computations of the same sum.
 */
export const TOLERANCE = {
  f64: { relative: 1e-10, absolute: 1e-12 },
  f32: { relative: 1e-5, absolute: 2e-6 },
  f16: { relative: 2e-3, absolute: 1e-4 },
  bf16: { relative: 1.6e-2, absolute: 1e-3 },
} as const satisfies Record<string, Tolerance>;

export type ToleranceLike = keyof typeof TOLERANCE | Tolerance;

/** The element that exceeds the tolerance by the largest factor, or null where all are within it. */
export function worstBreach(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: ToleranceLike): { index: number; factor: number } | null {
  const { relative, absolute } = typeof tolerance === 'string' ? TOLERANCE[tolerance] : tolerance;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  let worst: { index: number; factor: number } | null = null;
  for (let i = 0; i < expected.length; i++) {
    const allowed = relative * Math.abs(expected[i]!) + absolute * largest;
    const difference = Math.abs(actual[i]! - expected[i]!);
    const factor = difference === 0 ? 0 : difference / allowed;
    if (!(factor <= 1) && (worst === null || Number.isNaN(factor) || factor > worst.factor)) worst = { index: i, factor };
  }
  return worst;
}

expect.extend({
  toBeAllclose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: ToleranceLike = 'f32') {
    if (actual.length !== expected.length) {
      return { pass: false, message: () => `${actual.length} elements, expected ${expected.length}` };
    }
    const worst = worstBreach(actual, expected, tolerance);
    if (worst === null) return { pass: true, message: () => `all ${actual.length} elements are within ${JSON.stringify(tolerance)}` };
    const { index, factor } = worst;
    return {
      pass: false,
      message: () =>
        `element ${index} of ${actual.length} is ${actual[index]}, expected ${expected[index]}: ${factor.toPrecision(3)} times the tolerance ${JSON.stringify(tolerance)}`,
    };
  },
});

declare module 'vitest' {
  interface Matchers<T = any> {
    toBeAllclose: (expected: ArrayLike<number>, tolerance?: ToleranceLike) => T;
  }
}
