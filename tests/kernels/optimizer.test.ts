import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adamW, GRAD_NORM_BLOCK, gradNorm } from '../../src/engine/kernels/optimizer.ts';
import * as twin from '../reference/optimizer.ts';
import { normal, openKit, type Kit } from './run.ts';

const HYPER = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 };

/** A step of norm and update over buffers that live across steps. */
async function train(kit: Kit, n: number, gradients: Float64Array[], maxGradNorm: number) {
  const start = normal(n, 1);
  const buffers = { params: kit.tensor('params', start), grads: kit.empty('grads', n), m: kit.empty('m', n), v: kit.empty('v', n), stats: kit.empty('stats', 4) };
  const partial = kit.empty('partial', Math.ceil(n / GRAD_NORM_BLOCK));
  let state: twin.AdamWState = { params: start, m: new Float64Array(n), v: new Float64Array(n) };
  const norms: number[] = [];
  for (const [i, grads] of gradients.entries()) {
    const t = i + 1;
    buffers.grads = kit.tensor('grads', grads);
    await kit.run([
      ...gradNorm(kit.engine, { label: 'norm', elements: n, partial, grads: buffers.grads, stats: buffers.stats }),
      ...adamW(kit.engine, { label: 'adamw', elements: n, ...buffers, ...HYPER, maxGradNorm }),
    ], { learningRate: 1e-2, bias1: 1 - HYPER.beta1 ** t, bias2: 1 - HYPER.beta2 ** t });
    norms.push((await kit.read(buffers.stats))[1]!);
    state = twin.adamW(state, grads, t, { ...HYPER, learningRate: 1e-2, maxGradNorm });
  }
  return { buffers, state, norms };
}

describe('the optimizer', () => {
  let kit: Kit;
  let small: Kit;
  beforeAll(async () => {
    kit = await openKit();
    small = await openKit({ maxBinding: 8192 });
  });
  afterAll(() => {
    kit.close();
    small.close();
  });

  for (const n of [1, 255, 4096, 70_001]) {
    it(`follows its twin over three clipped steps of ${n} parameters and leaves the gradients zero`, async () => {
      const gradients = [normal(n, 5), normal(n, 6, 0.001), normal(n, 7, 30)];
      const { buffers, state, norms } = await train(kit, n, gradients, 1);
      expect(norms).toBeAllclose(gradients.map(twin.gradNorm), 'f32');
      expect(await kit.read(buffers.params)).toBeAllclose(state.params, 'f32');
      expect(await kit.read(buffers.m)).toBeAllclose(state.m, 'f32');
      expect(await kit.read(buffers.v)).toBeAllclose(state.v, 'f32');
      expect(await kit.read(buffers.grads)).toEqual(new Float32Array(n));
    });
  }

  it('does not clip where the limit is 0', async () => {
    const gradients = [normal(300, 5, 100)];
    const { buffers, state } = await train(kit, 300, gradients, 0);
    expect(await kit.read(buffers.m)).toBeAllclose(state.m, 'f32');
    expect((await kit.read(buffers.m)).some((v) => Math.abs(v) > 1)).toBe(true);
  });

  it('is cut into several dispatches where a flat buffer exceeds a binding, with the same result', async () => {
    const n = 7001;
    const gradients = [normal(n, 5), normal(n, 6)];
    const { buffers, state, norms } = await train(small, n, gradients, 1);
    expect(norms).toBeAllclose(gradients.map(twin.gradNorm), 'f32');
    expect(await small.read(buffers.params)).toBeAllclose(state.params, 'f32');
    expect(await small.read(buffers.grads)).toEqual(new Float32Array(n));
  });

  for (const [name, bad] of [['NaN', Number.NaN], ['infinity', Infinity]] as const) {
    it(`skips and counts a step whose gradients hold ${name}, once however many dispatches it takes`, async () => {
      const n = 7001;
      const poisoned = normal(n, 6);
      poisoned[n - 2] = bad;
      for (const each of [kit, small]) {
        const { buffers } = await train(each, n, [poisoned], 1);
        expect(await each.read(buffers.params)).toEqual(Float32Array.from(normal(n, 1)));
        expect(await each.read(buffers.m)).toEqual(new Float32Array(n));
        expect(await each.read(buffers.grads)).toEqual(new Float32Array(n));
        expect((await each.read(buffers.stats))[2]).toBe(1);
      }
    });
  }
});
