import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embedding } from '../../src/engine/kernels/embedding.ts';
import { gatherRows, kvAppend, NO_SLOT, scatterRows } from '../../src/engine/kernels/rows.ts';
import { storedBytes } from '../../src/engine/tensor.ts';
import * as twin from '../reference/rows.ts';
import { normal, openKit, storable, uniform, type Kit } from './run.ts';

const COLS = [1, 5, 16, 67];

/** n whole numbers below `below`. */
const whole = (n: number, below: number, seed: number): Uint32Array => {
  const next = uniform(seed);
  return Uint32Array.from({ length: n }, () => Math.floor(next() * below));
};
const exactly = (values: Float64Array): Float32Array => Float32Array.from(values);

describe('moving rows', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit();
  });
  afterAll(() => kit.close());

  it.each(COLS)('gathers any rows of %i by index, the same row twice included', async (cols) => {
    const x = normal(9 * cols, 1);
    const index = whole(20, 9, 2);
    const out = kit.empty('out', 21 * cols, 5);
    await kit.run(gatherRows(kit.engine, { label: 'test', rows: { kind: 'targets', start: 0, count: 21 }, cols, index: kit.tensor('index', index), x: kit.tensor('x', x), out }), { tokens: 9, targets: 20 });
    const got = await kit.read(out);
    expect(got.subarray(0, 20 * cols)).toEqual(exactly(twin.gatherRows(x, cols, index)));
    expect(got.subarray(20 * cols).every((v) => v === 5)).toBe(true);
  });

  it('gathers a chunk of the targets from its start on', async () => {
    const x = normal(9 * 3, 1);
    const index = whole(20, 9, 2);
    const out = kit.empty('out', 8 * 3, 5);
    await kit.run(gatherRows(kit.engine, { label: 'test', rows: { kind: 'targets', start: 16, count: 8 }, cols: 3, index: kit.tensor('index', index), x: kit.tensor('x', x), out }), { tokens: 9, targets: 20 });
    expect((await kit.read(out)).subarray(0, 12)).toEqual(exactly(twin.gatherRows(x, 3, index.subarray(16))));
  });

  it.each(COLS)('scatters rows of %i to their tokens and zeros to all others', async (cols) => {
    const x = normal(3 * cols, 1);
    const slot = Uint32Array.from([NO_SLOT, 2, NO_SLOT, NO_SLOT, 0, 1]);
    const out = kit.empty('out', 7 * cols, 5);
    await kit.run(scatterRows(kit.engine, { label: 'test', cols, slot: kit.tensor('slot', slot), x: kit.tensor('x', x), out }), { tokens: 6 });
    const got = await kit.read(out);
    expect(got.subarray(0, 6 * cols)).toEqual(exactly(twin.scatterRows(x, cols, slot)));
    expect(got.subarray(6 * cols).every((v) => v === 5)).toBe(true);
  });

  it.each(COLS)('appends rows of %i to the cache after what is there', async (cols) => {
    const cacheBefore = normal(12 * cols, 1);
    const src = normal(5 * cols, 2);
    const cache = kit.tensor('cache', cacheBefore);
    await kit.run(kvAppend(kit.engine, { label: 'test', cols, src: kit.tensor('src', src), cache }), { tokens: 3, kvPast: 7 });
    expect(await kit.read(cache)).toEqual(exactly(twin.kvAppend(cacheBefore, cols, src.subarray(0, 3 * cols), 7)));
  });
});

describe('embedding', () => {
  it.each(['int8', 'nf4'] as const)('looks up %s rows as they are dequantised, whole and in parts that begin at whole blocks', async (dtype) => {
    const kit = await openKit();
    for (const cols of [7, 12]) {
      const table = storable(normal(200 * cols, 3), dtype);
      const ids = Uint32Array.from([0, 199, 199, 64, 63, 130, 8]);
      for (const maxBinding of [undefined, 1024]) {
        const w = kit.weight('table', dtype, 200, cols, table, maxBinding);
        expect(w.parts.length > 1).toBe(maxBinding !== undefined && storedBytes(dtype, 200 * cols) > maxBinding);
        const out = kit.empty('out', 8 * cols, 5);
        await kit.run(embedding(kit.engine, { label: 'test', ids: kit.tensor('ids', ids), w, out }), { tokens: ids.length });
        const got = await kit.read(out);
        expect(got.subarray(0, ids.length * cols)).toEqual(exactly(twin.gatherRows(table, cols, ids)));
        expect(got.subarray(ids.length * cols).every((v) => v === 5)).toBe(true);
      }
    }
    kit.close();
  });

  it.each(['f32', 'bf16', 'f16'] as const)('looks up %s rows of odd length exactly, whole and in parts, as they are and times a scale', async (dtype) => {
    for (const cols of [7, 12]) {
      for (const maxBinding of [undefined, 256]) {
        const kit = await openKit(maxBinding === undefined ? {} : { maxBinding });
        const table = storable(normal(50 * cols, 3), dtype);
        const ids = Uint32Array.from([0, 49, 49, 17, 1, 30, 8]);
        const w = kit.weight('table', dtype, 50, cols, table);
        expect(w.parts.length > 1).toBe(maxBinding !== undefined);
        // The output outgrows the small binding limit that cuts the table, so it is looked up in two batches.
        for (const batch of [ids.subarray(0, 4), ids.subarray(4)]) {
          const out = kit.empty('out', 5 * cols, 5);
          await kit.run(embedding(kit.engine, { label: 'test', ids: kit.tensor('ids', batch.slice()), w, out }), { tokens: batch.length });
          const got = await kit.read(out);
          expect(got.subarray(0, batch.length * cols)).toEqual(exactly(twin.gatherRows(table, cols, batch)));
          expect(got.subarray(batch.length * cols).every((v) => v === 5)).toBe(true);
          const scale = Math.fround(Math.sqrt(640));
          await kit.run(embedding(kit.engine, { label: 'test', ids: kit.tensor('ids', batch.slice()), w, out, scale }), { tokens: batch.length });
          expect((await kit.read(out)).subarray(0, batch.length * cols)).toEqual(exactly(twin.gatherRows(table, cols, batch).map((v) => v * scale)));
        }
        kit.close();
      }
    }
  });
});
