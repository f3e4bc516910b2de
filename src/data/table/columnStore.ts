/** Owns where the columns of a dataset's table are kept: in chunks, and a note behind them that says they are whole and of which mapping. */
import { stored, type ColumnsMade, type EtudeDatabase } from '../db.ts';
import type { Mapping } from '../types.ts';
import type { Columns, Hashes } from './columns.ts';

export async function putColumns(db: EtudeDatabase, id: string, chunk: number, columns: Columns, hashes: Hashes): Promise<void> {
  await stored(async () => {
    const tx = db.transaction('columns', 'readwrite', { durability: 'relaxed' });
    await Promise.all([tx.store.put(columns, [id, `c${chunk}`]), tx.store.put(hashes, [id, `h${chunk}`]), tx.done]);
  });
}

/** Called behind the last chunk. `repeats`: rows that repeat an earlier one. */
export async function finishColumns(db: EtudeDatabase, id: string, made: { mapping: Mapping; chunks: number; repeats: Int32Array }): Promise<void> {
  await stored(() => db.put('columns', { ...made, mapping: mappingKey(made.mapping) }, [id, 'made']));
}

/** Chunks in order; null where they were never made, not finished, or made under another mapping. */
export async function readColumns(db: EtudeDatabase, id: string, mapping: Mapping): Promise<{ chunks: Columns[]; repeats: Int32Array } | null> {
  const made = await madeOf(db, id);
  if (made?.mapping !== mappingKey(mapping)) return null;
  return { chunks: await read<Columns>(db, id, 'c', made.chunks), repeats: made.repeats };
}

export async function readHashes(db: EtudeDatabase, id: string): Promise<Hashes[]> {
  return read<Hashes>(db, id, 'h', (await madeOf(db, id))?.chunks ?? 0);
}

const madeOf = async (db: EtudeDatabase, id: string): Promise<ColumnsMade | undefined> => (await stored(() => db.get('columns', [id, 'made']))) as ColumnsMade | undefined;

/** Removes columns that are to be made anew. */
export async function deleteColumns(db: EtudeDatabase, id: string): Promise<void> {
  await stored(() => db.delete('columns', IDBKeyRange.bound([id], [id, []])));
}

async function read<Chunk>(db: EtudeDatabase, id: string, kind: 'c' | 'h', chunks: number): Promise<Chunk[]> {
  return stored(() => Promise.all(Array.from({ length: chunks }, (_, i) => db.get('columns', [id, `${kind}${i}`])))) as Promise<Chunk[]>;
}

/** The order in which a mapping's parts were set says nothing. */
const mappingKey = (mapping: Mapping): string => JSON.stringify(Object.entries(mapping).filter(([, field]) => field !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)));
