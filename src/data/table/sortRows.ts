/** Owns the order of rows by a column: a radix sort that keeps rows of equal keys in their order, in tens of milliseconds for a million. */

const BITS = 11;
const BUCKETS = 1 << BITS;

/** Sorts row numbers by `keyOf[row]`. Descending turns the keys round, not the rows of equal keys. The rows given are overwritten. */
export function sortRows(rows: Int32Array, keyOf: Uint32Array | Uint8Array, descending: boolean): Int32Array {
  let most = 0;
  for (let i = 0; i < rows.length; i++) most = Math.max(most, keyOf[rows[i]!]!);
  let from: Int32Array = rows;
  let to: Int32Array = new Int32Array(rows.length);
  const starts = new Int32Array(BUCKETS);
  for (let shift = 0; shift < 32 && most / 2 ** shift >= 1; shift += BITS) {
    starts.fill(0);
    for (let i = 0; i < from.length; i++) starts[digit(keyOf[from[i]!]!, most, shift, descending)]!++;
    let at = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = starts[bucket]!;
      starts[bucket] = at;
      at += count;
    }
    for (let i = 0; i < from.length; i++) {
      const row = from[i]!;
      const bucket = digit(keyOf[row]!, most, shift, descending);
      to[starts[bucket]!] = row;
      starts[bucket]!++;
    }
    [from, to] = [to, from];
  }
  return from;
}

const digit = (key: number, most: number, shift: number, descending: boolean): number => ((descending ? most - key : key) >>> shift) & (BUCKETS - 1);
