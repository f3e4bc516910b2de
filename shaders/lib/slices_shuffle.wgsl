// Slices are lanes of one subgroup (at least SLICES wide, laid out along the workgroup) and exchange their shares without barriers.
// Pairs are added first, then pairs of pairs: every lane gets the same bits.
fn sum_slices(local: u32, mine: array<vec4<f32>, 2>) -> array<vec4<f32>, 2> {
  var a = mine[0];
  var b = mine[1];
  for (var apart = 1u; apart < SLICES; apart *= 2u) {
    a += subgroupShuffleXor(a, apart);
    b += subgroupShuffleXor(b, apart);
  }
  return array<vec4<f32>, 2>(a, b);
}
