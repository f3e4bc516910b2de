/**
 * Owns one curve of a run of any length: at most `capacity` buckets, each with the least and the greatest raw value
 * and the smoothed value at its end. Below the capacity a bucket is one point. Pure: no store, no drawing.
 */

export interface Bucket {
  /** First and last step of the bucket. */
  from: number;
  to: number;
  min: number;
  max: number;
  /** Steps at which min and max stood. */
  minStep: number;
  maxStep: number;
  /** Last raw value. */
  last: number;
  /** Bias-corrected moving average after the last step of the bucket. */
  smooth: number;
}

export interface Series {
  capacity: number;
  smoothing: number;
  /** Points a full bucket holds: 1, 2, 4, .. */
  width: number;
  /** Points in the newest bucket. */
  filled: number;
  buckets: Bucket[];
  /** State of the moving average. */
  weighted: number;
  weight: number;
}

export const SMOOTHING = 0.78;

export const emptySeries = (capacity = 512, smoothing = SMOOTHING): Series =>
  ({ capacity, smoothing, width: 1, filled: 0, buckets: [], weighted: 0, weight: 0 });

const merge = (a: Bucket, b: Bucket): Bucket => ({
  from: a.from,
  to: b.to,
  min: Math.min(a.min, b.min),
  minStep: a.min <= b.min ? a.minStep : b.minStep,
  max: Math.max(a.max, b.max),
  maxStep: a.max >= b.max ? a.maxStep : b.maxStep,
  last: b.last,
  smooth: b.smooth,
});

/** Halves the buckets by joining neighbours; what was smoothed stays as it was. */
function halve(series: Series): void {
  const joined: Bucket[] = [];
  for (let i = 0; i < series.buckets.length; i += 2) {
    const a = series.buckets[i]!;
    const b = series.buckets[i + 1];
    joined.push(b ? merge(a, b) : a);
  }
  if (series.buckets.length % 2 === 0) series.filled += series.width;
  series.buckets = joined;
  series.width *= 2;
}

/** Adds a point in place. Values that are not numbers leave the average alone and are not drawn. */
export function pushPoint(series: Series, step: number, value: number): void {
  if (!Number.isFinite(value)) return;
  series.weighted = series.smoothing * series.weighted + (1 - series.smoothing) * value;
  series.weight = series.smoothing * series.weight + (1 - series.smoothing);
  const smooth = series.weighted / series.weight;
  const point: Bucket = { from: step, to: step, min: value, max: value, minStep: step, maxStep: step, last: value, smooth };
  if (series.filled >= series.width && series.buckets.length >= series.capacity) halve(series);
  place(series, point);
}

function place(series: Series, point: Bucket): void {
  const newest = series.buckets.at(-1);
  if (newest && series.filled < series.width) {
    series.buckets[series.buckets.length - 1] = merge(newest, point);
    series.filled++;
  } else {
    series.buckets.push(point);
    series.filled = 1;
  }
}

export interface CurvePoint { step: number; value: number }

/** Raw points to draw: one for a single-point bucket, its least and greatest one otherwise, in order of steps. */
export function rawPoints(series: Series): CurvePoint[] {
  const points: CurvePoint[] = [];
  for (const b of series.buckets) {
    const least = { step: b.minStep, value: b.min };
    const greatest = { step: b.maxStep, value: b.max };
    if (b.minStep === b.maxStep) points.push(least);
    else if (b.minStep < b.maxStep) points.push(least, greatest);
    else points.push(greatest, least);
  }
  return points;
}

export const smoothPoints = (series: Series): CurvePoint[] => series.buckets.map((b) => ({ step: b.to, value: b.smooth }));

/** The bucket a step falls into, or the nearest one; null when there is none. */
export function bucketAt(series: Series, step: number): Bucket | null {
  const { buckets } = series;
  let low = 0;
  let high = buckets.length - 1;
  if (high < 0) return null;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (buckets[mid]!.to < step) low = mid + 1;
    else high = mid;
  }
  const found = buckets[low]!;
  const before = buckets[low - 1];
  return before && found.from > step && step - before.to < found.from - step ? before : found;
}
