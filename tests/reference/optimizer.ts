/** f64 twins of grad_norm and adamw. */

export const gradNorm = (grads: ArrayLike<number>): number => Math.sqrt(Array.from(grads).reduce((sum, g) => sum + g * g, 0));

export interface AdamWState {
  params: Float64Array;
  m: Float64Array;
  v: Float64Array;
}

export interface AdamWHyper {
  learningRate: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  maxGradNorm: number;
}

/** Step t (from 1) of torch.optim.AdamW after torch.nn.utils.clip_grad_norm_. A norm that is not finite changes nothing. */
export function adamW(state: AdamWState, grads: ArrayLike<number>, t: number, h: AdamWHyper): AdamWState {
  const norm = gradNorm(grads);
  if (!Number.isFinite(norm)) return state;
  const clip = h.maxGradNorm > 0 ? Math.min(1, h.maxGradNorm / (norm + 1e-6)) : 1;
  const m = state.m.map((old, i) => h.beta1 * old + (1 - h.beta1) * grads[i]! * clip);
  const v = state.v.map((old, i) => h.beta2 * old + (1 - h.beta2) * (grads[i]! * clip) ** 2);
  const params = state.params.map((w, i) => {
    const decayed = w * (1 - h.learningRate * h.weightDecay);
    const mHat = m[i]! / (1 - h.beta1 ** t);
    const vHat = v[i]! / (1 - h.beta2 ** t);
    return decayed - (h.learningRate * mHat) / (Math.sqrt(vHat) + h.eps);
  });
  return { params, m, v };
}
