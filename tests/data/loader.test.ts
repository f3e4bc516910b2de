import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { collate, collatePacked, packFirstFit } from '../../src/data/collator.ts';
import { batchesInOrder, DataLoader, START, type LoaderOptions, type Window } from '../../src/data/loader.ts';
import { hashText, permutation } from '../../src/data/random.ts';
import { promptHash, splitByPrompt } from '../../src/data/split.ts';
import { countTargets, type Batch, type EncodedRow, type Message } from '../../src/data/types.ts';

/** A row of `length` tokens that can be told from every other: id = 1000 x index + place; the first `prompt` are not trained. */
function row(index: number, length: number, prompt = 1): EncodedRow {
  const inputIds = Int32Array.from({ length }, (_, t) => 1000 * (index + 1) + t);
  const labels = inputIds.map((id, t) => (t < prompt ? -100 : id));
  return { index, inputIds, labels, fullLength: length, numTargets: labels.slice(1).filter((label) => label !== -100).length };
}
const line = (batch: Batch, field: 'inputIds' | 'labels' | 'positions' | 'segments', b: number): number[] => [...batch[field].slice(b * batch.shape[1], (b + 1) * batch.shape[1])];

describe('A batch', () => {
  it('is padded on the right to its longest row, and padding counts for nothing', () => {
    const batch = collate([row(0, 3), row(1, 5, 2)]);
    expect(batch.shape).toEqual([2, 5]);
    expect(line(batch, 'inputIds', 0)).toEqual([1000, 1001, 1002, 0, 0]);
    expect(line(batch, 'labels', 0)).toEqual([-100, 1001, 1002, -100, -100]);
    expect(line(batch, 'positions', 0)).toEqual([0, 1, 2, 0, 0]);
    expect(line(batch, 'segments', 0)).toEqual([1, 1, 1, 0, 0]);
    expect(countTargets(batch)).toBe(2 + 3);
  });

  it('of packed rows restarts positions, counts segments, and gives no label to the first token of any', () => {
    const batch = collatePacked([[row(0, 2, 0), row(1, 3, 0)], [row(2, 4, 0)]]);
    expect(line(batch, 'inputIds', 0)).toEqual([1000, 1001, 2000, 2001, 2002]);
    expect(line(batch, 'labels', 0)).toEqual([-100, 1001, -100, 2001, 2002]);
    expect(line(batch, 'positions', 0)).toEqual([0, 1, 0, 1, 2]);
    expect(line(batch, 'segments', 0)).toEqual([1, 1, 2, 2, 2]);
    expect(line(batch, 'segments', 1)).toEqual([1, 1, 1, 1, 0]);
  });

  it('has exactly the targets of its rows, packed or not', () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.nat(12)), { minLength: 1, maxLength: 8 });
    fc.assert(fc.property(rows, fc.integer({ min: 12, max: 30 }), (shapes, maxLength) => {
      const made = shapes.map(([length, prompt], i) => row(i, length, prompt));
      const targets = made.reduce((sum, { numTargets }) => sum + numTargets, 0);
      expect(countTargets(collate(made))).toBe(targets);
      const packs = packFirstFit([...made.keys()], made.map(({ inputIds }) => inputIds.length), maxLength);
      expect(countTargets(collatePacked(packs.map((pack) => pack.map((i) => made[i]!))))).toBe(targets);
    }), { numRuns: 200 });
  });
});

describe('Packing', () => {
  it('puts every example into the first row with room, as a plain first fit does', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 60 }), (lengths) => {
      const plain: number[][] = [];
      const free: number[] = [];
      lengths.forEach((length, i) => {
        let pack = free.findIndex((room) => room >= length);
        if (pack < 0) pack = free.push(20) - 1;
        free[pack]! -= length;
        (plain[pack] ??= []).push(i);
      });
      expect(packFirstFit([...lengths.keys()], lengths, 20)).toEqual(plain);
    }), { numRuns: 200 });
  });

  it('refuses an example that fits nowhere', () => {
    expect(() => packFirstFit([0], [21], 20)).toThrow('example 0 has 21 tokens, a packed row 20');
  });
});

