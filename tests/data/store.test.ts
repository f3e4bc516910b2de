import 'fake-indexeddb/auto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import fc from 'fast-check';

import type { EtudeError } from '../../src/config/errors.ts';
import { openDatabase, type EtudeDatabase } from '../../src/data/db.ts';
import { RunStore } from '../../src/data/runStore.ts';
import { DatasetStore } from '../../src/data/store.ts';
import type { DatasetSummary } from '../../src/data/types.ts';

let db: EtudeDatabase;
let store: DatasetStore;
let counter = 0;
beforeEach(async () => {
  db = await openDatabase(`store-${counter++}`);
  store = new DatasetStore(db);
});
afterEach(() => {
  vi.restoreAllMocks();
  db.close();
});

const summary = (id: string, rows: number, createdAt = 1): DatasetSummary => ({
  id, name: id, source: 'file', bytes: 1, rows, skipped: 0, skippedLines: [], mapping: { shape: 'table' }, detectedBecause: '', fields: [], createdAt,
});
async function write(id: string, rows: number, charsOf = (i: number) => i % 700, createdAt = 1): Promise<void> {
  const writer = await store.create(id);
  for (let i = 0; i < rows; i++) await writer.add(i * 2 + 1, { n: i }, charsOf(i));
  await writer.finish(summary(id, rows, createdAt));
}

describe('Stored datasets', () => {
  it('are listed newest first, once they are whole', async () => {
    await write('old', 3, undefined, 1);
    await write('new', 3, undefined, 2);
    await store.create('unfinished');
    expect((await store.list()).map((dataset) => dataset.id)).toEqual(['new', 'old']);
    expect(await store.get('unfinished')).toBeNull();
  });

  it('give rows in file order, in part too', async () => {
    await write('a', 500);
    const lines: number[] = [];
    for await (const row of store.rows('a', 60, 200)) lines.push(row.line);
    expect(lines).toEqual(Array.from({ length: 140 }, (_, i) => (i + 60) * 2 + 1));
    for await (const _ of store.rows('nothing')) throw new Error('a dataset that is not there has rows');
  });

  it('give rows by index in any order, however the chunks fell', async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 40_000 }), fc.infiniteStream(fc.nat()), async (rows, chars, draws) => {
      const id = `set-${counter++}`;
      await write(id, rows, () => chars);
      const indices = [...draws.take(30)].map((draw) => draw % rows);
      expect((await store.rowsAt(id, indices)).map((row) => [row.index, row.value])).toEqual(indices.map((i) => [i, { n: i }]));
    }), { numRuns: 20 });
  });

  it('give all rows in batches in order, or those of the chunks that are wanted', async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 4000 }), fc.integer({ min: 1, max: 40_000 }), fc.integer({ min: 1, max: 400 }), async (rows, chars, apart) => {
      const id = `set-${counter++}`;
      await write(id, rows, () => chars);
      const all: number[] = [];
      for await (const batch of store.storedRows(id)) all.push(...batch.map(({ index }) => index));
      expect(all).toEqual(Array.from({ length: rows }, (_, i) => i));
      const some: number[] = [];
      for await (const batch of store.storedRows(id, (from, to) => Math.ceil(from / apart) * apart < to)) some.push(...batch.map(({ index }) => index));
      expect(some).toEqual([...new Set(some)].sort((a, b) => a - b));
      for (let row = 0; row < rows; row += apart) expect(some).toContain(row);
    }), { numRuns: 10 });
  });

  it('hold no more than a few chunks in memory', async () => {
    await write('a', 64 * 200);
    const get = vi.spyOn(IDBObjectStore.prototype, 'get');
    await store.rowsAt('a', Array.from({ length: 200 }, (_, i) => i * 64));
    const first = get.mock.calls.length;
    await store.rowsAt('a', Array.from({ length: 60 }, (_, i) => (140 + i) * 64));
    expect(get.mock.calls.length).toBe(first);
    await store.rowsAt('a', [0]);
    expect(get.mock.calls.length).toBe(first + 1);
  });

  it('are read again after a reading that failed', async () => {
    await write('a', 200);
    const get = vi.spyOn(IDBObjectStore.prototype, 'get').mockImplementation(() => {
      throw new DOMException('gone', 'UnknownError');
    });
    await expect(store.rowsAt('a', [3, 150, 4])).rejects.toMatchObject({ code: 'storage.unavailable' });
    get.mockRestore();
    expect((await store.rowsAt('a', [3, 150, 4])).map((row) => row.index)).toEqual([3, 150, 4]);
  });

  it('say which row they do not have', async () => {
    await write('a', 10);
    await expect(store.rowsAt('a', [10])).rejects.toThrow('dataset a has no row 10');
    await expect(store.rowsAt('b', [0])).rejects.toThrow('dataset b has no row 0');
  });

  it('are deleted with all their rows and switches, and no others', async () => {
    await write('a', 200);
    await write('b', 200);
    await store.setTrainedTurns('a', 3, { 1: false });
    await store.rowsAt('a', [0]);
    await store.delete('a');
    expect((await store.list()).map((dataset) => dataset.id)).toEqual(['b']);
    expect(await db.count('turns')).toBe(0);
    await expect(store.rowsAt('a', [0])).rejects.toThrow('has no row 0');
    expect(await store.rowsAt('b', [199])).toHaveLength(1);
  });

  it('that were half written are removed once their tab is gone, and not before', async () => {
    const writer = await store.create('half');
    for (let i = 0; i < 200; i++) await writer.add(i, {}, 1);
    await expect(store.rowsAt('half', [0])).rejects.toThrow('has no row 0');
    expect(await store.removeHalfWritten()).toBe(0);
    expect(await store.removeHalfWritten(Date.now() + 61_000)).toBe(1);
    expect([await db.count('rows'), await db.count('datasets')]).toEqual([0, 0]);
  });

  it('keep a corrected mapping and the switches of the inspector', async () => {
    await write('a', 5);
    const mapping = { shape: 'table' as const, instruction: 'q', output: 'a' };
    expect((await store.setMapping('a', mapping))!.mapping).toEqual(mapping);
    await store.setTrainedTurns('a', 4, { 2: false });
    await store.setTrainedTurns('a', 1, { 0: true });
    await store.setTrainedTurns('a', 1, {});
    const again = new DatasetStore(db);
    expect((await again.get('a'))!.mapping).toEqual(mapping);
    expect(await again.trainedTurns('a')).toEqual(new Map([[4, { 2: false }]]));
  });
});

