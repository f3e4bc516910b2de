/**
 * Owns the stored datasets: rows in chunks in IndexedDB, written while a file streams in, read back in any order by
 * index without holding the set, as edits left them. A half-written import is never listed and is removed. Refuses to know
 * formats and tokens.
 */
import { stored, type DatasetRecord, type EtudeDatabase } from './db.ts';
import { finishColumns, putColumns } from './table/columnStore.ts';
import type { Columns, Hashes } from './table/columns.ts';
import { EditLog, type NewEdit } from './table/editLog.ts';
import { summaryAfter, type EditedRows, type EditHead, type StoredEdit } from './table/edits.ts';
import type { StoredSplit } from './table/rowSplit.ts';
import type { AppliedFix, DatasetSummary, Mapping, RowNote, StoredRow } from './types.ts';

/** A chunk closes at this many rows or characters of source, whichever comes first. */
const CHUNK_ROWS = 64;
const CHUNK_CHARS = 256 * 1024;
const CHUNK_NOTES = 1000;
/** Chunks that one reading of many fetches, and readings on their way at a time: a browser's database answers late, not slowly. */
const CHUNKS_AT_ONCE = 8;
const READINGS_AHEAD = 4;
/** Rows in random order that are asked for together: one by one each would wait for an answer. */
const READ_AT_ONCE = 16;
/** Chunks kept at hand for reading in random order. */
const CACHED_CHUNKS = 64;
/** An import that wrote nothing for so long (ms) belongs to a tab that is gone. */
const STALE_IMPORT_MS = 60_000;

/** A dataset's rows as they were at one moment; the identifier says nothing more. */
export interface Snapshot extends Pick<DatasetStore, 'rowsAt'> {
  rows(id: string): AsyncGenerator<StoredRow>;
  /** All rows in order, many at a time, deleted ones too; see `storedRows`. */
  batches(isWanted?: (from: number, to: number) => boolean): AsyncIterable<StoredRow[]>;
}

export class DatasetStore {
  readonly #db: EtudeDatabase;
  readonly #records = new Map<string, DatasetRecord>();
  readonly #chunks = new Map<string, Promise<StoredRow[]>>();
  readonly #edits: EditLog;

  constructor(db: EtudeDatabase) {
    this.#db = db;
    this.#edits = new EditLog(db);
  }