describe('Shuffling', () => {
  it('is a permutation, the same for the same seed and epoch, another for another', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 300 }), fc.nat(), fc.nat(50), (n, seed, epoch) => {
      const order = permutation(n, seed, epoch);
      expect([...order].sort((a, b) => a - b)).toEqual([...Array(n).keys()]);
      expect(permutation(n, seed, epoch)).toEqual(order);
    }), { numRuns: 100 });
    const [a, b, c] = [permutation(1000, 42, 0), permutation(1000, 42, 1), permutation(1000, 43, 0)];
    expect(a.filter((value, i) => value === b[i]).length).toBeLessThan(10);
    expect(a.filter((value, i) => value === c[i]).length).toBeLessThan(10);
  });

  it('puts every row at every place about equally often', () => {
    const n = 8, runs = 8000;
    const counts = new Int32Array(n * n);
    for (let epoch = 0; epoch < runs; epoch++) permutation(n, 7, epoch).forEach((value, place) => void counts[value * n + place]!++);
    // 64 cells of mean 1000, standard deviation 30: 5 sigma.
    for (const count of counts) expect(Math.abs(count - runs / n)).toBeLessThan(150);
  });

  it('gives the order it has always given for seed 42', () => {
    expect([...permutation(10, 42, 0)]).toEqual(PERMUTATION_42);
  });
});

describe('The hash of a text', () => {
  it('tells 200,000 similar texts apart', () => {
    const seen = new Set<number>();
    for (let i = 0; i < 200_000; i++) seen.add(hashText(`What is the capital of ${i}?`));
    expect(seen.size).toBe(200_000);
  });
});

const ROWS = Array.from({ length: 11 }, (_, i) => row(i, 2 + (i % 5)));
const options = (more: Partial<LoaderOptions> = {}): LoaderOptions => ({
  rows: Int32Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), lengths: Int32Array.from(ROWS, (r) => r.inputIds.length),
  batchSize: 2, gradientAccumulationSteps: 2, seed: 42, shuffle: true, packing: false, maxLength: 8, ...more,
});
const source = async (indices: number[]) => indices.map((i) => ROWS[i]!);
async function take(loader: DataLoader, count: number, from = START): Promise<Window[]> {
  const windows: Window[] = [];
  for await (const window of loader.windows(from)) if (windows.push(window) === count) break;
  return windows;
}
const rowsSeen = (window: Window): number[] => window.batches.flatMap((batch) =>
  [...batch.inputIds].filter((_, i) => batch.segments[i] !== 0 && batch.positions[i] === 0).map((id) => id / 1000 - 1));

describe('The loader', () => {
  it('feeds every row once an epoch, in windows of which the last may be smaller', async () => {
    const loader = new DataLoader(source, options());
    expect([loader.batchesPerEpoch, loader.stepsPerEpoch]).toEqual([6, 3]);
    const windows = await take(loader, 6);
    expect(windows.map((window) => window.batches.map((batch) => batch.shape[0]))).toEqual([[2, 2], [2, 2], [2, 1], [2, 2], [2, 2], [2, 1]]);
    for (const epoch of [windows.slice(0, 3), windows.slice(3)]) expect(epoch.flatMap(rowsSeen).sort((a, b) => a - b)).toEqual([...ROWS.keys()]);
    expect(windows.slice(0, 3).flatMap(rowsSeen)).not.toEqual(windows.slice(3).flatMap(rowsSeen));
    expect(windows.map((window) => window.epochAfter)).toEqual([1 / 3, 2 / 3, 1, 1 + 1 / 3, 1 + 2 / 3, 2]);
    expect(windows[0]!.targets).toBe(rowsSeen(windows[0]!).reduce((sum, i) => sum + ROWS[i]!.numTargets, 0));
    expect(windows[0]!.tokens).toBe(rowsSeen(windows[0]!).reduce((sum, i) => sum + ROWS[i]!.inputIds.length, 0));
  });

  it('keeps the order of the file when shuffling is off', async () => {
    const windows = await take(new DataLoader(source, options({ shuffle: false })), 3);
    expect(windows.flatMap(rowsSeen)).toEqual([...ROWS.keys()]);
  });

  it('goes on from any cursor exactly as if it had never stopped', async () => {
    await fc.assert(fc.asyncProperty(fc.nat(1000), fc.boolean(), fc.boolean(), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 9 }),
      async (seed, shuffle, packing, batchSize, gradientAccumulationSteps, stop) => {
        const more = options({ seed, shuffle, packing, batchSize, gradientAccumulationSteps });
        const whole = await take(new DataLoader(source, more), stop + 3);
        const cursor = stop === 0 ? START : whole[stop - 1]!.next;
        expect(cursor).toEqual(whole[stop]!.cursor);
        expect(await take(new DataLoader(source, more), 3, structuredClone(cursor))).toEqual(whole.slice(stop));
      }), { numRuns: 60 });
  });

  it('packs as many rows in every epoch, and feeds each example once', async () => {
    const loader = new DataLoader(source, options({ packing: true, batchSize: 2, gradientAccumulationSteps: 1 }));
    const windows = await take(loader, 2 * loader.stepsPerEpoch);
    expect(loader.batchesPerEpoch).toBeLessThan(6);
    for (const epoch of [0, 1]) {
      const seen = windows.filter((window) => window.cursor.epoch === epoch).flatMap(rowsSeen);
      expect(seen.sort((a, b) => a - b)).toEqual([...ROWS.keys()]);
    }
    for (const { batches } of windows) for (const batch of batches) expect(batch.shape[1]).toBeLessThanOrEqual(8);
  });

  it('reads the next window while the last is worked on, and not more', async () => {
    const asked: number[][] = [];
    const windows = new DataLoader(async (indices) => (asked.push(indices), source(indices)), options()).windows();
    await windows.next();
    expect(asked).toHaveLength(2);
    await windows.return(undefined as never);
    expect(asked).toHaveLength(2);
  });

  it('passes on why a row could not be read', async () => {
    const windows = new DataLoader(async () => Promise.reject(new Error('the disk is gone')), options()).windows();
    await expect(windows.next()).rejects.toThrow('the disk is gone');
  });

  it('refuses to run without rows', () => {
    expect(() => new DataLoader(source, options({ rows: new Int32Array() }))).toThrow('at least one row');
  });

  it('feeds held-out rows once and in order', async () => {
    const batches: Batch[] = [];
    for await (const batch of batchesInOrder(source, Int32Array.from([4, 2, 9]), 2)) batches.push(batch);
    expect(batches.map((batch) => batch.shape[0])).toEqual([2, 1]);
    expect(batches.flatMap((batch) => line(batch, 'inputIds', 0)[0])).toEqual([5000, 10_000]);
  });
});

