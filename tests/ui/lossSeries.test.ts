import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bucketAt, emptySeries, pushPoint, rawPoints, smoothPoints, type Series } from '../../src/stores/lossSeries.ts';

const made = (values: number[], capacity = 8, smoothing = 0.78): Series => {
  const series = emptySeries(capacity, smoothing);
  values.forEach((v, i) => pushPoint(series, i + 1, v));
  return series;
};

/** Bias-corrected moving average, written as its sum. */
const average = (values: number[], s = 0.78): number => {
  let sum = 0;
  let weight = 0;
  values.forEach((v, i) => {
    const w = (1 - s) * s ** (values.length - 1 - i);
    sum += w * v;
    weight += w;
  });
  return sum / weight;
};

const runs = fc.array(fc.double({ min: 0, max: 20, noNaN: true }), { minLength: 1, maxLength: 400 });

test('a short run keeps every point', () => {
  const series = made([3, 2, 1]);
  expect(rawPoints(series)).toEqual([{ step: 1, value: 3 }, { step: 2, value: 2 }, { step: 3, value: 1 }]);
});

test('a run of any length stays within the capacity', () => {
  fc.assert(fc.property(runs, (values) => made(values).buckets.length <= 8));
});

test('the least and the greatest value of a run survive in some bucket', () => {
  fc.assert(fc.property(runs, (values) => {
    const { buckets } = made(values);
    expect(Math.min(...buckets.map((b) => b.min))).toBe(Math.min(...values));
    expect(Math.max(...buckets.map((b) => b.max))).toBe(Math.max(...values));
  }));
});

test('buckets cover all steps in order, without a gap or an overlap', () => {
  fc.assert(fc.property(runs, (values) => {
    const { buckets } = made(values);
    expect(buckets[0]!.from).toBe(1);
    expect(buckets.at(-1)!.to).toBe(values.length);
    for (let i = 1; i < buckets.length; i++) expect(buckets[i]!.from).toBe(buckets[i - 1]!.to + 1);
  }));
});

test('the smoothed line is the bias-corrected moving average of all raw values, whatever was merged', () => {
  fc.assert(fc.property(runs, (values) => {
    for (const b of made(values).buckets) expect(b.smooth).toBeCloseTo(average(values.slice(0, b.to)), 8);
  }));
});

test('what has been smoothed is never redrawn: later points leave it as it was', () => {
  const values = Array.from({ length: 6 }, (_, i) => 2 - i * 0.1);
  const before = smoothPoints(made(values));
  expect(smoothPoints(made([...values, 9, 9])).slice(0, 6)).toEqual(before);
});

test('the first smoothed value is the first value, not pulled towards 0', () => {
  expect(smoothPoints(made([2.5]))[0]!.value).toBeCloseTo(2.5, 12);
});

test('a bucket draws its least and greatest value in the order of their steps', () => {
  const series = made([5, 1, 2, 8], 2);
  expect(rawPoints(series)).toEqual([{ step: 1, value: 5 }, { step: 2, value: 1 }, { step: 3, value: 2 }, { step: 4, value: 8 }]);
});

test('values that are not numbers are left out', () => {
  expect(made([1, Number.NaN, Number.POSITIVE_INFINITY, 2]).buckets.map((b) => b.to)).toEqual([1, 4]);
});

test('a step is found in its bucket, or in the nearest one', () => {
  fc.assert(fc.property(runs, fc.nat(500), (values, wanted) => {
    const series = made(values);
    const found = bucketAt(series, wanted)!;
    const distance = (b: { from: number; to: number }) => Math.max(b.from - wanted, wanted - b.to, 0);
    expect(distance(found)).toBe(Math.min(...series.buckets.map(distance)));
  }));
  expect(bucketAt(emptySeries(), 3)).toBeNull();
});
