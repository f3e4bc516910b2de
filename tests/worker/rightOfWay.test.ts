import { describe, expect, it } from 'vitest';

import { RightOfWay } from '../../src/worker/session/rightOfWay.ts';

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
async function* numbers(): AsyncGenerator<number> {
  for (let n = 0; n < 10_000; n++) {
    if (n % 4 === 0) await turn();
    yield n;
  }
}

describe('A pass over all rows', () => {
  it('waits while something goes first, and goes on where it was', async () => {
    const right = new RightOfWay();
    const seen: number[] = [];
    const pass = (async () => {
      for await (const n of right.behind(numbers())) if (seen.push(n) === 40) return;
    })();
    while (seen.length < 5) await turn();
    let before = 0;
    await right.first(async () => {
      await turn();
      before = seen.length;
      await Promise.all([right.first(turn), right.first(turn)]);
      for (let i = 0; i < 20; i++) await turn();
      expect(seen.length).toBe(before);
    });
    await pass;
    expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(before).toBeLessThan(40);
  });

  it('goes on after work that failed', async () => {
    const right = new RightOfWay();
    await expect(right.first(async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await right.giveWay();
  });

  it('that is given up does not wait', async () => {
    const right = new RightOfWay();
    const abort = new AbortController();
    const done: string[] = [];
    let release = (): void => undefined;
    const first = right.first(() => new Promise<void>((resolve) => (release = resolve))).then(() => done.push('first'));
    const waiting = right.giveWay(abort.signal).then(() => done.push('given up'));
    await turn();
    expect(done).toEqual([]);
    abort.abort();
    await waiting;
    await right.giveWay(abort.signal);
    release();
    await first;
    expect(done).toEqual(['given up', 'first']);
  });
});
