/**
 * Owns the import of a dropped file: quota first, then bytes -> rows -> IndexedDB, streaming, with progress and
 * cancellation. What cannot be read is counted, named and passed over; an import that fails leaves nothing behind.
 */
import { EtudeError } from '../../config/errors.ts';
import { CsvHeaderError } from '../../formats/csv.ts';
import { NotJsonError } from '../../formats/jsonArray.ts';
import { ParquetError } from '../../formats/parquet.ts';
import { detect, DETECT_ROWS, type Detection } from '../detect.ts';
import { toMessages } from '../messages.ts';
import type { DatasetWriter } from '../store.ts';
import { ColumnWriter, type ColumnTarget } from '../table/columns.ts';
import type { DatasetSummary, HubOrigin, Mapping, SkippedLine } from '../types.ts';
import { openRows, type OpenedRows } from './openRows.ts';
import { emptyFile, notJson, type FileFormat } from './sniff.ts';

/** Skipped lines in the summary; all are in the record of changes. */
const MAX_NAMED = 1000;

export interface ImportSource {
  name: string;
  /** The file; in Node from fs.openAsBlob. */
  blob: Blob;
  kind: DatasetSummary['source'];
  hub?: HubOrigin;
  /** Files that become one dataset, in this order; then `blob` is not read. */
  files?: readonly { name: string; blob: Blob }[];
}

export interface ImportProgress {
  bytes: number;
  totalBytes: number;
  rows: number;
  skipped: number;
}

/** Where the rows go. DatasetStore is one. */
export interface ImportTarget {
  create(id: string): Promise<Pick<DatasetWriter, 'id' | 'add' | 'finish' | 'abort'> & Partial<Pick<DatasetWriter, 'note' | 'putColumns' | 'putRepeats'>>>;
}

export interface ImportOptions {
  signal?: AbortSignal;
  onProgress?: (progress: ImportProgress) => void;
  /** navigator.storage.estimate, where there is one. */
  estimate?: () => Promise<{ usage?: number; quota?: number }>;
  /** Identifier of the new dataset. */
  id?: string;
  /** Used instead of what is detected. */
  mapping?: Mapping;
}

/** Imports a file. Throws EtudeError with a code that starts with 'data.' or 'storage.'; then nothing was kept. */
export async function importDataset(source: ImportSource, target: ImportTarget, options: ImportOptions = {}): Promise<DatasetSummary> {
  const { name } = source;
  const files = source.files ?? [source];
  for (const file of files) if (file.blob.size === 0) throw emptyFile(file.name, 0);
  const bytes = files.reduce((sum, file) => sum + file.blob.size, 0);
  await refuseOverQuota(name, bytes, options);
  const progress: ImportProgress = { bytes: 0, totalBytes: bytes, rows: 0, skipped: 0 };
  const count = (read: number): void => {
    progress.bytes = Math.min(bytes, progress.bytes + read);
    options.onProgress?.({ ...progress });
  };
  // Every file is looked at before a row is written.
  const opened: NamedRows[] = [];
  for (const file of files) opened.push({ name: file.name, bytes: file.blob.size, ...await openRows(file.name, file.blob, count, options.signal) });
  const writer = await target.create(options.id ?? crypto.randomUUID());
  try {
    const summary = await readInto(writer, source, opened, progress, options);
    return await writer.finish(summary);
  } catch (error) {
    await writer.abort().catch(() => undefined);
    if (options.signal?.aborted) throw cancelled(name);
    if (error instanceof ParquetError) throw badParquet(name, error.message);
    if (error instanceof CsvHeaderError) throw badHeader(name, error.message);
    throw error instanceof NotJsonError ? notJson(name, error.message) : error;
  }
}

type NamedRows = OpenedRows & { name: string; bytes: number };

