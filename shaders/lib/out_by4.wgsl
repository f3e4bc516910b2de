// What a product writes, whose rows and their parts are multiples of 4 long: in units of four elements.
alias Out = vec4<f32>;
const OUT: u32 = 4u;
fn store4(m: u32, n: u32, sums: vec4<f32>) {
  if (n < out_columns()) { store(m, n, sums); }
}
