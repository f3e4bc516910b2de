/** f64 twin of cross_entropy.wgsl, loss_sum.wgsl and softcap.wgsl. */

export const softcap = (x: Float64Array, cap: number): Float64Array => x.map((v) => cap * Math.tanh(v / cap));


/**
 * Per row: loss = ln sum e^logits - logits[label], and (softmax - onehot) * scale. Rows are `vocab` long. With `cap` the logits are capped
 * ones, and the gradient is that of what was capped.
 */
export function crossEntropy(
  logits: Float64Array, vocab: number, labels: ArrayLike<number>, scale: number, cap: number | null = null,
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
      dLogits[r * vocab + v] = scale * (Math.exp(row[v]! - top) / sum - (v === labels[r] ? 1 : 0)) * (cap === null ? 1 : 1 - (row[v]! / cap) ** 2);
    }
  }
  return { loss, dLogits };
}
