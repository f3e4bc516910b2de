/**
 * Owns the overlap of two datasets, such as a training and a test file: rows of the one whose prompt the other asks too, without
 * case, accents' spelling and spacing, and those whose prompt is nearly the same. Inside one dataset the split keeps equal and nearly
 * equal prompts together.
 */
import { NearOverlap } from './detectors/nearOverlap.ts';
import { messagesOfRow } from './messages.ts';
import { promptHash } from './split.ts';
import type { Mapping, Message, StoredRow } from './types.ts';

export interface Side {
  rows: AsyncIterable<StoredRow>;
  /** Rows of the dataset, those that `rows` does not give included. */
  count: number;
  mapping: Mapping;
  /** A row again by index; without it on both sides, nearly equal prompts are not looked for. */
  read?: (row: number) => Promise<StoredRow>;
}

/** Rows of one set, each with the first row of the other that asks it. */
export interface Pairs { rows: Int32Array; otherRows: Int32Array }

export interface Overlap extends Pairs {
  /** Those that are nearly the same and not the same; `partial`: there were too many candidates to compare all. */
  near: Pairs & { partial: boolean };
}

/** Rows of `one` that ask what a row of `other` asks. */
export async function overlap(one: Side, other: Side, signal?: AbortSignal, onProgress?: (rows: number) => void): Promise<Overlap> {
  const search = one.read && other.read ? new NearOverlap(one.count, other.count) : null;
  const asked = await hashes(other, (row, messages) => search?.add('other', row, messages), signal, onProgress);
  const order = Int32Array.from(asked.keys()).filter((row) => asked[row] !== 0).sort((a, b) => asked[a]! - asked[b]! || a - b);
  const asking = await hashes(one, (row, messages) => search?.add('one', row, messages), signal, (rows) => onProgress?.(other.count + rows));
  const found: [number, number][] = [];
  for (const [row, hash] of asking.entries()) {
    if (hash === 0) continue;
    let [low, high] = [0, order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (asked[order[middle]!]! < hash) low = middle + 1;
      else high = middle;
    }
    if (low < order.length && asked[order[low]!] === hash) found.push([row, order[low]!]);
  }
  const rows = Int32Array.from(found, ([row]) => row);
  const messagesAt = ({ read, mapping }: Side) => async (row: number): Promise<readonly Message[] | null> => {
    const converted = messagesOfRow(await read!(row), mapping, 'model');
    return converted.ok ? converted.messages : null;
  };
  const near = await search?.find({ one: messagesAt(one), other: messagesAt(other) }, new Set(rows), signal);
  return { rows, otherRows: Int32Array.from(found, ([, row]) => row), near: near ?? { rows: new Int32Array(), otherRows: new Int32Array(), partial: false } };
}

/** Of each row's prompt; 0 for a row that has none. */
async function hashes({ rows, count, mapping }: Side, see: (row: number, messages: readonly Message[]) => void, signal?: AbortSignal, onProgress?: (rows: number) => void): Promise<Float64Array> {
  const found = new Float64Array(count);
  for await (const row of rows) {
    if (row.index % 1000 === 0) {
      signal?.throwIfAborted();
      onProgress?.(row.index);
    }
    const converted = messagesOfRow(row, mapping, 'model');
    if (!converted.ok) continue;
    found[row.index] = promptHash(converted.messages);
    see(row.index, converted.messages);
  }
  return found;
}
