/**
 * Owns the way from encoded rows to a batch: padding or packing, positions, segments. Refuses to know where rows come from.
 */
import type { Batch, EncodedRow } from './types.ts';

const IGNORE = -100;

/**
 * One bin a batch row; a bin holds one example (no packing) or several end to end. Rows are padded on the right to the
 * longest. In a bin positions restart and segments count 1, 2, ..; an example's first token carries no label, because the
 * token before it belongs to another example.
 */
export function collate(bins: readonly (readonly EncodedRow[])[]): Batch {
  const T = Math.max(1, ...bins.map((bin) => bin.reduce((n, row) => n + row.inputIds.length, 0)));
  const size = bins.length * T;
  const batch: Batch = {
    shape: [bins.length, T],
    inputIds: new Int32Array(size),
    labels: new Int32Array(size).fill(IGNORE),
    positions: new Int32Array(size),
    segments: new Int32Array(size),
  };
  bins.forEach((bin, b) => {
    let at = b * T;
    bin.forEach((row, segment) => {
      const n = row.inputIds.length;
      batch.inputIds.set(row.inputIds, at);
      batch.labels.set(row.labels, at);
      if (n > 0) batch.labels[at] = IGNORE;
      for (let i = 0; i < n; i++) batch.positions[at + i] = i;
      batch.segments.fill(segment + 1, at, at + n);
      at += n;
    });
  });
  return batch;
}

/**
 * First-fit packing in the given order: each row goes into the first open bin with room. Rows keep their order inside a bin.
 * @param lengths tokens of each row, none above capacity
 * @returns bins of indices into `lengths`
 */
export function packFirstFit(lengths: ArrayLike<number>, capacity: number): number[][] {
  const bins: number[][] = [];
  const room: number[] = [];
  // A bin with less room than the shortest row will never be used again: skipping them keeps the search short.
  let shortest = capacity;
  for (let i = 0; i < lengths.length; i++) shortest = Math.min(shortest, lengths[i]!);
  const open: number[] = [];
  for (let i = 0; i < lengths.length; i++) {
    const n = lengths[i]!;
    const place = open.findIndex((bin) => room[bin]! >= n);
    if (place < 0) {
      bins.push([i]);
      room.push(capacity - n);
      if (capacity - n >= shortest) open.push(bins.length - 1);
      continue;
    }
    const bin = open[place]!;
    bins[bin]!.push(i);
    room[bin]! -= n;
    if (room[bin]! < shortest) open.splice(place, 1);
  }
  return bins;
}
