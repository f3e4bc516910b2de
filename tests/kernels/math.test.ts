import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileKernel, linearGrid } from '../../src/engine/kernel.ts';
import { withVec } from '../../src/engine/kernels/vec.ts';
import { openKit, type Kit } from './run.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await openKit();
});
afterAll(() => kit.close());

/** y[i] = expression of x = input[i], on the device. */
async function onDevice(expression: string, x: Float32Array): Promise<Float32Array> {
  const body = `
    @group(0) @binding(2) var<storage, read> input: array<f32>;
    @group(0) @binding(3) var<storage, read_write> output: array<f32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
      let x = input[min(id.x, arrayLength(&input) - 1u)];
      if (id.x < step.tokens) { output[id.x] = ${expression}; }
    }`;
  const y = kit.empty('y', x.length);
  await kit.run([{
    ...compileKernel(kit.engine, { name: 'math', body: withVec(1, body), access: ['read', 'write'] }),
    label: expression, params: [], tensors: [kit.tensor('x', x), y], grid: ({ tokens }) => linearGrid(tokens, 64), flops: () => 0,
  }], { tokens: x.length });
  return kit.read(y);
}

/** The largest error in units of the last place of the true value. */
function worstUlp(x: Float32Array, got: Float32Array, truth: (x: number) => number): number {
  let worst = 0;
  x.forEach((v, i) => {
    const want = truth(v);
    const ulp = 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(want)))) - 23);
    worst = Math.max(worst, Math.abs(got[i]! - want) / ulp);
  });
  return worst;
}

const between = (from: number, to: number, n = 20_000): Float32Array => Float32Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1));
/** Magnitudes evenly spread over the exponents. */
const spread = (from: number, to: number, n = 20_000): Float32Array => Float32Array.from(between(Math.log(from), Math.log(to), n), Math.exp);

describe('exp, log and tanh of shaders/lib/math.wgsl', () => {
  it('exp is within 2 units of the last place over the whole range a softmax uses', async () => {
    const x = between(-87, 0);
    expect(worstUlp(x, await onDevice('exp_accurate(x)', x), Math.exp)).toBeLessThan(2);
  });

  it('exp is as good close to zero and for positive numbers', async () => {
    for (const x of [between(-1, 1), between(0, 87.9), spread(1e-30, 1)]) {
      expect(worstUlp(x, await onDevice('exp_accurate(x)', x), Math.exp)).toBeLessThan(2);
    }
  });

  it('exp vanishes far below and stays finite far above', async () => {
    const y = await onDevice('exp_accurate(x)', Float32Array.from([-88, -1e4, -3e38, 89, 1e4, 3e38]));
    expect([...y.subarray(0, 3)]).toEqual([0, 0, 0]);
    expect([...y.subarray(3)].every((v) => v > 1e38 && Number.isFinite(v))).toBe(true);
  });

  it('tanh is within 3 units of the last place from the smallest numbers to where it is 1, on both sides of 0', async () => {
    for (const x of [between(-12, 12), between(-0.7, 0.7), between(0.6, 0.65), spread(1e-30, 10)]) {
      expect(worstUlp(x, await onDevice('tanh_accurate(x)', x), Math.tanh)).toBeLessThan(3);
      expect(await onDevice('tanh4(vec4<f32>(x)).z', x)).toEqual(await onDevice('tanh_accurate(x)', x));
    }
    expect([...(await onDevice('tanh_accurate(x)', Float32Array.from([0, -1e4, 1e4, -3e38, 3e38])))]).toEqual([0, -1, 1, -1, 1]);
  });

  it('log is within 2 units of the last place, close to 1 too', async () => {
    for (const x of [spread(1e-37, 1e38), between(0.5, 2), between(0.999, 1.001), between(1, 200_000)]) {
      expect(worstUlp(x, await onDevice('log_accurate(x)', x), Math.log)).toBeLessThan(2);
    }
    expect([...(await onDevice('log_accurate(x)', Float32Array.from([1])))]).toEqual([0]);
  });
});
