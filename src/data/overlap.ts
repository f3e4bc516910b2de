/**
 * Owns the overlap of two datasets, such as a training and a test file: rows of the one whose prompt the other asks too,
 * without case, accents' spelling and spacing. Inside one dataset the split keeps equal and nearly equal prompts together.
 */
import { toMessages } from './messages.ts';
import { promptHash } from './split.ts';
import type { Mapping, StoredRow } from './types.ts';

export interface Side {
  rows: AsyncIterable<StoredRow>;
  count: number;
  mapping: Mapping;
}

/** Rows of `one` that ask what a row of `other` asks, with the first such row. */
export async function overlap(one: Side, other: Side, signal?: AbortSignal): Promise<{ rows: Int32Array; otherRows: Int32Array }> {
  const asked = await hashes(other, signal);
  const order = Int32Array.from(asked.keys()).filter((row) => asked[row] !== 0).sort((a, b) => asked[a]! - asked[b]! || a - b);
  const asking = await hashes(one, signal);
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
  return { rows: Int32Array.from(found, ([row]) => row), otherRows: Int32Array.from(found, ([, row]) => row) };
}

/** Of each row's prompt; 0 for a row that has none. */
async function hashes({ rows, count, mapping }: Side, signal?: AbortSignal): Promise<Float64Array> {
  const found = new Float64Array(count);
  for await (const row of rows) {
    if (row.index % 1000 === 0) signal?.throwIfAborted();
    const converted = toMessages(row.value, mapping, 'model');
    if (converted.ok) found[row.index] = promptHash(converted.messages);
  }
  return found;
}
