// Weights as they are stored: f32, or bf16 / f16 packed two in a u32. Both widen to f32 exactly.
// The including kernel declares `weight: array<u32>`; element e of a row-major matrix is found by its flat index,
// so rows of odd length straddle words without padding.
fn weight_at(e: u32) -> f32 {
  if (WEIGHT_TYPE == 0u) { return bitcast<f32>(weight[e]); }
  let word = weight[e >> 1u];
  if (WEIGHT_TYPE == 1u) {
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (e & 1u) == 1u));
  }
  let pair = unpack2x16float(word);
  return select(pair.x, pair.y, (e & 1u) == 1u);
}

// Four elements from e, which is a multiple of 4.
fn weight4_at(e: u32) -> vec4<f32> {
  if (WEIGHT_TYPE == 0u) {
    return bitcast<vec4<f32>>(vec4<u32>(weight[e], weight[e + 1u], weight[e + 2u], weight[e + 3u]));
  }
  let a = weight[e >> 1u];
  let b = weight[(e >> 1u) + 1u];
  if (WEIGHT_TYPE == 1u) {
    return bitcast<vec4<f32>>(vec4<u32>(a << 16u, a & 0xffff0000u, b << 16u, b & 0xffff0000u));
  }
  return vec4<f32>(unpack2x16float(a), unpack2x16float(b));
}
