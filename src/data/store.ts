/**
 * Owns the stored datasets: rows in chunks in IndexedDB, written while a file streams in, read back in any order by
 * index without holding the set. A half-written import is never listed and is removed. Refuses to know formats and tokens.
 */
import { stored, type DatasetRecord, type EtudeDatabase } from './db.ts';
import type { AppliedFix, DatasetSummary, Mapping, RowNote, StoredRow } from './types.ts';

/** A chunk closes at this many rows or characters of source, whichever comes first. */
const CHUNK_ROWS = 64;
const CHUNK_CHARS = 256 * 1024;
const CHUNK_NOTES = 1000;
/** Chunks kept at hand for reading in random order. */
const CACHED_CHUNKS = 64;
/** An import that wrote nothing for so long (ms) belongs to a tab that is gone. */
const STALE_IMPORT_MS = 60_000;

export class DatasetStore {
  readonly #db: EtudeDatabase;
  readonly #records = new Map<string, DatasetRecord>();
  readonly #chunks = new Map<string, StoredRow[]>();

  constructor(db: EtudeDatabase) {
    this.#db = db;
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
    return records.filter((record) => record.state === 'ready').map((record) => record.summary).sort((a, b) => b.createdAt - a.createdAt);
  }

  async get(id: string): Promise<DatasetSummary | null> {
    return (await this.#record(id))?.summary ?? null;
  }

  async setMapping(id: string, mapping: Mapping): Promise<DatasetSummary | null> {
    const record = await this.#record(id);
    if (!record) return null;
    const changed = { ...record, summary: { ...record.summary, mapping } };
    await stored(() => this.#db.put('datasets', changed));
    this.#records.set(id, changed);
    return changed.summary;
  }

  async delete(id: string): Promise<void> {
    this.#records.delete(id);
    for (const key of this.#chunks.keys()) if (key.startsWith(`${id}/`)) this.#chunks.delete(key);
    const all = IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER]);
    await stored(async () => {
      const tx = this.#db.transaction(['datasets', 'rows', 'turns', 'notes', 'fixes'], 'readwrite');
      const parts = (['rows', 'turns', 'notes'] as const).map((name) => tx.objectStore(name).delete(all));
      await Promise.all([tx.objectStore('datasets').delete(id), tx.objectStore('fixes').delete(id), ...parts, tx.done]);
    });
  }

  /** Removes imports whose tab is gone; returns how many. */
  async removeHalfWritten(now = Date.now()): Promise<number> {
    const records = await stored(() => this.#db.getAll('datasets'));
    const stale = records.filter((record) => record.state === 'importing' && now - record.heartbeat > STALE_IMPORT_MS);
    for (const { id } of stale) await this.delete(id);
    return stale.length;
  }

  /** Rows in file order, [from, to); one chunk is held at a time. */
  async *rows(id: string, from = 0, to = Infinity): AsyncGenerator<StoredRow> {
    const record = await this.#record(id);
    if (!record) return;
    const end = Math.min(to, record.summary.rows);
    for (let chunk = chunkOf(record.chunkStarts, from); chunk < record.chunkStarts.length && record.chunkStarts[chunk]! < end; chunk++) {
      const rows = await stored(() => this.#db.get('rows', [id, chunk]));
      for (const row of rows ?? []) if (row.index >= from && row.index < end) yield row;
    }
  }

  /** Rows by index, in the order asked for. Throws RangeError for an index the dataset does not have. */
  async rowsAt(id: string, indices: ArrayLike<number>): Promise<StoredRow[]> {
    const record = await this.#record(id);
    const found: StoredRow[] = [];
    for (let i = 0; i < indices.length; i++) {
      const index = indices[i]!;
      const chunk = record ? chunkOf(record.chunkStarts, index) : -1;
      const rows = await this.#chunk(id, chunk);
      const row = rows[index - (record?.chunkStarts[chunk] ?? 0)];
      if (row?.index !== index) throw new RangeError(`dataset ${id} has no row ${index}`);
      found.push(row);
    }
    return found;
  }

  /** What the import dropped or changed, in file order; one chunk is held at a time. */
  async *notes(id: string): AsyncGenerator<RowNote> {
    for (let chunk = 0; ; chunk++) {
      const notes = await stored(() => this.#db.get('notes', [id, chunk]));
      if (!notes) return;
      yield* notes;
    }
  }

  /** Fixes in force, oldest first. */
  async fixes(id: string): Promise<AppliedFix[]> {
    return (await stored(() => this.#db.get('fixes', id))) ?? [];
  }

  async setFixes(id: string, fixes: AppliedFix[]): Promise<void> {
    await stored(() => this.#db.put('fixes', fixes, id));
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
    const held = this.#chunks.get(key);
    this.#chunks.delete(key);
    const rows = held ?? (await stored(() => this.#db.get('rows', [id, chunk]))) ?? [];
    this.#chunks.set(key, rows);
    if (this.#chunks.size > CACHED_CHUNKS) this.#chunks.delete(this.#chunks.keys().next().value!);
    return rows;
  }
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

  constructor(db: EtudeDatabase, record: DatasetRecord, remove: () => Promise<void>) {
    this.id = record.id;
    this.#db = db;
    this.#record = record;
    this.#remove = remove;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds a row; `chars` is its size in the source. Waits for the disk when a chunk is full. */
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

  /** Makes the dataset visible. */
  async finish(summary: DatasetSummary): Promise<DatasetSummary> {
    await this.#flush();
    await this.#flushNotes();
    await stored(() => this.#db.put('datasets', { ...this.#record, state: 'ready', summary }));
    return summary;
  }

  /** Removes what was written. */
  async abort(): Promise<void> {
    this.#pending = [];
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
    await stored(async () => {
      const tx = this.#db.transaction(['datasets', 'rows'], 'readwrite', { durability: 'relaxed' });
      const puts = [tx.objectStore('rows').put(rows, [this.id, chunk])];
      const due = Date.now() - this.#record.heartbeat > STALE_IMPORT_MS / 10;
      if (due) this.#record.heartbeat = Date.now();
      await Promise.all([...puts, due ? tx.objectStore('datasets').put(this.#record) : null, tx.done]);
    });
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
