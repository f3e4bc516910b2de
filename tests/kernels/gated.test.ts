import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gated, gatedBackward } from '../../src/engine/kernels/gated.ts';
import { gated as twin, gatedBackward as backwardTwin, type Activation } from '../reference/gated.ts';
import { normal, openKit, type Kit } from './run.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await openKit();
});
afterAll(() => kit.close());

async function run(activation: Activation, gate: Float64Array, up: Float64Array, dOut: Float64Array, cols: number, tokens: number) {
  const size = gate.length;
  const t = { gate: kit.tensor('gate', gate), up: kit.tensor('up', up), dOut: kit.tensor('dOut', dOut) };
  const [out, dGate, dUp] = [kit.empty('out', size, 5), kit.empty('dGate', size, 5), kit.empty('dUp', size, 5)];
  await kit.run([
    ...gated(kit.engine, { label: 'test', activation, cols, gate: t.gate, up: t.up, out }),
    ...gatedBackward(kit.engine, { label: 'test', activation, cols, ...t, dGate, dUp }),
  ], { tokens });
  return { out: await kit.read(out), dGate: await kit.read(dGate), dUp: await kit.read(dUp) };
}

describe.each(['silu', 'gelu_tanh'] as const)('the gated activation with %s', (activation) => {
  it.each([[1, 1], [7, 33], [16, 64], [5, 1031]])('%i tokens of %i: output and gradients are the twin\'s, rows beyond stay', async (tokens, cols) => {
    const size = (tokens + 1) * cols;
    const used = tokens * cols;
    const [gate, up, dOut] = [normal(size, 1, 4), normal(size, 2), normal(size, 3)];
    const got = await run(activation, gate, up, dOut, cols, tokens);
    const want = backwardTwin(activation, gate, up, dOut);
    expect(got.out.subarray(0, used)).toBeAllclose(twin(activation, gate, up).subarray(0, used));
    expect(got.dGate.subarray(0, used)).toBeAllclose(want.dGate.subarray(0, used));
    expect(got.dUp.subarray(0, used)).toBeAllclose(want.dUp.subarray(0, used));
    for (const values of Object.values(got)) expect(values.subarray(used).every((x) => x === 5)).toBe(true);
  });

  it('stays finite and right where the exponential would overflow', async () => {
    const gate = Float64Array.from([-1e4, -200, -89, -88, -30, -1e-8, 0, 1e-8, 30, 88, 200, 1e4]);
    const ones = new Float64Array(gate.length).fill(1);
    const got = await run(activation, gate, ones, ones, gate.length, 1);
    const want = backwardTwin(activation, gate, ones, ones);
    // Below -87 the true values are under 1e-36.
    expect(got.out).toBeAllclose(twin(activation, gate, ones), { relative: 1e-5, absolute: 1e-38 });
    expect(got.dGate).toBeAllclose(want.dGate, { relative: 1e-5, absolute: 1e-34 });
    expect(got.dUp).toBeAllclose(want.dUp, { relative: 1e-5, absolute: 1e-38 });
  });
});