async function readInto(
  writer: Pick<DatasetWriter, 'id' | 'add'> & Partial<Pick<DatasetWriter, 'note' | 'putColumns' | 'putRepeats'>>, source: ImportSource, opened: readonly NamedRows[],
  progress: ImportProgress, options: ImportOptions,
): Promise<DatasetSummary> {
  const skippedLines: SkippedLine[] = [];
  const notices: string[] = [];
  const columns = writer.putColumns && writer.putRepeats ? new ColumnWriter(writer as ColumnTarget) : null;
  const usable = new UsableRows(columns, options.mapping);
  const parts: NonNullable<DatasetSummary['files']> = [];
  const several = opened.length > 1;
  let changed = 0;
  let counted = 0;
  for (const { name, bytes, rows } of opened) {
    const file = several ? { file: name } : {};
    const before = progress.rows;
    for await (const row of rows) {
      options.signal?.throwIfAborted();
      if ('notice' in row) {
        notices.push(several ? `${name}: ${row.notice}` : row.notice);
        continue;
      }
      if ('problem' in row) {
        progress.skipped++;
        await writer.note?.({ line: row.line, action: 'dropped', reason: row.problem, ...file });
        if (skippedLines.length < MAX_NAMED) skippedLines.push({ line: row.line, reason: row.problem });
        continue;
      }
      progress.rows++;
      if (row.changed !== undefined) {
        changed++;
        await writer.note?.({ line: row.line, action: 'changed', reason: row.changed, ...file });
      }
      usable.see(row.line, row.value);
      if (columns?.full) await columns.flush();
      // The size in the source is not kept a row; the bytes read since the last one stand for it.
      await writer.add(row.line, row.value, Math.max(0, progress.bytes - counted));
      counted = progress.bytes;
    }
    parts.push({ name, bytes, rows: progress.rows - before });
  }
  progress.bytes = progress.totalBytes;
  options.onProgress?.({ ...progress });
  const detection = usable.end();
  await columns?.finish();
  if (progress.rows === 0) refuseWithoutRows(source.name, progress, opened[0]!.format, skippedLines[0]);
  if (!detection) throw unknownShape(source.name, usable.firstRow);
  if (usable.count === 0) throw noUsableRows(source.name, progress.rows, { line: 1, reason: usable.firstProblem });
  return {
    id: writer.id, name: source.name, source: source.kind, ...(source.hub ? { hub: source.hub } : {}), bytes: progress.totalBytes,
    rows: progress.rows, skipped: progress.skipped, skippedLines, changed, notices, ...(several ? { files: parts } : {}),
    mapping: detection.mapping, detectedBecause: detection.because, fields: detection.fields, createdAt: Date.now(),
  };
}

function refuseWithoutRows(name: string, { skipped, totalBytes }: ImportProgress, format: FileFormat, first: SkippedLine | undefined): never {
  if (first === undefined) throw emptyFile(name, totalBytes);
  if (format.kind === 'csv') throw noUsableRows(name, skipped, first);
  throw notJson(name, `none of its ${skipped.toLocaleString('en')} rows can be read; line ${first.line}: ${first.reason}`);
}

/** Detects the shape from the first rows, counts the rows that make a conversation under it, and notes their columns. */
class UsableRows {
  count = 0;
  firstProblem = 'no row holds a prompt and an answer';
  firstRow: unknown = undefined;
  #sample: { line: number; value: unknown }[] | null = [];
  #detection: Detection | null = null;
  readonly #columns: ColumnWriter | null;
  readonly #given: Mapping | undefined;

  constructor(columns: ColumnWriter | null, given?: Mapping) {
    this.#columns = columns;
    this.#given = given;
  }

