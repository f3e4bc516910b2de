// A weight in bf16 or f16, whose rows are multiples of 4 long: read in units of four elements, widened exactly.
alias WeightUnit = vec2<u32>;
// As it is stored, and what that means: a load that nothing waits for yet.
fn weight_raw(at: u32) -> vec4<u32> { return vec4<u32>(weight[at / 4u], 0u, 0u); }
fn widened(raw: vec4<u32>) -> vec4<f32> {
  if (WEIGHT_TYPE == 1u) { return bitcast<vec4<f32>>(vec4<u32>(raw.x << 16u, raw.x & 0xffff0000u, raw.y << 16u, raw.y & 0xffff0000u)); }
  return vec4<f32>(unpack2x16float(raw.x), unpack2x16float(raw.y));
}
fn weight4(at: u32) -> vec4<f32> { return widened(weight_raw(at)); }
fn weight_unit(at: u32) -> vec4<f32> { return weight4(at); }
