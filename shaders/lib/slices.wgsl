// Rows too long for one thread's registers are held by SLICES neighbouring threads: thread s of a row holds its Vecs
// s, s + SLICES, .. (so that neighbours read neighbouring words), PER of them, and zeros past the row's end.
// A product of two rows is the sum of its slices' products, always added up in the same order.
const PADDED: u32 = PER * SLICES; // Vecs of a row in workgroup memory
var<workgroup> slice_parts: array<vec4<f32>, 2u * WORKGROUP * min(1u, SLICES - 1u) + 1u>;

// Eight products at a time, each thread bringing its slices' share. All threads of the workgroup take part.
fn sum_slices(local: u32, mine: array<vec4<f32>, 2>) -> array<vec4<f32>, 2> {
  if (SLICES == 1u) { return mine; }
  workgroupBarrier();
  slice_parts[local] = mine[0];
  slice_parts[WORKGROUP + local] = mine[1];
  workgroupBarrier();
  let first = local - local % SLICES;
  var sum = array<vec4<f32>, 2>(slice_parts[first], slice_parts[WORKGROUP + first]);
  for (var s = 1u; s < SLICES; s++) {
    sum[0] += slice_parts[first + s];
    sum[1] += slice_parts[WORKGROUP + first + s];
  }
  return sum;
}
