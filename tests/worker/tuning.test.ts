import 'fake-indexeddb/auto';
import { openDB } from 'idb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase, type EtudeDatabase } from '../../src/data/db.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { defaultVariant, SHAPE_CLASSES } from '../../src/engine/variants.ts';
import { tunedVariants } from '../../src/worker/session/tuning.ts';
import { testGpu } from '../setup/gpu.ts';

describe('the fastest kernels of a graphics adapter', () => {
  let engine: Engine;
  let db: EtudeDatabase;
  let measured = 0;
  const database = async () => db;
  const tune = async (e: Engine): Promise<Record<string, string>> => {
    measured++;
    return Object.fromEntries(SHAPE_CLASSES.map((shape) => [shape, defaultVariant(e, shape)]));
  };
  const card = (key: string): Engine => ({ ...engine, info: { ...engine.info, software: false, key } });

  beforeAll(async () => {
    engine = await openEngine(await testGpu());
    db = await openDatabase('tuning');
  });
  afterAll(() => {
    engine?.destroy();
    db?.close();
  });

  test('are measured once for an adapter, and again for another', async () => {
    const first = await tunedVariants(card('card A'), database, tune);
    expect(Object.keys(first).sort()).toEqual([...SHAPE_CLASSES].sort());
    expect(await tunedVariants(card('card A'), database, tune)).toEqual(first);
    expect(measured).toBe(1);
    await tunedVariants(card('card B'), database, tune);
    expect(measured).toBe(2);
  });

  test('are measured anew when what was kept cannot run here', async () => {
    const key = (await db.getAllKeys('settings')).find((k) => k.includes('card A'));
    await db.put('settings', { 'matmulNT.wide': 'abacus' }, key!);
    const before = measured;
    await tunedVariants(card('card A'), database, tune);
    expect(measured).toBe(before + 1);
  });

  test('are measured for the visit where nothing can be kept', async () => {
    const before = measured;
    const choice = await tunedVariants(card('card C'), () => Promise.reject(new Error('storage is blocked')), tune);
    expect(Object.keys(choice)).toHaveLength(SHAPE_CLASSES.length);
    expect(measured).toBe(before + 1);
  });

  test('are not measured on a software adapter, whose defaults stand', async () => {
    const before = measured;
    expect(await tunedVariants({ ...engine, info: { ...engine.info, software: true } }, database, tune)).toEqual({});
    expect(measured).toBe(before);
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
