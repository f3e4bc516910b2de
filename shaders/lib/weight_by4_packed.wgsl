// A weight in bf16 or f16, whose rows are multiples of 4 long: read in units of four elements, widened exactly.
alias WeightUnit = vec2<u32>;
fn weight4(at: u32) -> vec4<f32> {
  let pairs = weight[at / 4u];
  if (WEIGHT_TYPE == 1u) {
    return bitcast<vec4<f32>>(vec4<u32>(pairs.x << 16u, pairs.x & 0xffff0000u, pairs.y << 16u, pairs.y & 0xffff0000u));
  }
  return vec4<f32>(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
}
fn weight_unit(at: u32) -> vec4<f32> { return weight4(at); }
