import { describe, expect, it } from 'vitest';
import { normal, uniform } from '../kernels/run.ts';
import '../setup/allclose.ts';
import { attention, attentionBackward, type AttentionCase } from './attention.ts';
import { crossEntropy, softcap } from './crossEntropy.ts';
import { dot, finiteDifference } from './finiteDifference.ts';
import { gated, gatedBackward } from './gated.ts';
import { rmsNorm, rmsNormBackward } from './rmsNorm.ts';
import { rope, ropeBackward } from './rope.ts';
import { gatherRows, NONE, scatterRows } from './rows.ts';

/** Central differences with step 1e-5 leave about 1e-9 of noise. */
const NOISE = { relative: 1e-6, absolute: 1e-8 };

describe('the backward pass of each twin is the derivative of its forward pass', () => {
  it('RMSNorm', () => {
    const x = normal(3 * 7, 1);
    const gain = normal(7, 2);
    const dOut = normal(3 * 7, 3);
    const expected = finiteDifference(() => dot(rmsNorm(x, gain, 1e-2), dOut), x);
    expect(rmsNormBackward(x, gain, dOut, 1e-2)).toBeAllclose(expected, NOISE);
  });

  it('rotary positions', () => {
    const x = normal(2 * 3 * 6, 1);
    const angles = normal(5 * 3, 2);
    const dOut = normal(x.length, 3);
    const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)];
    const positions = [4, 1];
    const expected = finiteDifference(() => dot(rope(x, 3, 6, positions, cos, sin), dOut), x);
    expect(ropeBackward(dOut, 3, 6, positions, cos, sin)).toBeAllclose(expected, NOISE);
  });

  it.each(['silu', 'gelu_tanh'] as const)('the gated activation with %s, for both inputs', (activation) => {
    const gate = normal(40, 1, 3);
    const up = normal(40, 2);
    const dOut = normal(40, 3);
    const f = (): number => dot(gated(activation, gate, up), dOut);
    const { dGate, dUp } = gatedBackward(activation, gate, up, dOut);
    expect(dGate).toBeAllclose(finiteDifference(f, gate), NOISE);
    expect(dUp).toBeAllclose(finiteDifference(f, up), NOISE);
  });

  it('gathering rows, each at most once', () => {
    const x = normal(5 * 3, 1);
    const dOut = normal(2 * 3, 2);
    const expected = finiteDifference(() => dot(gatherRows(x, 3, [4, 1]), dOut), x);
    expect(scatterRows(dOut, 3, [NONE, 1, NONE, NONE, 0])).toBeAllclose(expected, NOISE);
  });

  it('cross-entropy', () => {
    const logits = normal(3 * 11, 1, 2);
    const labels = [0, 10, 4];
    const expected = finiteDifference(() => 0.25 * crossEntropy(logits, 11, labels, 1).loss.reduce((a, b) => a + b), logits);
    expect(crossEntropy(logits, 11, labels, 0.25).dLogits).toBeAllclose(expected, NOISE);
  });

  it('cross-entropy of capped logits, for the logits before the cap', () => {
    const logits = normal(3 * 11, 1, 2);
    const labels = [0, 10, 4];
    const cap = 1.7;
    const expected = finiteDifference(() => 0.25 * crossEntropy(softcap(logits, cap), 11, labels, 1).loss.reduce((a, b) => a + b), logits);
    expect(crossEntropy(softcap(logits, cap), 11, labels, 0.25, cap).dLogits).toBeAllclose(expected, NOISE);
  });

  it.each([[1, 1], [2, 1], [4, 2], [6, 2]])('attention with a scale of its own, capped scores and a window of 2, %i heads on %i kv heads', (heads, kvHeads) => {
    const headDim = 4;
    const M = 6;
    const c: AttentionCase = {
      heads, kvHeads, headDim, scale: 0.7, softcap: 0.9,
      q: normal(M * heads * headDim, 1),
      k: normal(M * kvHeads * headDim, 2),
      v: normal(M * kvHeads * headDim, 3),
      keyStart: [0, 0, 1, 3, 3, 4],
      keyEnd: [1, 2, 3, 4, 5, 6],
    };
    const dOut = normal(c.q.length, 4);
    const f = (): number => dot(attention(c).out, dOut);
    const { dq, dk, dv } = attentionBackward(c, dOut);
    expect(dq).toBeAllclose(finiteDifference(f, c.q), NOISE);
    expect(dk).toBeAllclose(finiteDifference(f, c.k), NOISE);
    expect(dv).toBeAllclose(finiteDifference(f, c.v), NOISE);
  });

  it.each([[1, 1], [2, 1], [4, 2], [6, 2]])('attention, %i heads on %i kv heads, two segments', (heads, kvHeads) => {
    const headDim = 4;
    const M = 6;
    const c: AttentionCase = {
      heads, kvHeads, headDim,
      q: normal(M * heads * headDim, 1),
      k: normal(M * kvHeads * headDim, 2),
      v: normal(M * kvHeads * headDim, 3),
      keyStart: [0, 0, 0, 3, 3, 3],
      keyEnd: [1, 2, 3, 4, 5, 6],
    };
    const dOut = normal(c.q.length, 4);
    const f = (): number => dot(attention(c).out, dOut);
    const { dq, dk, dv } = attentionBackward(c, dOut);
    expect(dq).toBeAllclose(finiteDifference(f, c.q), NOISE);
    expect(dk).toBeAllclose(finiteDifference(f, c.k), NOISE);
    expect(dv).toBeAllclose(finiteDifference(f, c.v), NOISE);
  });

  it('attention\'s lse is the logarithm of the sum of its exponentials, as its derivative for q shows', () => {
    const next = uniform(9);
    const c: AttentionCase = {
      heads: 1, kvHeads: 1, headDim: 3, q: normal(3, 1), k: normal(12, 2), v: Float64Array.from({ length: 12 }, next), keyStart: [1], keyEnd: [4],
    };
    // d lse / d q = sum_j p_j k_j / sqrt(D): attention with the keys as values.
    const mean = attention({ ...c, v: c.k }).out.map((x) => x / Math.sqrt(3));
    expect(finiteDifference(() => attention(c).lse[0]!, c.q)).toBeAllclose(mean, NOISE);
  });
});
