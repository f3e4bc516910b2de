import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { throttle } from '../../src/stores/throttle.ts';

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

test('the first call runs at once, a burst ends with one more call', () => {
  const fn = vi.fn<() => void>();
  const t = throttle(fn, 100);
  for (let i = 0; i < 50; i++) t.call();
  expect(fn).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(100);
  expect(fn).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(1000);
  expect(fn).toHaveBeenCalledTimes(2);
});

test('a stream of calls runs no more often than the interval allows', () => {
  const fn = vi.fn<() => void>();
  const t = throttle(fn, 250);
  for (let ms = 0; ms < 2000; ms += 10) {
    t.call();
    vi.advanceTimersByTime(10);
  }
  expect(fn.mock.calls.length).toBeLessThanOrEqual(9);
  expect(fn.mock.calls.length).toBeGreaterThanOrEqual(8);
});

test('a page that is late gets as much rest again', () => {
  const fn = vi.fn<() => void>();
  const t = throttle(fn, 100);
  t.call();
  t.call();
  // 400 ms of work hold up the timer of 100 ms.
  vi.setSystemTime(Date.now() + 400);
  vi.advanceTimersByTime(100);
  expect(fn).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(399);
  expect(fn).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(2);
  expect(fn).toHaveBeenCalledTimes(2);
});

test('flush runs now and drops what was waiting; cancel drops it without running', () => {
  const fn = vi.fn<() => void>();
  const t = throttle(fn, 100);
  t.call();
  t.call();
  t.flush();
  expect(fn).toHaveBeenCalledTimes(2);
  t.call();
  t.call();
  t.cancel();
  vi.advanceTimersByTime(500);
  expect(fn).toHaveBeenCalledTimes(3);
});