  see(line: number, value: unknown): void {
    this.firstRow ??= value;
    if (this.#sample) {
      this.#sample.push({ line, value });
      if (this.#sample.length >= DETECT_ROWS) this.end();
    } else {
      this.#judge(line, value);
    }
  }

  end(): Detection | null {
    const sample = this.#sample;
    if (sample) {
      this.#sample = null;
      this.#detection = detect(sample.map(({ value }) => value));
      if (this.#given) this.#detection = { fields: this.#detection?.fields ?? [], mapping: this.#given, because: 'The mapping came with the recipe.' };
      for (const { line, value } of sample) this.#judge(line, value);
    }
    return this.#detection;
  }

  #judge(line: number, value: unknown): void {
    if (!this.#detection) return;
    const row = toMessages(value, this.#detection.mapping, 'model');
    this.#columns?.add(line, row.ok ? row.messages : null);
    if (row.ok && row.messages.some((message) => message.role === 'assistant')) this.count++;
    else if (this.count === 0) this.firstProblem = row.ok ? 'the row holds no answer' : row.reason;
  }
}

async function refuseOverQuota(name: string, bytes: number, { estimate }: ImportOptions): Promise<void> {
  if (!estimate) return;
  const { usage = 0, quota } = await estimate();
  if (quota === undefined || bytes <= quota - usage) return;
  throw new EtudeError({
    code: 'storage.tooLarge',
    what: `${name} has ${megabytes(bytes)}, but the browser's storage has ${megabytes(Math.max(0, quota - usage))} left.`,
    expected: `at most ${megabytes(Math.max(0, quota - usage))}`,
    likelyCause: 'The disk is nearly full, or stored datasets and checkpoints fill the quota.',
    nextStep: 'Delete datasets or runs you no longer need, free disk space, or drop a smaller file. Nothing was imported.',
  });
}

const megabytes = (bytes: number): string =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3).toLocaleString('en')} kB` : `${(bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 1 })} MB`;

function cancelled(name: string): EtudeError {
  return new EtudeError({ code: 'data.importCancelled', what: `The import of ${name} was cancelled; nothing was kept.`, nextStep: 'Drop the file again to start over.' });
}

function noUsableRows(name: string, seen: number, first: SkippedLine): EtudeError {
  return new EtudeError({
    code: 'data.noUsableRows',
    what: `${name} has no usable row: 0 of ${seen.toLocaleString('en')}.`,
    expected: 'rows with a prompt and an answer, or with a list of turns',
    likelyCause: `The first problem, at row ${first.line}: ${first.reason}.`,
    nextStep: 'Correct the file and drop it again.',
  });
}

function badParquet(name: string, why: string): EtudeError {
  return new EtudeError({
    code: 'data.parquet',
    what: `${name} cannot be read as Parquet: ${why}.`,
    expected: 'a whole Parquet file, its columns plain or packed by Snappy, gzip, zstd, Brotli or LZ4',
    likelyCause: 'The download broke off, or the file uses an encoding that is not known here.',
    nextStep: 'Download it again, or convert it to JSON Lines: datasets.load_dataset("parquet", data_files=…)["train"].to_json("rows.jsonl"). Nothing was imported.',
  });
}

function badHeader(name: string, why: string): EtudeError {
  return new EtudeError({
    code: 'data.badHeader',
    what: `The header of ${name} cannot be read: ${why}.`,
    expected: 'a first line with the name of each column',
    likelyCause: 'A quote in the first line is not closed, or the file is not UTF-8.',
    nextStep: 'Correct the first line, or save the file as UTF-8, and drop it again.',
  });
}

function unknownShape(name: string, firstRow: unknown): EtudeError {
  const fields = typeof firstRow === 'object' && firstRow !== null && !Array.isArray(firstRow) ? Object.keys(firstRow) : null;
  return new EtudeError({
    code: 'data.unknownShape',
    what: `${name} is JSON, but of no shape that can be trained: ${fields ? `its first row has the ${fields.length === 1 ? 'field' : 'fields'} ${fields.slice(0, 8).join(', ') || '(none)'}` : 'its first row is no object'}.`,
    expected: 'rows with instruction and output (Alpaca), prompt and completion, messages (OpenAI), or conversations (ShareGPT)',
    likelyCause: 'The file holds settings, results or plain values instead of conversations.',
    nextStep: 'Give each row a prompt and an answer in two text fields, then drop the file again.',
  });
}
