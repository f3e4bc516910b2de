import fc from 'fast-check';
import { expect, it } from 'vitest';
import { firstNonFinite } from '../../src/formats/halfFloats.ts';

it('the first value that is no number is found at any place among any others, in both 16-bit types', () => {
  const type = fc.constantFrom(['BF16', 0x7f80] as const, ['F16', 0x7c00] as const);
  fc.assert(fc.property(fc.uint16Array({ maxLength: 40 }), type, fc.nat(3), fc.option(fc.nat(39)), (values, [dtype, exponent], skipped, bad) => {
    const halves = values.map((h) => ((h & exponent) === exponent ? h & 0x80ff : h));
    if (bad !== null && bad < halves.length) halves[bad] = exponent | (halves[bad]! & 0x8001);
    const bytes = new Uint8Array(2 * skipped + halves.byteLength).subarray(2 * skipped);
    bytes.set(new Uint8Array(halves.buffer));
    expect(firstNonFinite(bytes, dtype)).toBe(halves.findIndex((h) => (h & exponent) === exponent));
  }), { numRuns: 1000 });
});
