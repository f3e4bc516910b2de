/**
 * f64 twin of attention.wgsl and its three backward kernels: the textbook form, with each query's scores written out.
 * Shapes: q, out [M, H, D], k, v [*, Hkv, D], lse [M, H]; query i attends the keys keyStart[i] .. keyEnd[i] - 1.
 */
export interface AttentionCase {
  heads: number;
  kvHeads: number;
  headDim: number;
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
  keyStart: ArrayLike<number>;
  keyEnd: ArrayLike<number>;
  /** By default 1 / sqrt(D). */
  scale?: number;
  /** Scores become softcap * tanh(score / softcap). */
  softcap?: number | null;
}

const scaleOf = (c: AttentionCase): number => c.scale ?? 1 / Math.sqrt(c.headDim);

/** Calls back for every (query, head) with its softmax over its keys and the offsets of its rows in q and k. */
function eachQuery(c: AttentionCase, visit: (p: Float64Array, start: number, query: number, keyRow: (j: number) => number, lse: number, slopes: Float64Array) => void): void {
  const { heads, kvHeads, headDim, q, k } = c;
  for (let i = 0; i < c.keyStart.length; i++) {
    for (let h = 0; h < heads; h++) {
      const query = (i * heads + h) * headDim;
      const kvHead = Math.floor(h / (heads / kvHeads));
      const start = c.keyStart[i]!;
      const keyRow = (j: number): number => (j * kvHeads + kvHead) * headDim;
      const scores = Float64Array.from({ length: c.keyEnd[i]! - start }, (_, n) => {
        let s = 0;
        for (let d = 0; d < headDim; d++) s += q[query + d]! * k[keyRow(start + n) + d]!;
        return s * scaleOf(c);
      });
      const cap = c.softcap ?? null;
      const slopes = scores.map((s) => (cap === null ? 1 : 1 - Math.tanh(s / cap) ** 2));
      if (cap !== null) scores.forEach((s, n) => (scores[n] = cap * Math.tanh(s / cap)));
      const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
      const sum = scores.reduce((total, s) => total + Math.exp(s - top), 0);
      visit(scores.map((s) => Math.exp(s - top) / sum), start, query, keyRow, top + Math.log(sum), slopes);
    }
  }
}

export function attention(c: AttentionCase): { out: Float64Array; lse: Float64Array } {
  const out = new Float64Array(c.q.length);
  const lse = new Float64Array(c.keyStart.length * c.heads);
  eachQuery(c, (p, start, query, keyRow, logSum) => {
    lse[query / c.headDim] = logSum;
    p.forEach((weight, n) => {
      for (let d = 0; d < c.headDim; d++) out[query + d]! += weight * c.v[keyRow(start + n) + d]!;
    });
  });
  return { out, lse };
}

export function attentionBackward(c: AttentionCase, dOut: Float64Array): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { headDim } = c;
  const dq = new Float64Array(c.q.length);
  const dk = new Float64Array(c.k.length);
  const dv = new Float64Array(c.v.length);
  eachQuery(c, (p, start, query, keyRow, _, slopes) => {
    const dp = p.map((_, n) => {
      let sum = 0;
      for (let d = 0; d < headDim; d++) sum += dOut[query + d]! * c.v[keyRow(start + n) + d]!;
      return sum;
    });
    const delta = p.reduce((sum, weight, n) => sum + weight * dp[n]!, 0);
    p.forEach((weight, n) => {
      const ds = weight * (dp[n]! - delta) * slopes[n]! * scaleOf(c);
      const key = keyRow(start + n);
      for (let d = 0; d < headDim; d++) {
        dq[query + d]! += ds * c.k[key + d]!;
        dk[key + d]! += ds * c.q[query + d]!;
        dv[key + d]! += weight * dOut[query + d]!;
      }
    });
  });
  return { dq, dk, dv };
}
