import { describe, expect, it } from 'vitest';
import { adamW, gradNorm, type AdamWState } from './optimizer.ts';
import '../setup/allclose.ts';

describe('the AdamW twin', () => {
  // torch 2 in f64: AdamW(lr=0.1, betas=(0.9, 0.99), eps=1e-3, weight_decay=0.05) after clip_grad_norm_(1.5).
  const GRADIENTS = [[1, -2, 0.5], [0.1, 0.2, -0.3], [3, 0, -4]];
  const NORMS = [2.29128784747792, 0.37416573867739417, 5];
  const PARAMS = [
    [0.3976525196121743, -0.8950763180060506, 1.8903045746882152],
    [0.31818339881854324, -0.8355459567604927, 1.8817566153122167],
    [0.22990341000509973, -0.7887241178197817, 1.9322067588891858],
  ];
  const HYPER = { learningRate: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-3, weightDecay: 0.05, maxGradNorm: 1.5 };

  it('follows torch.optim.AdamW with clipped gradients over three steps', () => {
    let state: AdamWState = { params: Float64Array.of(0.5, -1, 2), m: new Float64Array(3), v: new Float64Array(3) };
    GRADIENTS.forEach((grads, i) => {
      state = adamW(state, grads, i + 1, HYPER);
      expect([gradNorm(grads)]).toBeAllclose([NORMS[i]!], 'f64');
      expect(state.params).toBeAllclose(PARAMS[i]!, 'f64');
    });
  });

  it('changes nothing where the norm is not finite', () => {
    const state: AdamWState = { params: Float64Array.of(0.5), m: Float64Array.of(1), v: Float64Array.of(2) };
    expect(adamW(state, [Number.NaN], 1, HYPER)).toEqual(state);
  });
});
