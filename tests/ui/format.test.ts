import { expect, test } from 'vitest';
import * as f from '../../src/ui/format.ts';

test('three significant digits, with k and M from a thousand on', () => {
  expect([2860, 24.63, 1.294, 0.631, 0.0123, 527_400, 4_884_480].map(f.formatSig)).toEqual(['2.86k', '24.6', '1.29', '0.63', '0.0123', '527k', '4.88M']);
});

test('rounding never shows a thousand of a unit', () => {
  expect(f.formatSig(999.7)).toBe('1.00k');
  expect(f.formatCountShort(999_600)).toBe('1.00M');
  expect(f.formatBytes(999_700)).toBe('1.00 MB');
});

test('counts are whole with commas to 99,999 and short beyond', () => {
  expect([0, 999, 1118, 99_999, 100_000, 4_884_480].map(f.formatCount)).toEqual(['0', '999', '1,118', '99,999', '100k', '4.88M']);
});

test('a loss has two decimals on readouts and four in tables', () => {
  expect(f.formatLoss(1.2949)).toBe('1.29');
  expect(f.formatLossExact(1.2949)).toBe('1.2949');
});

test('learning rates are written with an exponent, short on axes', () => {
  expect(f.formatRate(2e-4)).toBe('2.00e-4');
  expect([2e-4, 1.5e-4, 0.01, 0].map(f.formatRateShort)).toEqual(['2e-4', '1.5e-4', '1e-2', '0']);
});

test('bytes are decimal: kB, MB, GB', () => {
  expect([740, 61_231, 860_000, 19_600_000, 1_190_000_000, 42].map(f.formatBytes)).toEqual(['0.74 kB', '61.2 kB', '860 kB', '19.6 MB', '1.19 GB', '42 B']);
  expect(f.formatBytesOf(164e6, 269e6)).toBe('164 of 269 MB');
});

test('elapsed time is a clock; a forecast is in words and to the minute beyond ten', () => {
  expect([33, 176, 3850].map(f.formatClock)).toEqual(['0:33', '2:56', '1:04:10']);
  expect([0.4, 33, 210, 240, 59.6, 599.7, 754, 3600, 7500].map(f.formatDuration)).toEqual(
    ['under 1 s', '33 s', '3 min 30 s', '4 min', '1 min', '10 min', '13 min', '1 h', '2 h 5 min']);
});

test('a thin space stands before the percent sign', () => {
  expect(f.formatPercent(0.0363)).toBe('3.63\u2009%');
  expect(f.formatPercent(1)).toBe('100\u2009%');
});

test('unknown is an en dash, never 0', () => {
  for (const format of [f.formatSig, f.formatCount, f.formatLoss, f.formatRate, f.formatBytes, f.formatClock, f.formatDuration, f.formatPercent, f.formatFlops]) {
    expect(format(null)).toBe('–');
    expect(format(Number.NaN)).toBe('–');
    expect(format(undefined)).toBe('–');
  }
});

test('one row, two rows', () => {
  expect([f.plural(1, 'row'), f.plural(2, 'row'), f.plural(1, 'this', 'these')]).toEqual(['1 row', '2 rows', '1 this']);
});

test('speeds below and above a teraflop', () => {
  expect([f.formatFlops(1840), f.formatFlops(2.4)]).toEqual(['1.84 TFLOP/s', '2.40 GFLOP/s']);
});

test('a date of today says so, one of this year leaves the year out', () => {
  const now = new Date(2026, 10, 23, 15, 0).getTime();
  expect(f.formatDate(new Date(2026, 10, 23, 14, 6).getTime(), now)).toBe('today 14:06');
  expect(f.formatDate(new Date(2026, 2, 3, 9, 5).getTime(), now)).toBe('3 Mar 09:05');
  expect(f.formatDate(new Date(2025, 2, 3, 9, 5).getTime(), now)).toBe('3 Mar 2025');
});
