/**
 * Owns the end of the pass: final norm, head and cross-entropy over labelled positions only, in chunks of rows, so that
 * [tokens, vocabulary] is never stored.
 */
import { crossEntropy, lossSum } from '../engine/kernels/crossEntropy.ts';
import { matmulNN, matmulNT, SPLITS } from '../engine/kernels/matmul.ts';
import { rmsNorm, rmsNormBackward } from '../engine/kernels/rmsNorm.ts';
import { gatherRows, scatterRows } from '../engine/kernels/rows.ts';
import { softcap } from '../engine/kernels/softcap.ts';
import type { Engine } from '../engine/device.ts';
import type { Op, Rows } from '../engine/kernel.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { Taker } from './activations.ts';
import type { ModelConfig } from './config.ts';
import type { DecoderContext } from './decoder.ts';

export interface HeadBuffers {
  /** Residual stream at the targets [targets, C], then its normed form, then the gradient of that. */
  picked: Tensor;
  normed: Tensor;
  dNormed: Tensor | null;
  /** One chunk [chunkRows, V]; becomes its own gradient. */
  logits: Tensor;
  /** What workgroups add up of a chunk's dNormed before it is summed. */
  parts: Tensor | null;
  loss: Tensor;
  /** 0 loss sum of the window, 1 gradient norm, 2 steps whose gradient was not finite (then nothing is updated any more). */
  stats: Tensor;
  chunkRows: number;
}

/** Rows of logits that fit one binding, at most 256. */
export const chunkRowsFor = (engine: Pick<Engine, 'maxBinding'>, vocabSize: number): number =>
  Math.max(1, Math.min(256, Math.floor(engine.maxBinding / (4 * vocabSize))));

export function takeHead(engine: Pick<Engine, 'maxBinding'>, config: ModelConfig, arena: Taker, maxTargets: number, stats: Tensor, train: boolean): HeadBuffers {
  const { hiddenSize: C, vocabSize: V } = config;
  const chunkRows = Math.min(chunkRowsFor(engine, V), maxTargets);
  return {
    picked: arena.take('picked', maxTargets * C),
    normed: arena.take('picked normed', maxTargets * C),
    dNormed: train ? arena.take('d picked normed', maxTargets * C) : null,
    logits: arena.take('logits', chunkRows * V),
    parts: train ? arena.take('parts of d picked normed', SPLITS * chunkRows * C) : null,
    loss: arena.take('loss', maxTargets),
    stats,
    chunkRows,
  };
}

const ALL_TARGETS = (max: number): Rows => ({ kind: 'targets', start: 0, count: max });

/** picked = x(last)[targets], normed = norm(picked). */
export function pickOps(ctx: DecoderContext, h: HeadBuffers, last: Tensor): Op[] {
  const { engine: e, config, weights, inputs } = ctx;
  const rows = ALL_TARGETS(inputs.maxTargets);
  const cols = config.hiddenSize;
  return [
    ...gatherRows(e, { label: 'pick targets', rows, cols, index: inputs.targetRows, x: last, out: h.picked }),
    ...rmsNorm(e, { label: 'final norm', rows, cols, x: h.picked, gain: weights.finalNorm, out: h.normed, eps: config.rmsNormEps }),
  ];
}

/** logits of one chunk of targets, capped where the model caps them. */
export function logitsOps(ctx: DecoderContext, h: HeadBuffers, start: number): Op[] {
  const { engine: e, config, weights } = ctx;
  const rows: Rows = { kind: 'targets', start, count: h.chunkRows };
  const cap = config.finalSoftcap;
  return [
    ...matmulNT(e, { label: 'head', rows, x: h.normed, xRowStart: start, w: weights.head, y: h.logits }),
    ...(cap === null ? [] : softcap(e, { label: 'head', rows, cols: config.vocabSize, x: h.logits, cap })),
  ];
}

/**
 * Loss of all targets into stats[0]; when training, also d x(last) into dLast (overwritten; zero where there is no label).
 */
export function lossOps(ctx: DecoderContext, h: HeadBuffers, last: Tensor, dLast: Tensor | null): Op[] {
  const { engine: e, config, weights, inputs } = ctx;
  const { hiddenSize: cols, vocabSize: vocab, rmsNormEps: eps } = config;
  const train = dLast !== null && h.dNormed !== null;
  const ops = pickOps(ctx, h, last);
  for (let start = 0; start < inputs.maxTargets; start += h.chunkRows) {
    const rows: Rows = { kind: 'targets', start, count: h.chunkRows };
    ops.push(
      ...logitsOps(ctx, h, start),
      ...crossEntropy(e, { label: 'cross-entropy', rows, vocab, logits: h.logits, labels: inputs.targetLabels, loss: h.loss, train, softcap: config.finalSoftcap }),
    );
    if (train) ops.push(...matmulNN(e, { label: 'head dX', rows, dy: h.logits, w: weights.head, dx: h.dNormed!, dxRowStart: start, parts: h.parts ?? undefined }));
  }
  ops.push(...lossSum(e, { label: 'loss', loss: h.loss, stats: h.stats }));
  if (train) {
    ops.push(
      // `normed` is free by now and takes the gradient of `picked`.
      ...rmsNormBackward(e, { label: 'final norm backward', rows: ALL_TARGETS(inputs.maxTargets), cols, x: h.picked, gain: weights.finalNorm, dOut: h.dNormed!, dx: h.normed, eps }),
      ...scatterRows(e, { label: 'd last', cols, slot: inputs.slot, x: h.normed, out: dLast! }),
    );
  }
  return ops;
}
