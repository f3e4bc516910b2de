// Operands of A^T B, of any number of columns: read element by element.
alias Column = f32;
// Columns p .. p+3 of row m of a; beyond the last column it repeats and is never stored.
fn a4(m: u32, p: u32) -> vec4<f32> {
  let at = a_at(m);
  let last = columns_end() - 1u;
  return vec4<f32>(a[at + min(p, last)], a[at + min(p + 1u, last)], a[at + min(p + 2u, last)], a[at + min(p + 3u, last)]);
}

fn b4(m: u32, q: u32) -> vec4<f32> {
  let at = slice_at(m, params.q);
  let last = params.q - 1u;
  return vec4<f32>(b[at + min(q, last)], b[at + min(q + 1u, last)], b[at + min(q + 2u, last)], b[at + min(q + 3u, last)]);
}
