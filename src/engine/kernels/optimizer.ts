/**
 * What happens once a step: the norm of all gradients and the AdamW update. Owns the launches over one flat buffer,
 * cut where it exceeds a binding; refuses to know which parameters lie in it.
 */
import adamwBody from '../../../shaders/adamw.wgsl?raw';
import gradNormBody from '../../../shaders/grad_norm.wgsl?raw';
import gradNormPartialBody from '../../../shaders/grad_norm_partial.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, type Op } from '../kernel.ts';
import { viewTensor, type Tensor } from '../tensor.ts';

/** Gradients that share a slot of `partial`. */
export const GRAD_NORM_BLOCK = 256;

/** Ranges of a flat buffer that fit a binding, each but the last a whole number of GRAD_NORM_BLOCKs. */
function ranges(e: Engine, elements: number): { start: number; count: number }[] {
  const most = Math.max(1, Math.floor(e.maxBinding / (4 * GRAD_NORM_BLOCK))) * GRAD_NORM_BLOCK;
  const out: { start: number; count: number }[] = [];
  for (let start = 0; start < elements; start += most) out.push({ start, count: Math.min(most, elements - start) });
  return out;
}

const slice = (t: Tensor, { start, count }: { start: number; count: number }): Tensor => viewTensor(t, `${t.label} ${start}..`, start, count);

export interface GradNorm {
  label: string;
  /** Flat f32. */
  grads: Tensor;
  elements: number;
  /** f32 scratch, ceil(elements / GRAD_NORM_BLOCK) slots. */
  partial: Tensor;
  /** f32: [loss, gradient norm, skipped steps]. */
  stats: Tensor;
}

/** stats[1] = sqrt(sum grads^2), summed in a fixed order. */
export function gradNorm(e: Engine, o: GradNorm): Op[] {
  const slots = Math.ceil(o.elements / GRAD_NORM_BLOCK);
  const partials = ranges(e, o.elements).map((range): Op => {
    const threads = Math.ceil(range.count / GRAD_NORM_BLOCK);
    const kernel = compileKernel(e, { name: 'grad_norm_partial', body: gradNormPartialBody, constants: { BLOCK: GRAD_NORM_BLOCK }, access: ['read', 'write'] });
    return {
      label: `${o.label} partial`,
      pipeline: kernel.pipeline,
      layout: kernel.layout,
      params: [range.count, range.start / GRAD_NORM_BLOCK],
      tensors: [slice(o.grads, range), o.partial],
      grid: () => linearGrid(threads, 64),
      flops: () => 2 * range.count,
    };
  });
  return [
    ...partials,
    {
      label: o.label,
      ...compileKernel(e, { name: 'grad_norm', body: gradNormBody, access: ['read', 'write'] }),
      params: [slots],
      tensors: [o.partial, o.stats],
      grid: () => [1, 1, 1],
      flops: () => slots,
    },
  ];
}

export interface AdamW {
  label: string;
  /** Flat f32, `elements` each: parameters, gradients, first and second moments. */
  params: Tensor;
  grads: Tensor;
  m: Tensor;
  v: Tensor;
  elements: number;
  /** f32: reads [1], the gradient norm, and [2]: above 0, nothing changes. */
  stats: Tensor;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** 0: no clipping. */
  maxGradNorm: number;
}

/** One AdamW step with the learning rate and bias corrections of the step uniform; grads are zero afterwards. */
export function adamW(e: Engine, o: AdamW): Op[] {
  return ranges(e, o.elements).map((range): Op => {
    const kernel = compileKernel(e, {
      name: 'adamw',
      body: adamwBody,
      access: ['write', 'write', 'write', 'write', 'read'],
    });
    return {
      label: o.label,
      pipeline: kernel.pipeline,
      layout: kernel.layout,
      params: [range.count, f32(o.beta2), f32(1 - o.beta1), f32(1 - o.beta2), f32(o.eps), f32(o.weightDecay), f32(o.maxGradNorm)],
      tensors: [slice(o.params, range), slice(o.grads, range), slice(o.m, range), slice(o.v, range), o.stats],
      grid: () => linearGrid(range.count, 64),
      flops: () => 20 * range.count,
    };
  });
}
