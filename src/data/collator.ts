/**
 * Owns the way from encoded rows to a batch of B x T: right padding to the longest row, or packing, where a row of the
 * batch holds several examples (segments) that never see each other. Refuses to know where rows come from.
 */
import { IGNORE_INDEX } from './template.ts';
import type { Batch, EncodedRow } from './types.ts';

/** One example a row. T is the longest example. */
export function collate(rows: readonly EncodedRow[]): Batch {
  return collatePacked(rows.map((row) => [row]));
}

/**
 * Several examples a row: positions restart and segments count 1, 2, .. in each; a packed example's first token carries
 * no label, since the token before it belongs to another example. T is the longest row.
 */
export function collatePacked(packs: readonly (readonly EncodedRow[])[]): Batch {
  const B = packs.length;
  const T = Math.max(0, ...packs.map((pack) => pack.reduce((sum, row) => sum + row.inputIds.length, 0)));
  const size = B * T;
  const batch: Batch = {
    shape: [B, T], inputIds: new Int32Array(size), labels: new Int32Array(size).fill(IGNORE_INDEX),
    positions: new Int32Array(size), segments: new Int32Array(size),
  };
  packs.forEach((pack, b) => {
    let at = b * T;
    pack.forEach((row, s) => {
      const length = row.inputIds.length;
      batch.inputIds.set(row.inputIds, at);
      batch.labels.set(row.labels, at);
      if (pack.length > 1 && length > 0) batch.labels[at] = IGNORE_INDEX;
      for (let t = 0; t < length; t++) batch.positions[at + t] = t;
      batch.segments.fill(s + 1, at, at + length);
      at += length;
    });
  });
  return batch;
}

/** Examples of rows, one row behind the other: row p holds `examples[starts[p] .. starts[p + 1]]`. 8 bytes an example at most. */
export interface Packs {
  count: number;
  examples: Int32Array;
  /** [count + 1] */
  starts: Int32Array;
}

/**
 * Packs examples into rows of at most `maxLength` tokens: first fit, in the order given. `lengths[i]` belongs to example
 * i. O(n log n) by a tree of the free space.
 */
export function packExamples(order: ArrayLike<number>, lengths: ArrayLike<number>, maxLength: number): Packs {
  const n = order.length;
  let leaves = 1;
  while (leaves < n) leaves *= 2;
  const free = new Int32Array(2 * leaves).fill(maxLength);
  const packs = new Int32Array(n);
  let count = 0;
  for (let k = 0; k < n; k++) {
    const example = order[k]!;
    const length = lengths[example]!;
    if (length > maxLength) throw new RangeError(`example ${example} has ${length} tokens, a packed row ${maxLength}`);
    let node = 1;
    while (node < leaves) node = free[2 * node]! >= length ? 2 * node : 2 * node + 1;
    packs[k] = node - leaves;
    count = Math.max(count, packs[k]! + 1);
    for (free[node]! -= length, node >>= 1; node > 0; node >>= 1) free[node] = Math.max(free[2 * node]!, free[2 * node + 1]!);
  }
  const starts = new Int32Array(count + 1);
  for (const pack of packs) starts[pack + 1]!++;
  for (let pack = 0; pack < count; pack++) starts[pack + 1]! += starts[pack]!;
  const next = starts.slice();
  const examples = new Int32Array(n);
  for (let k = 0; k < n; k++) examples[next[packs[k]!]!++] = order[k]!;
  return { count, examples, starts };
}

export const examplesOf = ({ examples, starts }: Packs, pack: number): Int32Array => examples.subarray(starts[pack], starts[pack + 1]);

/** The same as lists: for few. */
export function packFirstFit(order: ArrayLike<number>, lengths: ArrayLike<number>, maxLength: number): number[][] {
  const packs = packExamples(order, lengths, maxLength);
  return Array.from({ length: packs.count }, (_, pack) => [...examplesOf(packs, pack)]);
}
