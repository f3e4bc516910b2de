// The left operand of a product, of any row length: read element by element. left4 is zero beyond what remains of the row.
alias Unit = f32;
const UNIT: u32 = 1u;
fn left_unit(at: u32) -> Unit { return left[at]; }
fn left4(at: u32, remaining: u32) -> vec4<f32> {
  let v = vec4<f32>(left[at], left[at + 1u], left[at + 2u], left[at + 3u]);
  return select(vec4<f32>(), v, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(remaining));
}
fn unit_product(a: Unit, b: Unit) -> f32 { return a * b; }
