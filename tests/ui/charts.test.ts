import fc from 'fast-check';
import { expect, test } from 'vitest';
import { emptySeries, pushPoint } from '../../src/stores/lossSeries.ts';
import { niceTicks, stepTicks, tickDecimals } from '../../src/ui/charts/ticks.ts';
import { histogramBars } from '../../src/ui/data/LengthHistogram.tsx';
import { clusterBars, shareBars } from '../../src/ui/data/RowShapes.tsx';
import { bestOf, lossRange } from '../../src/ui/train/LossChart.tsx';

test('ticks are round and cover the data', () => {
  expect(niceTicks(1.16, 2.37, 6)).toEqual([1, 1.25, 1.5, 1.75, 2, 2.25, 2.5]);
  expect(niceTicks(0, 2e-4, 3)).toEqual([0, 1e-4, 2e-4]);
  expect(niceTicks(0, 160, 5)).toEqual([0, 50, 100, 150, 200]);
});

test('ticks of any range are distinct, rising and cover it', () => {
  const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
  fc.assert(fc.property(value, value, (a, b) => {
    const ticks = niceTicks(a, b);
    expect(ticks.length).toBeGreaterThanOrEqual(2);
    expect(ticks.length).toBeLessThanOrEqual(9);
    for (let i = 1; i < ticks.length; i++) expect(ticks[i]!).toBeGreaterThan(ticks[i - 1]!);
    const slack = Math.abs(ticks.at(-1)! - ticks[0]!) * 1e-6 + Math.max(Math.abs(a), Math.abs(b)) * 1e-5;
    expect(ticks[0]!).toBeLessThanOrEqual(Math.min(a, b) + slack);
    expect(ticks.at(-1)!).toBeGreaterThanOrEqual(Math.max(a, b) - slack);
  }));
});

test('two values that differ in their last bits give one scale, not a hundred equal ticks', () => {
  const ticks = niceTicks(0.736385, 0.7363850000000001);
  expect(new Set(ticks).size).toBe(ticks.length);
});

test('step ticks start at 0 and stay inside the run', () => {
  expect(stepTicks(180, 6)).toEqual([0, 30, 60, 90, 120, 150, 180]);
  expect(stepTicks(6, 6)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(stepTicks(0)).toEqual([0]);
  fc.assert(fc.property(fc.integer({ min: 1, max: 1_000_000 }), (n) => stepTicks(n).every((t) => t >= 0 && t <= n && Number.isInteger(t)) && stepTicks(n).length <= 8));
});

test('tick labels have as many decimals as tell them apart', () => {
  expect([tickDecimals([1, 2]), tickDecimals([1, 1.25, 1.5]), tickDecimals([0.1, 0.2])]).toEqual([0, 2, 1]);
});

test('the loss axis ignores single outliers and shows all smoothed values', () => {
  const series = emptySeries();
  for (let i = 1; i <= 200; i++) pushPoint(series, i, i === 100 ? 50 : 2 - i * 0.005);
  const [low, high] = lossRange(series, []);
  expect(high).toBeLessThan(50);
  for (const b of series.buckets) {
    expect(b.smooth).toBeGreaterThanOrEqual(low);
    expect(b.smooth).toBeLessThanOrEqual(high);
  }
});

test('a flat loss still has a scale', () => {
  const series = emptySeries();
  pushPoint(series, 1, 0.736385);
  const [low, high] = lossRange(series, []);
  expect(high - low).toBeGreaterThan(0.1);
});

test('the best validation is the lowest, the first of equals', () => {
  expect(bestOf([{ step: 10, value: 2 }, { step: 20, value: 1 }, { step: 30, value: 1 }])).toEqual({ step: 20, value: 1 });
  expect(bestOf([])).toBeNull();
});

test('histogram bars are joined without losing a row', () => {
  const counts = Array.from({ length: 101 }, (_, i) => i);
  const { bars, width } = histogramBars({ width: 8, counts }, 40);
  expect(bars.length).toBeLessThanOrEqual(40);
  expect(width).toBe(24);
  expect(bars.reduce((sum, b) => sum + b.count, 0)).toBe(5050);
});

test('groups of repeated rows and trained shares are put into bars without losing one', () => {
  expect(clusterBars([[2, 5], [3, 1], [5, 2], [11, 1], [50, 1], [51, 1], [9000, 1]]).map((bar) => [bar.name, bar.rows])).toEqual([['2', 5], ['3', 1], ['4–5', 2], ['6–10', 0], ['11–50', 2], ['over 50', 2]]);
  expect(shareBars([0, 1, 0, 0, 0, 0, 0, 0, 0, 4]).filter((bar) => bar.rows > 0)).toEqual([{ name: '10–20', rows: 1 }, { name: '90–100', rows: 4 }]);
});
