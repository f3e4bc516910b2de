import 'fake-indexeddb/auto';
import { openDB } from 'idb';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openDatabase, type EtudeDatabase } from '../../src/data/db.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { rememberVariants } from '../../src/worker/session/tuning.ts';
import { testGpu } from '../setup/gpu.ts';

describe('the fastest kernels of a graphics adapter', () => {
  let engine: Engine;
  let db: EtudeDatabase;
  const database = async () => db;
  /** A visit with a card: what it remembers at the start. */
  const visit = async (key: string, from = database): Promise<Engine> => {
    const card: Engine = { ...engine, variants: {}, info: { ...engine.info, software: false, key } };
    await rememberVariants(card, from);
    return card;
  };

  beforeAll(async () => {
    engine = await openEngine(await testGpu());
    db = await openDatabase('tuning');
  });
  afterAll(() => {
    engine?.destroy();
    db?.close();
  });

  test('are remembered for an adapter, each measurement beside the earlier ones, and not for another adapter', async () => {
    const first = await visit('card A');
    expect(first.variants).toEqual({});
    first.onTuned!({ 'a product': 'tiled' });
    first.onTuned!({ 'another': 'direct', 'a product': 'tiled64x64' });
    await vi.waitFor(async () => expect((await visit('card A')).variants).toEqual({ 'a product': 'tiled64x64', 'another': 'direct' }));
    expect((await visit('card B')).variants).toEqual({});
  });

  test('are measured anew when what was kept is no choice', async () => {
    const key = (await db.getAllKeys('settings')).find((k) => k.includes('card A'));
    await db.put('settings', { 'a product': 3 }, key!);
    expect((await visit('card A')).variants).toEqual({});
  });

  test('hold for the visit where nothing can be kept', async () => {
    const card = await visit('card C', () => Promise.reject(new Error('storage is blocked')));
    card.onTuned!({ 'a product': 'tiled' });
    expect(card.variants).toEqual({});
  });

  test('are not remembered for a software adapter, whose defaults stand', async () => {
    await rememberVariants(engine, database);
    expect(engine.onTuned).toBeNull();
  });
});

test('a database of the version before keeps its data', async () => {
  const old = await openDB('older', 1, {
    upgrade(db) {
      db.createObjectStore('datasets', { keyPath: 'id' });
      for (const name of ['rows', 'turns', 'checkpoints']) db.createObjectStore(name);
      db.createObjectStore('runs', { keyPath: 'id' });
    },
  });
  await old.put('runs', { id: 'a run' });
  old.close();
  const db = await openDatabase('older');
  expect(await db.getAll('runs')).toEqual([{ id: 'a run' }]);
  await db.put('settings', 1, 'a key');
  expect(await db.get('settings', 'a key')).toBe(1);
  db.close();
});
