import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK, dequantise, NF4_LEVELS, quantise, quantisedBytes, type QuantisedType } from '../../src/engine/quantise.ts';
import { partRows, storedBytes } from '../../src/engine/tensor.ts';

const TYPES: QuantisedType[] = ['int8', 'nf4'];
const roundTrip = (values: Float32Array, dtype: QuantisedType): Float32Array => dequantise(quantise(values, dtype), dtype, values.length);
const floats = fc.float32Array({ minLength: 1, maxLength: 200, noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e30), max: Math.fround(1e30) });

describe('quantised blocks', () => {
  it('take 8.5 and 4.5 bits an element, whole blocks at a time', () => {
    expect([quantisedBytes('int8', 6400) * 8, quantisedBytes('nf4', 6400) * 8]).toEqual([6400 * 8.5, 6400 * 4.5]);
    for (const dtype of TYPES) expect(quantisedBytes(dtype, BLOCK + 1)).toBe(2 * quantisedBytes(dtype, BLOCK));
  });

  it('give each element the nearest of its block\'s levels', () => {
    fc.assert(fc.property(floats, (values) => {
      for (const dtype of TYPES) {
        const got = roundTrip(values, dtype);
        const size = dtype === 'int8' ? BLOCK : 32;
        for (let start = 0; start < values.length; start += size) {
          const block = values.subarray(start, start + size);
          const most = block.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
          // A bf16 scale is off by 2^-9 of itself; below 1e-30 f32 itself has few digits left.
          if (most < 1e-30) continue;
          const levels = dtype === 'int8' ? Array.from({ length: 255 }, (_, i) => (i - 127) / 127) : [...NF4_LEVELS];
          block.forEach((v, i) => {
            const nearest = Math.min(...levels.map((level) => Math.abs(level * most - v)));
            expect(Math.abs(got[start + i]! - v)).toBeLessThanOrEqual(nearest + most * (dtype === 'int8' ? 2e-6 : 2 ** -8));
          });
        }
      }
    }), { numRuns: 200 });
  });

  it('keep zeros, and nothing becomes infinite or NaN', () => {
    for (const dtype of TYPES) {
      expect(roundTrip(new Float32Array(100), dtype)).toEqual(new Float32Array(100));
      const extreme = Float32Array.from({ length: 130 }, (_, i) => [3.4e38, -3.4e38, 1e-45, 0, 1e-39][i % 5]!);
      expect(roundTrip(extreme, dtype).every(Number.isFinite)).toBe(true);
      expect(roundTrip(extreme.map((v) => (Math.abs(v) < 1 ? v : 0)), dtype).every(Number.isFinite)).toBe(true);
    }
  });

  it('stay as they are when quantised in pieces of whole blocks', () => {
    const values = Float32Array.from({ length: 5 * BLOCK + 7 }, (_, i) => Math.sin(i * i));
    for (const dtype of TYPES) {
      const whole = quantise(values, dtype);
      const pieces = [quantise(values.subarray(0, 2 * BLOCK), dtype), quantise(values.subarray(2 * BLOCK), dtype)];
      expect([...pieces[0]!, ...pieces[1]!]).toEqual([...whole]);
    }
  });
});

describe('parts of a weight', () => {
  it('fit their bindings, begin at whole words or blocks and hold every row', () => {
    fc.assert(fc.property(fc.constantFrom('f32', 'bf16', 'f16', ...TYPES), fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 300 }), fc.integer({ min: 6000, max: 40_000 }), (dtype, rows, cols, limit) => {
      fc.pre(dtype !== 'f32' || cols * 8 <= limit);
      fc.pre((dtype !== 'int8' && dtype !== 'nf4') || storedBytes(dtype, 64 * cols) <= limit);
      const n = partRows(dtype, rows, cols, limit);
      expect(n).toBeGreaterThan(0);
      expect(storedBytes(dtype, n * cols)).toBeLessThanOrEqual(limit);
      if (n < rows) expect((n * cols) % (dtype === 'f32' ? 1 : dtype === 'bf16' || dtype === 'f16' ? 2 : BLOCK)).toBe(0);
    }));
    expect(() => partRows('nf4', 100, 21, 256)).toThrow('does not hold 64 rows of 21 elements in nf4');
  });
});
