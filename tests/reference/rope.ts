/** f64 twin of rope.wgsl. */

/** x [M, heads, headDim] turned by its positions; the tables are [*, headDim / 2]. Returns a copy. */
export function rope(
  x: Float64Array, heads: number, headDim: number, positions: ArrayLike<number>,
  cos: ArrayLike<number>, sin: ArrayLike<number>, inverse = false,
): Float64Array {
  const half = headDim / 2;
  const out = x.slice();
  for (let m = 0; m < positions.length; m++) {
    for (let h = 0; h < heads; h++) {
      for (let d = 0; d < half; d++) {
        const low = (m * heads + h) * headDim + d;
        const c = cos[positions[m]! * half + d]!;
        const s = inverse ? -sin[positions[m]! * half + d]! : sin[positions[m]! * half + d]!;
        out[low] = x[low]! * c - x[low + half]! * s;
        out[low + half] = x[low + half]! * c + x[low]! * s;
      }
    }
  }
  return out;
}

/** The backward pass is the turn back. */
export const ropeBackward = (
  dOut: Float64Array, heads: number, headDim: number, positions: ArrayLike<number>, cos: ArrayLike<number>, sin: ArrayLike<number>,
): Float64Array => rope(dOut, heads, headDim, positions, cos, sin, true);