  /** Begins a dataset. It appears in `list` only after `finish`. */
  async create(id: string): Promise<DatasetWriter> {
    const record: DatasetRecord = { id, state: 'importing', heartbeat: Date.now(), summary: { id } as DatasetSummary, chunkStarts: [] };
    await stored(() => this.#db.put('datasets', record));
    return new DatasetWriter(this.#db, record, () => this.delete(id));
  }

  /** Newest first. */
  async list(): Promise<DatasetSummary[]> {
    const records = await stored(() => this.#db.getAll('datasets'));
    const ready = records.filter((record) => record.state === 'ready');
    const summaries = await Promise.all(ready.map(async ({ id, summary }) => this.#summary(summary, await this.#edits.head(id))));
    return summaries.sort((a, b) => b.createdAt - a.createdAt);
  }

  /** With edits read again where another tab has made some. */
  async get(id: string): Promise<DatasetSummary | null> {
    const record = await this.#record(id);
    if (!record) return null;
    return this.#summary(record.summary, (await this.#edits.fresh(id, record.summary.rows))?.head);
  }

  async setMapping(id: string, mapping: Mapping): Promise<DatasetSummary | null> {
    const record = await this.#record(id);
    if (!record) return null;
    const changed = { ...record, summary: { ...record.summary, mapping } };
    await stored(() => this.#db.put('datasets', changed));
    this.#records.set(id, changed);
    return this.get(id);
  }

  async delete(id: string): Promise<void> {
    this.#records.delete(id);
    this.#edits.forget(id);
    for (const key of this.#chunks.keys()) if (key.startsWith(`${id}/`)) this.#chunks.delete(key);
    // An array sorts behind every number and text.
    const all = IDBKeyRange.bound([id], [id, []]);
    await stored(async () => {
      const tx = this.#db.transaction(['datasets', 'rows', 'turns', 'notes', 'fixes', 'columns', 'edits', 'splits'], 'readwrite');
      const parts = (['rows', 'turns', 'notes', 'columns', 'edits'] as const).map((name) => tx.objectStore(name).delete(all));
      const single = (['datasets', 'fixes', 'splits'] as const).map((name) => tx.objectStore(name).delete(id));
      await Promise.all([...single, ...parts, tx.done]);
    });
  }

  /** Removes imports whose tab is gone; returns how many. */
  async removeHalfWritten(now = Date.now()): Promise<number> {
    const records = await stored(() => this.#db.getAll('datasets'));
    const stale = records.filter((record) => record.state === 'importing' && now - record.heartbeat > STALE_IMPORT_MS);
    for (const { id } of stale) await this.delete(id);
    return stale.length;
  }

  /** Rows that are there, in order, with index in [from, to); one chunk is held at a time. */
  async *rows(id: string, from = 0, to = Infinity): AsyncGenerator<StoredRow> {
    yield* this.#rows(id, await this.edited(id), from, to);
  }

  /** Rows by index, in the order asked for, deleted ones too. Throws RangeError for an index the dataset does not have. */
  async rowsAt(id: string, indices: ArrayLike<number>): Promise<StoredRow[]> {
    return this.#rowsAt(id, await this.edited(id), indices);
  }

  /** The rows as they are now, whatever is edited later: what a run is made of. */
  async snapshot(id: string): Promise<Snapshot> {
    const edited = await this.edited(id);
    return {
      rows: () => this.#rows(id, edited, 0, Infinity),
      rowsAt: (_, indices) => this.#rowsAt(id, edited, indices),
      batches: (isWanted) => this.#batches(id, edited, isWanted),
    };
  }

  /** What edits made of the rows; null where there never was one. */
  async edited(id: string): Promise<EditedRows | null> {
    const record = await this.#record(id);
    return record && this.#edits.current(id, record.summary.rows);
  }

  /** Writes an edit; `make` sees the rows as they are then. Throws RangeError for a dataset that is not stored. */
  async edit(id: string, make: (rows: EditedRows) => Promise<NewEdit>): Promise<StoredEdit> {
    return this.#edits.append(id, await this.#base(id), make);
  }

  /** Takes an edit back, the last one without an id; an added row's later edits go with it. */
  async undoEdit(id: string, editId?: string): Promise<EditedRows | null> {
    return this.#edits.remove(id, await this.#base(id), ({ edits }) => (editId === undefined ? edits.at(-1) : edits.find((edit) => edit.id === editId)));
  }

  async *#batches(id: string, edited: EditedRows | null, isWanted?: (from: number, to: number) => boolean): AsyncGenerator<StoredRow[]> {
    for await (const batch of this.storedRows(id, isWanted)) yield edited ? batch.map((row) => edited.read(row)) : batch;
    const added = edited?.added() ?? [];
    if (added.length > 0) yield added.map((index) => edited!.addedRow(index)!);
  }

  async #base(id: string): Promise<number> {
    const record = await this.#record(id);
    if (!record) throw new RangeError(`dataset ${id} is not stored`);
    return record.summary.rows;
  }

  async #summary(summary: DatasetSummary, head: EditHead | undefined): Promise<DatasetSummary> {
    const split = await this.split(summary.id);
    return { ...summaryAfter(summary, head), ...(split ? { split: split.summary } : {}) };
  }

  async *#rows(id: string, edited: EditedRows | null, from: number, to: number): AsyncGenerator<StoredRow> {
    const record = await this.#record(id);
    if (!record) return;
    const end = Math.min(to, record.summary.rows);
    for (let chunk = chunkOf(record.chunkStarts, from); chunk < record.chunkStarts.length && record.chunkStarts[chunk]! < end; chunk++) {
      const rows = await stored(() => this.#db.get('rows', [id, chunk]));
      for (const row of rows ?? []) if (row.index >= from && row.index < end && (!edited || edited.isLive(row.index))) yield edited ? edited.read(row) : row;
    }
    for (const index of edited?.added() ?? []) if (index >= from && index < to) yield edited!.addedRow(index)!;
  }

  async #rowsAt(id: string, edited: EditedRows | null, indices: ArrayLike<number>): Promise<StoredRow[]> {
    const record = await this.#record(id);
    const starts = record?.chunkStarts ?? [];
    const isStored = (index: number): boolean => edited === null || index < edited.base;
    const found: StoredRow[] = [];
    for (let from = 0; from < indices.length; from += READ_AT_ONCE) {
      const some = Array.from({ length: Math.min(READ_AT_ONCE, indices.length - from) }, (_, i) => indices[from + i]!);
      const chunks = await Promise.all(some.map(async (index) => (record && isStored(index) ? this.#chunk(id, chunkOf(starts, index)) : [])));
      for (const [i, index] of some.entries()) {
        const row = isStored(index) ? chunks[i]![index - (starts[chunkOf(starts, index)] ?? 0)] : edited!.addedRow(index);
        if (row?.index !== index) throw new RangeError(`dataset ${id} has no row ${index}`);
        found.push(isStored(index) && edited ? edited.read(row) : row);
      }
    }
    return found;
  }

  /**
   * The rows the import stored, as they were, in order, many at a time: for looking at all of them. `isWanted` says whether
   * any of rows [from, to) is wanted. The first come at once; later ones are read while those before are looked at.
   */
  async *storedRows(id: string, isWanted: (from: number, to: number) => boolean = () => true): AsyncGenerator<StoredRow[]> {
    const record = await this.#record(id);
    if (!record) return;
    const { chunkStarts, summary } = record;
    const wanted = chunkStarts.map((_, chunk) => chunk).filter((chunk) => isWanted(chunkStarts[chunk]!, chunkStarts[chunk + 1] ?? summary.rows));
    const read = (chunks: number[]) => {
      const [first, last] = [chunks[0], chunks.at(-1)];
      if (first === undefined || last === undefined) return Promise.resolve([]);
      if (last - first + 1 > chunks.length) return stored(() => Promise.all(chunks.map((chunk) => this.#db.get('rows', [id, chunk]))));
      return stored(() => this.#db.getAll('rows', IDBKeyRange.bound([id, first], [id, last])));
    };
    const readings: Promise<(StoredRow[] | undefined)[]>[] = [];
    let size = 1;
    for (let at = 0; at < wanted.length || readings.length > 0;) {
      while (at < wanted.length && readings.length < READINGS_AHEAD) {
        const reading = read(wanted.slice(at, at + size));
        // A reader that stops here never awaits it.
        reading.catch(() => undefined);
        readings.push(reading);
        at += size;
        size = Math.min(CHUNKS_AT_ONCE, size * 2);
      }
      yield (await readings.shift()!).flatMap((chunk) => chunk ?? []);
    }
  }

  async split(id: string): Promise<StoredSplit | null> {
    return (await stored(() => this.#db.get('splits', id))) ?? null;
  }

  async setSplit(id: string, split: StoredSplit | null): Promise<void> {
    await stored(async () => void (split ? await this.#db.put('splits', split, id) : await this.#db.delete('splits', id)));
  }

  /** What the import dropped or changed, in file order; one chunk is held at a time. */
  async *notes(id: string): AsyncGenerator<RowNote> {
    for (let chunk = 0; ; chunk++) {
      const notes = await stored(() => this.#db.get('notes', [id, chunk]));
      if (!notes) return;
      yield* notes;
    }
  }

  /** Fixes in force, oldest first, for the rows they still concern: not for those that were edited or deleted since. */
  async fixes(id: string): Promise<AppliedFix[]> {
    const [fixes, edited] = await Promise.all([this.#fixes(id), this.edited(id)]);
    return edited ? fixes.map((fix) => onlyRows(fix, (row) => edited.isUntouchedSince(row, fix.appliedAt))) : fixes;
  }

  /** Keeps fixes. What an edit took out of one comes back when the edit is taken back. */
  async setFixes(id: string, fixes: AppliedFix[]): Promise<void> {
    const [before, edited] = await Promise.all([this.#fixes(id), this.edited(id)]);
    const whole = !edited ? fixes : fixes.map((fix) => {
      const was = before.find((other) => other.id === fix.id);
      return was ? joined(fix, onlyRows(was, (row) => !edited.isUntouchedSince(row, was.appliedAt))) : fix;
    });
    await stored(() => this.#db.put('fixes', whole, id));
  }

  async #fixes(id: string): Promise<AppliedFix[]> {
    return (await stored(() => this.#db.get('fixes', id))) ?? [];
  }

  async setTrainedTurns(id: string, index: number, trainedTurns: Record<number, boolean>): Promise<void> {
    const isDefault = Object.keys(trainedTurns).length === 0;
    await stored(async () => void (isDefault ? await this.#db.delete('turns', [id, index]) : await this.#db.put('turns', trainedTurns, [id, index])));
  }

  /** All switched rows of a dataset, by row index. */
  async trainedTurns(id: string): Promise<Map<number, Record<number, boolean>>> {
    const range = IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER]);
    const [keys, values] = await stored(() => Promise.all([this.#db.getAllKeys('turns', range), this.#db.getAll('turns', range)]));
    return new Map(keys.map((key, i) => [key[1], values[i]!]));
  }

  async #record(id: string): Promise<DatasetRecord | null> {
    const known = this.#records.get(id);
    if (known) return known;
    const record = await stored(() => this.#db.get('datasets', id));
    if (record?.state !== 'ready') return null;
    this.#records.set(id, record);
    return record;
  }

  async #chunk(id: string, chunk: number): Promise<StoredRow[]> {
    const key = `${id}/${chunk}`;
    const rows = this.#chunks.get(key) ?? stored(async () => (await this.#db.get('rows', [id, chunk])) ?? []);
    // What was asked for last goes last.
    this.#chunks.delete(key);
    this.#chunks.set(key, rows);
    if (this.#chunks.size > CACHED_CHUNKS) this.#chunks.delete(this.#chunks.keys().next().value!);
    try {
      return await rows;
    } catch (error) {
      if (this.#chunks.get(key) === rows) this.#chunks.delete(key);
      throw error;
    }
  }
}

/** A fix for some of its rows. */
function onlyRows(fix: AppliedFix, isKept: (row: number) => boolean): AppliedFix {
  const kept = Array.from(fix.rows, (_, i) => i).filter((i) => isKept(fix.rows[i]!));
  return kept.length === fix.rows.length ? fix : { ...fix, rows: Int32Array.from(kept, (i) => fix.rows[i]!), lines: Int32Array.from(kept, (i) => fix.lines[i]!) };
}

/** A fix with the rows of another, in order, each once. */
function joined(fix: AppliedFix, more: AppliedFix): AppliedFix {
  const lines = new Map([...more.rows].map((row, i) => [row, more.lines[i]!]));
  fix.rows.forEach((row, i) => lines.set(row, fix.lines[i]!));
  const rows = Int32Array.from(lines.keys()).sort();
  return { ...fix, rows, lines: rows.map((row) => lines.get(row)!) };
}

/** Writes one dataset's rows as they stream in. */
export class DatasetWriter {
  readonly id: string;
  readonly #db: EtudeDatabase;
  readonly #record: DatasetRecord;
  readonly #remove: () => Promise<void>;
  #pending: StoredRow[] = [];
  #chars = 0;
  #rows = 0;
  #notes: RowNote[] = [];
  #noteChunks = 0;
  #columnChunks = 0;
  #repeats: Int32Array | null = null;
  /** The chunk that is on its way to the disk, while the next is filled. */
  #writing: Promise<void> = Promise.resolve();

  constructor(db: EtudeDatabase, record: DatasetRecord, remove: () => Promise<void>) {
    this.id = record.id;
    this.#db = db;
    this.#record = record;
    this.#remove = remove;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds a row; `chars` is its size in the source. With a full chunk, waits for the disk to have the one before. */
  async add(line: number, value: unknown, chars: number): Promise<void> {
    this.#pending.push({ index: this.#rows++, line, value });
    this.#chars += chars;
    if (this.#pending.length >= CHUNK_ROWS || this.#chars >= CHUNK_CHARS) await this.#flush();
  }

  /** Records what happened to a row. */
  async note(note: RowNote): Promise<void> {
    this.#notes.push(note);
    if (this.#notes.length >= CHUNK_NOTES) await this.#flushNotes();
  }

  /** Keeps columns of the table; chunks in order. */
  async putColumns(chunk: number, columns: Columns, hashes: Hashes): Promise<void> {
    await putColumns(this.#db, this.id, chunk, columns, hashes);
    this.#columnChunks = chunk + 1;
  }

  async putRepeats(rows: Int32Array): Promise<void> {
    this.#repeats = rows;
  }

  /** Makes the dataset visible. */
  async finish(summary: DatasetSummary): Promise<DatasetSummary> {
    await this.#flush();
    await this.#writing;
    await this.#flushNotes();
    if (this.#repeats) await finishColumns(this.#db, this.id, { mapping: summary.mapping, chunks: this.#columnChunks, repeats: this.#repeats });
    await stored(() => this.#db.put('datasets', { ...this.#record, state: 'ready', summary }));
    return summary;
  }

  /** Removes what was written. */
  async abort(): Promise<void> {
    this.#pending = [];
    await this.#writing.catch(() => undefined);
    await this.#remove();
  }

  async #flushNotes(): Promise<void> {
    if (this.#notes.length === 0) return;
    const notes = this.#notes;
    this.#notes = [];
    await stored(() => this.#db.put('notes', notes, [this.id, this.#noteChunks++]));
  }

  async #flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    const rows = this.#pending;
    const chunk = this.#record.chunkStarts.length;
    this.#pending = [];
    this.#chars = 0;
    this.#record.chunkStarts.push(rows[0]!.index);
    await this.#writing;
    this.#writing = stored(async () => {
      const tx = this.#db.transaction(['datasets', 'rows'], 'readwrite', { durability: 'relaxed' });
      const puts = [tx.objectStore('rows').put(rows, [this.id, chunk])];
      const due = Date.now() - this.#record.heartbeat > STALE_IMPORT_MS / 10;
      if (due) this.#record.heartbeat = Date.now();
      await Promise.all([...puts, due ? tx.objectStore('datasets').put(this.#record) : null, tx.done]);
    });
    // Whoever waits for it next hears of its failure.
    this.#writing.catch(() => undefined);
  }
}

/** Number of the chunk that holds a row: the last one that starts at or before it. */
function chunkOf(starts: number[], index: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= index) low = middle;
    else high = middle - 1;
  }
  return low;
}
