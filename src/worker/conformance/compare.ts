/** The arithmetic of the comparison with goldens. */
import type { BatchLike } from '../../model/batchInputs.ts';

/** Positions t of padding whose next token is real and labelled. */
export function behindPadding(batch: BatchLike): number[] {
  const T = batch.shape[1];
  return [...batch.segments.keys()].filter((i) => (i + 1) % T !== 0 && batch.segments[i] === 0 && batch.segments[i + 1] !== 0 && batch.labels[i + 1] !== -100);
}

export function crossEntropyOf(logits: Float32Array, label: number): number {
  const max = logits.reduce((m, v) => Math.max(m, v), -Infinity);
  return Math.log(logits.reduce((sum, v) => sum + Math.exp(v - max), 0)) + max - logits[label]!;
}

/** |a - b| / |b|; with b = 0, |a|. */
export function relativeL2(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return Math.sqrt(difference) / (norm > 0 ? Math.sqrt(norm) : 1);
}
