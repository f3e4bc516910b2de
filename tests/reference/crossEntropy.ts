/** f64 twin of cross_entropy.wgsl and loss_sum.wgsl. */

/** Per row: loss = ln sum e^logits - logits[label], and (softmax - onehot) * scale. Rows are `vocab` long. */
export function crossEntropy(
  logits: Float64Array, vocab: number, labels: ArrayLike<number>, scale: number,
): { loss: Float64Array; dLogits: Float64Array } {
  const rows = labels.length;
  const loss = new Float64Array(rows);
  const dLogits = new Float64Array(rows * vocab);
  for (let r = 0; r < rows; r++) {
    const row = logits.subarray(r * vocab, (r + 1) * vocab);
    const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = row.reduce((total, x) => total + Math.exp(x - top), 0);
    loss[r] = Math.log(sum) + top - row[labels[r]!]!;
    for (let v = 0; v < vocab; v++) {
      dLogits[r * vocab + v] = scale * (Math.exp(row[v]! - top) / sum - (v === labels[r] ? 1 : 0));
    }
  }
  return { loss, dLogits };
}
