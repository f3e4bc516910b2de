/**
 * Owns answers that are far shorter or longer than the set's own: under a twentieth of the median where the median is a
 * paragraph, over six times the 95th percentile. In a set of short answers a short one is nothing to name.
 */
export interface LengthOutliers {
  short: Int32Array;
  long: Int32Array;
  median: number;
  p95: number;
}

const PARAGRAPH = 120;
const SHORT_SHARE = 1 / 20;
const LONG_TIMES = 6;
/** No answer below is long in itself, and none above is short, characters. */
const LONG = 2000;
const SHORT = 12;
const FEWEST_ROWS = 20;

/** `lengths`: characters of each row's answers, 0 for a row without. */
export function lengthOutliers(lengths: Int32Array): LengthOutliers {
  const sorted = lengths.filter((length) => length > 0).sort();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  const [median, p95] = [at(0.5), at(0.95)];
  const none = { short: new Int32Array(), long: new Int32Array(), median, p95 };
  if (sorted.length < FEWEST_ROWS) return none;
  const rows = Int32Array.from(lengths.keys());
  return {
    ...none,
    short: median < PARAGRAPH ? none.short : rows.filter((row) => lengths[row]! > 0 && lengths[row]! <= Math.min(SHORT, median * SHORT_SHARE)),
    long: rows.filter((row) => lengths[row]! > Math.max(LONG, p95 * LONG_TIMES)),
  };
}
