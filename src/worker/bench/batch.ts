/** Owns the batch that is measured: full rows, in which every token is real and every one but the first of its row is a target. */
import { flattenBatch, type FlatBatch } from '../../model/batchInputs.ts';

/** @param ids at least batch x length token ids, row after row; made up where not given */
export function fullBatch(vocabSize: number, batch: number, length: number, ids?: ArrayLike<number>): FlatBatch {
  const inputIds = Int32Array.from({ length: batch * length }, (_, i) => (ids ? ids[i]! : i * 7919 + 13) % vocabSize);
  return flattenBatch({
    shape: [batch, length], inputIds, labels: inputIds,
    positions: Int32Array.from({ length: batch * length }, (_, i) => i % length),
    segments: new Int32Array(batch * length).fill(1),
  });
}

/** Query-key pairs that attention computes over full rows, the causal half only. */
export const fullPairs = (batch: number, length: number): number => (batch * length * (length + 1)) / 2;