describe('The validation split', () => {
  const hashes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 60 }).map((values) => Float64Array.from(values, (value) => value * 2 ** 33 + value));

  it('divides the rows, keeps equal prompts together, and holds out no more than asked', () => {
    fc.assert(fc.property(hashes, fc.double({ min: 0.01, max: 0.5, noNaN: true }), fc.nat(), (promptHashes, share, seed) => {
      const rows = Int32Array.from(promptHashes.keys());
      const { train, heldOut } = splitByPrompt(rows, promptHashes, share, seed);
      expect([...train, ...heldOut].sort((a, b) => a - b)).toEqual([...rows]);
      const trained = new Set(Array.from(train, (i) => promptHashes[i]));
      for (const i of heldOut) expect(trained.has(promptHashes[i]!)).toBe(false);
      expect(heldOut.length).toBeLessThanOrEqual(Math.max(1, Math.round(share * rows.length)));
      expect(train.length).toBeGreaterThan(0);
      expect(splitByPrompt(rows, promptHashes, share, seed).heldOut).toEqual(heldOut);
    }), { numRuns: 200 });
  });

  it('holds out the share asked for when prompts differ, and other rows for another seed', () => {
    const promptHashes = Float64Array.from({ length: 1000 }, (_, i) => hashText(`q${i}`));
    const rows = Int32Array.from(promptHashes.keys());
    const [a, b] = [splitByPrompt(rows, promptHashes, 0.1, 1), splitByPrompt(rows, promptHashes, 0.1, 2)];
    expect([a.heldOut.length, b.heldOut.length, splitByPrompt(rows, promptHashes, 0, 1).heldOut.length]).toEqual([100, 100, 0]);
    expect(a.heldOut).not.toEqual(b.heldOut);
  });

  it('takes prompts for equal that differ in case, spacing and spelling of accents only', () => {
    const talk = (content: string, answer: string): Message[] => [{ role: 'user', content }, { role: 'assistant', content: answer }];
    expect(promptHash(talk('Caf\u00e9  OPEN?\n', 'yes'))).toBe(promptHash(talk('cafe\u0301 open?', 'no')));
    expect(promptHash(talk('open?', 'x'))).not.toBe(promptHash(talk('closed?', 'x')));
  });
});

/** Written down from the first version: a change here changes what every recipe's seed means. */
const PERMUTATION_42 = [6, 5, 4, 3, 1, 0, 8, 7, 2, 9];
