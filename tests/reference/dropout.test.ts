import { describe, expect, it } from 'vitest';
import { dropout, keepMask } from './dropout.ts';
import '../setup/allclose.ts';

const N = 100_000;
/** Fraction of positions on which two masks with keep rate 1/2 agree; 1/2 when they are independent. */
const agreement = (a: Uint8Array, b: Uint8Array): number => a.reduce((sum, v, i) => sum + (v === b[i] ? 1 : 0), 0) / a.length;

describe('the dropout twin', () => {
  const mask = keepMask(N, 0.5, 3, 42);
  const sigma = 0.5 / Math.sqrt(N);

  it('draws another mask for another stream, seed or place: no two agree on more than half, within 4 sigma', () => {
    const others = [keepMask(N, 0.5, 4, 42), keepMask(N, 0.5, 3, 43), keepMask(N, 0.5, 42, 3), keepMask(N + 1, 0.5, 3, 42).subarray(1), keepMask(N + 4, 0.5, 3, 42).subarray(4)];
    for (const other of others) expect(Math.abs(agreement(mask, other.subarray(0, N)) - 0.5)).toBeLessThan(4 * sigma);
  });

  it('has a gradient that finite differences confirm', () => {
    const x = Float64Array.from({ length: 50 }, (_, i) => Math.sin(i));
    const dOut = Float64Array.from({ length: 50 }, (_, i) => Math.cos(3 * i));
    const loss = (values: Float64Array): number => dropout(values, 0.3, 1, 2).reduce((sum, v, i) => sum + v * dOut[i]!, 0);
    const numeric = x.map((_, i) => {
      const at = (delta: number): number => loss(x.map((v, j) => (i === j ? v + delta : v)));
      return (at(1e-4) - at(-1e-4)) / 2e-4;
    });
    expect(dropout(dOut, 0.3, 1, 2)).toBeAllclose(numeric, { relative: 1e-8, absolute: 1e-9 });
  });
});
