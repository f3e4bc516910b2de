/**
 * Owns the import of a dropped file: quota first, then bytes -> rows -> IndexedDB, streaming, with progress and
 * cancellation. What cannot be read is counted, named and passed over; an import that fails leaves nothing behind.
 */
import { EtudeError } from '../../config/errors.ts';
import { CsvHeaderError, readCsv } from '../../formats/csv.ts';
import { NotJsonError, readJsonElements } from '../../formats/jsonArray.ts';
import { readJsonl } from '../../formats/jsonl.ts';
import { chunksOf, type RowRead } from '../../formats/lines.ts';
import { detect, DETECT_ROWS, type Detection } from '../detect.ts';
import { toMessages } from '../messages.ts';
import type { DatasetWriter } from '../store.ts';
import type { DatasetSummary, SkippedLine } from '../types.ts';
import { emptyFile, notJson, sniff, SNIFF_BYTES, type FileFormat } from './sniff.ts';

/** Skipped lines in the summary; all are in the record of changes. */
const MAX_NAMED = 1000;
const STEP_BYTES = 64 * 1024;

export interface ImportSource {
  name: string;
  /** The file; in Node from fs.openAsBlob. */
  blob: Blob;
  kind: DatasetSummary['source'];
}

export interface ImportProgress {
  bytes: number;
  totalBytes: number;
  rows: number;
  skipped: number;
}

/** Where the rows go. DatasetStore is one. */
export interface ImportTarget {
  create(id: string): Promise<Pick<DatasetWriter, 'id' | 'add' | 'finish' | 'abort'> & Partial<Pick<DatasetWriter, 'note'>>>;
}

export interface ImportOptions {
  signal?: AbortSignal;
  onProgress?: (progress: ImportProgress) => void;
  /** navigator.storage.estimate, where there is one. */
  estimate?: () => Promise<{ usage?: number; quota?: number }>;
  /** Identifier of the new dataset. */
  id?: string;
}

/** Imports a file. Throws EtudeError with a code that starts with 'data.' or 'storage.'; then nothing was kept. */
export async function importDataset(source: ImportSource, target: ImportTarget, options: ImportOptions = {}): Promise<DatasetSummary> {
  const { name, blob } = source;
  if (blob.size === 0) throw emptyFile(name, 0);
  await refuseOverQuota(source, options);
  const head = new Uint8Array(await blob.slice(0, SNIFF_BYTES).arrayBuffer());
  const format = sniff(name, blob.size, head);
  const writer = await target.create(options.id ?? crypto.randomUUID());
  try {
    const summary = await readInto(writer, source, format, options);
    return await writer.finish(summary);
  } catch (error) {
    await writer.abort().catch(() => undefined);
    if (options.signal?.aborted) throw cancelled(name);
    if (error instanceof CsvHeaderError) throw badHeader(name, error.message);
    throw error instanceof NotJsonError ? notJson(name, error.message) : error;
  }
}

