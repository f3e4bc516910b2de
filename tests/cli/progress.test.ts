import { describe, expect, test } from 'vitest';
import { formatDuration, ProgressBar, renderProgress } from '../../src/cli/progress.ts';

function capture(isTTY: boolean) {
  const written: string[] = [];
  let time = 0;
  const bar = new ProgressBar({ write: (text) => written.push(text), isTTY, columns: 80 }, () => time);
  return { written, bar, advance: (ms: number) => { time += ms; } };
}

describe('the progress line', () => {
  test('shows share, count, note and time left', () => {
    expect(renderProgress({ label: 'train', done: 30, total: 120, note: 'loss 2.31' }, 20))
      .toBe('train  [######..................]  30/120  loss 2.31  1:00 min left');
  });

  test('tells the time left from the share done, not before two seconds, and from the run itself where it knows', () => {
    const state = { label: 'train', done: 1, total: 100 };
    expect(renderProgress(state, 1.9)).not.toContain('left');
    expect(renderProgress(state, 2)).toContain('3:18 min left');
    expect(renderProgress({ ...state, secondsLeft: 40 }, 0)).toContain('40 s left');
    expect(renderProgress({ ...state, secondsLeft: null }, 0)).not.toContain('left');
  });

  test('writes bytes as megabytes', () => {
    expect(renderProgress({ label: 'weights', done: 524_288, total: 2_099_456, unit: 'bytes' }, 0)).toContain('0.5/2.1 MB');
  });

  test('shows a plain count while the total is unknown', () => {
    expect(renderProgress({ label: 'import', done: 1200, total: null }, 3)).toBe('import  1200');
  });

  test('never runs over the width of the screen', () => {
    expect(renderProgress({ label: 'x'.repeat(300), done: 1, total: 2 }, 1, 40)).toHaveLength(39);
  });

  test('is redrawn in place on a screen and left standing at the end', () => {
    const { written, bar } = capture(true);
    bar.update({ label: 'train', done: 1, total: 2 });
    bar.update({ label: 'train', done: 2, total: 2 });
    bar.finish();
    expect(written[1]!.startsWith('\rtrain')).toBe(true);
    expect(written[1]!.endsWith('2/2\u001b[K')).toBe(true);
    expect(written[2]).toBe('\n');
  });

  test('takes a label whose count grows for one and the same task', () => {
    const { written, bar } = capture(true);
    bar.update({ label: '0 rows', done: 1, total: 3 });
    bar.update({ label: '1,204 rows', done: 2, total: 3 });
    bar.update({ label: 'Reading rows', done: 3, total: 3 });
    expect(written.filter((text) => text === '\n')).toHaveLength(1);
  });

  test('is a line every ten seconds in a log, and one at the end', () => {
    const { written, bar, advance } = capture(false);
    for (let done = 1; done <= 25; done++) {
      bar.update({ label: 'train', done, total: 25 });
      advance(1000);
    }
    expect(written.map((text) => /(\d+)\/25/.exec(text)?.[1])).toEqual(['1', '11', '21', '25']);
    expect(written.every((text) => text.endsWith('\n') && !text.includes('\r'))).toBe(true);
  });
});

test('durations read as a person says them', () => {
  expect([0, 59.4, 59.6, 247, 3729].map(formatDuration)).toEqual(['0 s', '59 s', '1:00 min', '4:07 min', '1:02:09 h']);
});
