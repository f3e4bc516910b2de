import { describe, expect, it } from 'vitest';
import { worstBreach } from '../setup/allclose.ts';

describe('toBeAllclose', () => {
  it('accepts rounding and names the worst element of anything more', () => {
    expect([1, 1000.001]).toBeAllclose([1, 1000], 'f32');
    expect(() => expect([1, 1001, 0.9]).toBeAllclose([1, 1000, 1], 'f32')).toThrow(/element 1 of 3 is 1001, expected 1000/);
  });
  it('never accepts NaN, infinity or another length', () => {
    expect([Number.NaN]).not.toBeAllclose([1], 'bf16');
    expect([1]).not.toBeAllclose([1, 2], 'f32');
    expect(worstBreach([Number.NaN], [Number.NaN], 'f32')).not.toBeNull();
  });
});
