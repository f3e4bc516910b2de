/**
 * Owns the export of a view: its rows are taken from the store in one pass, in the order in which they lie there, whatever
 * order the view has. Lines wait in buckets, by where they belong in the file, as pieces that the browser may put on its
 * disk; a bucket at a time is then put in order. Held are 12 bytes a row, one bucket and what is on its way to one.
 */
import type { Mapping, StoredRow } from '../types.ts';
import { exportRows, lineOf, TYPE, type ExportedRows } from './exportRows.ts';

/** Characters of a bucket, about. */
const BUCKET_CHARS = 2 ** 24;
/** A line has about so many characters beside those of its turns. */
const FRAME_CHARS = 100;
/** Bytes of lines that wait to become pieces, of all buckets. */
const WAITING_BYTES = 2 ** 25;

export interface ExportedView {
  /** Row indices in the view's order, each once. */
  order: Int32Array;
  /** All rows of the store in order, many at a time; chunks in which none of [from, to) is wanted may be left out. */
  batches: (isWanted: (from: number, to: number) => boolean) => AsyncIterable<readonly StoredRow[]>;
  mapping: Mapping;
  /** Characters of a row's turns. */
  charsOf: (row: number) => number;
  signal: AbortSignal;
  onProgress: (rows: number) => void;
}

/** Throws RangeError where the store has not every row. */
export async function exportView({ order, batches, mapping, charsOf, signal, onProgress }: ExportedView): Promise<ExportedRows> {
  const placeOf = new Int32Array(order.reduce((most, row) => Math.max(most, row + 1), 0)).fill(-1);
  order.forEach((row, place) => void (placeOf[row] = place));
  const isWanted = (from: number, to: number): boolean => placeOf.subarray(from, to).some((place) => place >= 0);
  async function* rows(): AsyncGenerator<StoredRow> {
    let count = 0;
    for await (const batch of batches(isWanted)) {
      for (const row of batch) {
        if ((placeOf[row.index] ?? -1) < 0) continue;
        count++;
        yield row;
      }
    }
    if (count !== order.length) throw new RangeError(`${order.length - count} of ${order.length} rows are no longer stored`);
  }
  if (order.every((row, i) => i === 0 || order[i - 1]! < row)) return exportRows(rows(), mapping, { signal, onProgress });

  const buckets = new Buckets(order, charsOf);
  let count = 0;
  for await (const row of rows()) {
    buckets.add(placeOf[row.index]!, lineOf(row, mapping));
    if (++count % 1000 !== 0) continue;
    signal.throwIfAborted();
    onProgress(count);
  }
  return { blob: new Blob(await buckets.inOrder(signal), { type: TYPE }), rows: count };
}

const encoder = new TextEncoder();

class Buckets {
  /** By bucket: its first place, and behind the last one how many there are. */
  readonly #firsts: number[] = [];
  readonly #waiting: Uint8Array<ArrayBuffer>[][];
  readonly #pieces: Blob[][];
  /** Bytes of each bucket so far. */
  readonly #sizes: Float64Array;
  /** By place: where its line is in its bucket, and how long. */
  readonly #starts: Uint32Array;
  readonly #lengths: Uint32Array;
  #waitingBytes = 0;

  constructor(order: Int32Array, charsOf: (row: number) => number) {
    let chars = Infinity;
    for (let place = 0; place < order.length; place++) {
      if (chars > BUCKET_CHARS) {
        this.#firsts.push(place);
        chars = 0;
      }
      chars += charsOf(order[place]!) + FRAME_CHARS;
    }
    const buckets = this.#firsts.length;
    this.#firsts.push(order.length);
    this.#waiting = Array.from({ length: buckets }, () => []);
    this.#pieces = Array.from({ length: buckets }, () => []);
    this.#sizes = new Float64Array(buckets);
    this.#starts = new Uint32Array(order.length);
    this.#lengths = new Uint32Array(order.length);
  }

  add(place: number, line: string): void {
    const bytes = encoder.encode(line);
    const bucket = this.#bucketOf(place);
    this.#starts[place] = this.#sizes[bucket]!;
    this.#lengths[place] = bytes.length;
    this.#sizes[bucket]! += bytes.length;
    this.#waiting[bucket]!.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > WAITING_BYTES) this.#hand();
  }

  /** Pieces of the file. */
  async inOrder(signal: AbortSignal): Promise<Blob[]> {
    this.#hand();
    const file: Blob[] = [];
    for (const [bucket, pieces] of this.#pieces.entries()) {
      signal.throwIfAborted();
      const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
      const ordered = new Uint8Array(bytes.length);
      let at = 0;
      for (let place = this.#firsts[bucket]!; place < this.#firsts[bucket + 1]!; place++) {
        const [start, length] = [this.#starts[place]!, this.#lengths[place]!];
        ordered.set(bytes.subarray(start, start + length), at);
        at += length;
      }
      file.push(new Blob([ordered]));
      this.#pieces[bucket] = [];
    }
    return file;
  }

  #bucketOf(place: number): number {
    let [low, high] = [0, this.#firsts.length - 2];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#firsts[middle]! <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #hand(): void {
    for (const [bucket, lines] of this.#waiting.entries()) {
      if (lines.length > 0) this.#pieces[bucket]!.push(new Blob(lines));
      this.#waiting[bucket] = [];
    }
    this.#waitingBytes = 0;
  }
}