async function readInto(writer: Pick<DatasetWriter, 'id' | 'add'> & Partial<Pick<DatasetWriter, 'note'>>, source: ImportSource, format: FileFormat, options: ImportOptions): Promise<DatasetSummary> {
  const progress: ImportProgress = { bytes: 0, totalBytes: source.blob.size, rows: 0, skipped: 0 };
  const skippedLines: SkippedLine[] = [];
  const notices: string[] = [];
  const usable = new UsableRows();
  let changed = 0;
  let counted = 0;
  for await (const row of readRows(chunksWithProgress(source.blob, progress, options), format)) {
    options.signal?.throwIfAborted();
    if ('notice' in row) {
      notices.push(row.notice);
      continue;
    }
    if ('problem' in row) {
      progress.skipped++;
      await writer.note?.({ line: row.line, action: 'dropped', reason: row.problem });
      if (skippedLines.length < MAX_NAMED) skippedLines.push({ line: row.line, reason: row.problem });
      continue;
    }
    progress.rows++;
    if (row.changed !== undefined) {
      changed++;
      await writer.note?.({ line: row.line, action: 'changed', reason: row.changed });
    }
    usable.see(row.value);
    // The size in the source is not kept a row; the bytes read since the last one stand for it.
    await writer.add(row.line, row.value, Math.max(0, progress.bytes - counted));
    counted = progress.bytes;
  }
  options.onProgress?.({ ...progress });
  const detection = usable.end();
  if (progress.rows === 0) {
    if (progress.skipped === 0) throw emptyFile(source.name, source.blob.size);
    if (format.kind === 'csv') throw noUsableRows(source.name, progress.skipped, skippedLines[0]!);
    throw notJson(source.name, `none of its ${progress.skipped.toLocaleString('en')} rows can be read; line ${skippedLines[0]!.line}: ${skippedLines[0]!.reason}`);
  }
  if (!detection) throw unknownShape(source.name, usable.firstRow);
  if (usable.count === 0) throw noUsableRows(source.name, progress.rows, { line: 1, reason: usable.firstProblem });
  return {
    id: writer.id, name: source.name, source: source.kind, bytes: source.blob.size,
    rows: progress.rows, skipped: progress.skipped, skippedLines, changed, notices,
    mapping: detection.mapping, detectedBecause: detection.because, fields: detection.fields, createdAt: Date.now(),
  };
}

function readRows(chunks: AsyncIterable<Uint8Array>, format: FileFormat): AsyncIterable<RowRead> {
  if (format.kind === 'jsonl') return readJsonl(chunks);
  return format.kind === 'json' ? readJsonElements(chunks) : readCsv(chunks, format.delimiter);
}

async function* chunksWithProgress(blob: Blob, progress: ImportProgress, { signal, onProgress }: ImportOptions): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunksOf(blob.stream(), signal)) {
    // Some streams hand out megabytes at once; progress and cancellation go by smaller steps.
    for (let from = 0; from < chunk.length; from += STEP_BYTES) {
      const part = chunk.subarray(from, from + STEP_BYTES);
      progress.bytes += part.length;
      onProgress?.({ ...progress });
      yield part;
    }
  }
}

/** Detects the shape from the first rows and counts the rows that make a conversation under it. */
class UsableRows {
  count = 0;
  firstProblem = 'no row holds a prompt and an answer';
  firstRow: unknown = undefined;
  #sample: unknown[] | null = [];
  #detection: Detection | null = null;

  see(value: unknown): void {
    this.firstRow ??= value;
    if (this.#sample) {
      this.#sample.push(value);
      if (this.#sample.length >= DETECT_ROWS) this.end();
    } else {
      this.#judge(value);
    }
  }

  end(): Detection | null {
    const sample = this.#sample;
    if (sample) {
      this.#sample = null;
      this.#detection = detect(sample);
      for (const value of sample) this.#judge(value);
    }
    return this.#detection;
  }

  #judge(value: unknown): void {
    if (!this.#detection) return;
    const row = toMessages(value, this.#detection.mapping, 'chatml');
    if (row.ok) this.count++;
    else if (this.count === 0) this.firstProblem = row.reason;
  }
}

async function refuseOverQuota({ name, blob }: ImportSource, { estimate }: ImportOptions): Promise<void> {
  if (!estimate) return;
  const { usage = 0, quota } = await estimate();
  if (quota === undefined || blob.size <= quota - usage) return;
  throw new EtudeError({
    code: 'storage.tooLarge',
    what: `${name} has ${megabytes(blob.size)}, but the browser's storage has ${megabytes(Math.max(0, quota - usage))} left.`,
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
    what: `${name} is JSON, but of no shape that can be trained: ${fields ? `its first row has the fields ${fields.slice(0, 8).join(', ') || '(none)'}` : 'its first row is no object'}.`,
    expected: 'rows with instruction and output (Alpaca), prompt and completion, messages (OpenAI), or conversations (ShareGPT)',
    likelyCause: 'The file holds settings, results or plain values instead of conversations.',
    nextStep: 'Give each row a prompt and an answer in two text fields, then drop the file again.',
  });
}