describe('The database', () => {
  const refusal = async (promise: Promise<unknown>): Promise<EtudeError> => promise.then(() => expect.fail('it opened'), (error: unknown) => error as EtudeError);

  it('held by another tab with an older version says so', async () => {
    const name = `blocked-${counter++}`;
    // An older Etude that does not let go.
    await new Promise((resolve) => (indexedDB.open(name, 0.5 + 0.5).onsuccess = resolve));
    const real = indexedDB.open.bind(indexedDB);
    vi.spyOn(indexedDB, 'open').mockImplementation((name) => real(name, 2));
    expect((await refusal(openDatabase(name))).code).toBe('storage.blocked');
  });

  it('that a newer Etude has used says so', async () => {
    const name = `newer-${counter++}`;
    await new Promise<void>((resolve) => {
      const request = indexedDB.open(name, 9);
      request.onsuccess = () => {
        request.result.close();
        resolve();
      };
    });
    const error = await refusal(openDatabase(name));
    expect(error.code).toBe('storage.unavailable');
    expect(error.userMessage.likelyCause).toContain('newer version');
  });

  it('that the browser forbids says so', async () => {
    vi.spyOn(indexedDB, 'open').mockImplementation(() => {
      throw new DOMException('The operation is insecure.', 'SecurityError');
    });
    expect((await refusal(openDatabase())).code).toBe('storage.unavailable');
  });
});

describe('Stored runs', () => {
  it('and their checkpoints are kept, replaced, listed and deleted', async () => {
    const runs = new RunStore<{ id: string; name: string }, { step: number; moments: Float32Array }>(db);
    await runs.putRun({ id: 'r', name: 'first' });
    await runs.putRun({ id: 's', name: 'second' });
    await runs.putRun({ id: 'r', name: 'renamed' });
    await runs.putCheckpoint('r', { step: 1, moments: new Float32Array([1.5]) });
    await runs.putCheckpoint('r', { step: 2, moments: new Float32Array([2.5]) });
    expect(await runs.getRun('r')).toEqual({ id: 'r', name: 'renamed' });
    expect(await runs.getCheckpoint('r')).toEqual({ step: 2, moments: new Float32Array([2.5]) });
    expect([await runs.getRun('x'), await runs.getCheckpoint('s')]).toEqual([null, null]);
    expect((await runs.listRuns()).map((run) => run.id)).toEqual(['r', 's']);
    expect(await runs.listCheckpoints()).toEqual(['r']);
    await runs.deleteRun('r');
    expect([await runs.getRun('r'), await runs.getCheckpoint('r'), await runs.listCheckpoints()]).toEqual([null, null, []]);
  });

  it('say when the disk is full, and keep the checkpoint they had', async () => {
    const runs = new RunStore<{ id: string }, number>(db);
    await runs.putCheckpoint('r', 1);
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError');
    });
    await expect(runs.putCheckpoint('r', 2)).rejects.toMatchObject({ code: 'storage.full' });
    vi.restoreAllMocks();
    expect(await runs.getCheckpoint('r')).toBe(1);
  });
});
