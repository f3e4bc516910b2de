// What a product writes, of any row length: element by element. The counterpart of out_by4.wgsl.
alias Out = f32;
const OUT: u32 = 1u;
// Four elements from column n on, as many as there are.
fn store4(m: u32, n: u32, sums: vec4<f32>) {
  let end = out_columns();
  if (n < end) { store(m, n, sums.x); }
  if (n + 1u < end) { store(m, n + 1u, sums.y); }
  if (n + 2u < end) { store(m, n + 2u, sums.z); }
  if (n + 3u < end) { store(m, n + 3u, sums.w); }
}
