/** Owns the loss of labelled positions and its gradient, a chunk of rows at a time, and the sum of the losses. */
import rowBody from '../../../shaders/cross_entropy.wgsl?raw';
import groupBody from '../../../shaders/cross_entropy_group.wgsl?raw';
import tree from '../../../shaders/lib/tree.wgsl?raw';
import sumBody from '../../../shaders/loss_sum.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, f32, linearGrid, rowCount, rowParams, type Op, type Rows } from '../kernel.ts';
import { chosenRowVariant } from '../rowVariants.ts';
import type { Tensor } from '../tensor.ts';
import { vecWidth, withVec } from './vec.ts';

export interface CrossEntropyArgs {
  label: string;
  /** A chunk of the targets. */
  rows: Rows;
  /** V */
  vocab: number;
  /** [R, V]; with train it becomes the gradient. */
  logits: Tensor;
  /** u32 [targets], each below V. */
  labels: Tensor;
  /** f32 [targets]; start .. start + R are written. */
  loss: Tensor;
  train?: boolean;
  /** The logits are capped by this already, and the gradient is to be that of what was capped. */
  softcap?: number | null;
}

/** loss = lse - logit[label]; with train, logits <- (softmax - onehot) * step.loss_scale [* slope of the cap]. */
export function crossEntropy(e: Engine, { label, rows, vocab, logits, labels, loss, train = false, softcap = null }: CrossEntropyArgs): Op[] {
  const group = chosenRowVariant(e, 'crossEntropy') === 'group';
  const workgroup = group ? Math.min(256, Math.max(32, 2 ** Math.ceil(Math.log2(vocab / vecWidth(vocab) / 4)))) : 8;
  return [{
    ...compileKernel(e, {
      name: group ? 'cross_entropy_group' : 'cross_entropy',
      body: withVec(vecWidth(vocab), group ? `${tree}\n${groupBody}` : rowBody),
      constants: { WORKGROUP: workgroup, SOFTCAP: softcap !== null },
      access: ['read', 'write', 'write'],
    }),
    label: `${label} crossEntropy`,
    params: [...rowParams(rows), vocab / vecWidth(vocab), train ? 1 : 0, f32(softcap ?? 1)],
    tensors: [labels, logits, loss],
    grid: (dims) => linearGrid(rowCount(rows, dims), group ? 1 : workgroup),
    flops: (dims) => 25 * rowCount(rows, dims) * vocab,
  }];
}

export interface LossSumArgs {
  label: string;
  /** f32 [targets] */
  loss: Tensor;
  /** stats[0] receives the sum. */
  stats: Tensor;
}

/** stats[0] += sum(loss[0 .. targets]) * step.loss_scale */
export function lossSum(e: Engine, { label, loss, stats }: LossSumArgs): Op[] {
  return [{
    ...compileKernel(e, { name: 'loss_sum', body: sumBody, access: ['read', 'write'] }),
    label: `${label} lossSum`,
    params: [],
    tensors: [loss, stats],
    grid: ({ targets }) => [targets > 0 ? 1 : 0, 1, 1],
    flops: ({ targets }) => targets,
  }];
}
