/** Dropout on LoRA's input. The mask is a function of seed, stream and position, so forward and backward need not share memory. */
import dropoutBody from '../../../shaders/dropout.wgsl?raw';
import by4 from '../../../shaders/lib/dropout_by4.wgsl?raw';
import odd from '../../../shaders/lib/dropout_odd.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, type Op } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';

export interface Dropout {
  label: string;
  cols: number;
  /** [M, cols] */
  x: Tensor;
  /** [M, cols], another buffer than x. */
  out: Tensor;
  /** Probability of dropping, 0 <= p < 1. */
  p: number;
  /** Distinguishes the places in the model that drop; forward and backward of one place use the same. */
  stream: number;
  /** Default false: out is overwritten. */
  accumulate?: boolean;
}

/** out (+)= x * keep / (1 - p) over the tokens' rows. */
export function dropout(e: Engine, o: Dropout): Op[] {
  if (!(o.p >= 0 && o.p < 1)) throw new RangeError(`${o.label}: dropout ${o.p} is not in [0, 1)`);
  const width = o.cols % 4 === 0 ? 4 : 1;
  return [{
    label: o.label,
    ...compileKernel(e, {
      name: 'dropout',
      body: `${width === 4 ? by4 : odd}\n${dropoutBody}`,
      constants: { ACCUMULATE: o.accumulate ?? false },
      access: ['read', 'write'],
    }),
    params: [o.cols, o.stream, Math.min(0xffff_ffff, Math.round(o.p * 2 ** 32)), f32(1 / (1 - o.p))],
    tensors: [o.x, o.out],
    grid: (dims) => linearGrid((dims.tokens * o.cols) / width, 64),
    flops: (dims) => 10 * dims.tokens * o.cols,
  }];
}
