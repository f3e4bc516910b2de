/** f64 twins of embedding.wgsl, gather_rows.wgsl, scatter_rows.wgsl and kv_append.wgsl: rows copied by number. */

export const NONE = 0xffff_ffff;

/** out[i] = x[index[i]]; the embedding lookup with x the table and index the ids. */
export function gatherRows(x: Float64Array, cols: number, index: ArrayLike<number>): Float64Array {
  const out = new Float64Array(index.length * cols);
  for (let i = 0; i < index.length; i++) out.set(x.subarray(index[i]! * cols, (index[i]! + 1) * cols), i * cols);
  return out;
}

/** out[m] = x[slot[m]], or zeros where slot[m] is NONE. */
export function scatterRows(x: Float64Array, cols: number, slot: ArrayLike<number>): Float64Array {
  const out = new Float64Array(slot.length * cols);
  for (let m = 0; m < slot.length; m++) {
    if (slot[m] !== NONE) out.set(x.subarray(slot[m]! * cols, (slot[m]! + 1) * cols), m * cols);
  }
  return out;
}

/** A copy of cache with src written from row `past` on. */
export function kvAppend(cache: Float64Array, cols: number, src: Float64Array, past: number): Float64Array {
  const out = cache.slice();
  out.set(src, past * cols);
  return out;
}
