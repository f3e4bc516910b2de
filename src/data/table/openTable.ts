/**
 * Owns how the table of a stored dataset comes about: from the columns its import made, or from its rows where they are
 * missing or of another mapping (then they are kept for the next time), with what was edited written over them.
 */
import type { EtudeDatabase } from '../db.ts';
import { messagesOfRow, toMessages } from '../messages.ts';
import type { DatasetStore } from '../store.ts';
import type { DatasetSummary, StoredRow } from '../types.ts';
import { ColumnWriter, joinHashes } from './columns.ts';
import { deleteColumns, finishColumns, putColumns, readColumns, readHashes } from './columnStore.ts';
import type { EditedRows, StoredEdit } from './edits.ts';
import { TableIndex } from './tableIndex.ts';

export interface Opening {
  db: EtudeDatabase;
  store: DatasetStore;
  dataset: DatasetSummary;
  signal: AbortSignal;
  onProgress: (rows: number) => void;
}

/** With more rows changed than this, all copies are looked for once instead of after each. */
const FEW = 200;

export async function openTable({ db, store, dataset, signal, onProgress }: Opening): Promise<{ table: TableIndex; edited: EditedRows | null }> {
  const { id, mapping } = dataset;
  const made = (await readColumns(db, id, mapping)) ?? (await makeColumns({ db, store, dataset, signal, onProgress }));
  const table = new TableIndex(made.chunks, made.repeats);
  const edited = await store.edited(id);
  if (edited) await writeEdits({ db, store, dataset }, table, edited.edits, edited);
  return { table, edited };
}

/** Writes rows that edits have changed into the table, as they are now. */
export async function writeEdits({ db, store, dataset }: Pick<Opening, 'db' | 'store' | 'dataset'>, table: TableIndex, edits: readonly StoredEdit[], now: EditedRows): Promise<void> {
  const rows = [...new Set(edits.flatMap((edit) => [...edit.rows]))].sort((a, b) => a - b);
  if (rows.length === 0) return;
  if (!table.knowsContents) table.setContents(joinHashes((await readHashes(db, dataset.id)).map(({ content }) => content)));
  const live = rows.filter((row) => now.isLive(row));
  const gone = rows.filter((row) => !now.isLive(row));
  const many = rows.length > FEW;
  for (const row of gone) table.write(row, null, !many);
  for (let from = 0; from < live.length; from += FEW) {
    for (const row of await store.rowsAt(dataset.id, live.slice(from, from + FEW))) {
      const converted = messagesOfRow(row, dataset.mapping, 'model');
      table.write(row.index, { line: row.line, messages: converted.ok ? converted.messages : null, byHand: now.isWritten(row.index) }, !many);
    }
  }
  if (many) table.remark();
}

/** One pass over the rows the import stored. Columns that are given up half-way are not used. */
async function makeColumns({ db, store, dataset, signal, onProgress }: Opening): ReturnType<typeof readRequired> {
  const { id, mapping } = dataset;
  await deleteColumns(db, id);
  let chunks = 0;
  const writer = new ColumnWriter({
    putColumns: (chunk, columns, hashes) => putColumns(db, id, (chunks = chunk + 1) - 1, columns, hashes),
    putRepeats: (repeats) => finishColumns(db, id, { mapping, chunks, repeats }),
  });
  for await (const batch of store.storedRows(id)) {
    signal.throwIfAborted();
    for (const row of batch) {
      writer.add(row.line, storedMessages(row, dataset));
      if (writer.full) await writer.flush();
    }
    onProgress((batch.at(-1)?.index ?? 0) + 1);
  }
  await writer.finish();
  return readRequired(db, dataset);
}

function storedMessages({ value }: StoredRow, { mapping }: DatasetSummary) {
  const converted = toMessages(value, mapping, 'model');
  return converted.ok ? converted.messages : null;
}

async function readRequired(db: EtudeDatabase, { id, mapping }: DatasetSummary): Promise<NonNullable<Awaited<ReturnType<typeof readColumns>>>> {
  const read = await readColumns(db, id, mapping);
  if (!read) throw new Error('columns were made under two mappings at once');
  return read;
}
