// Slices exchange their shares through workgroup memory.
var<workgroup> slice_parts: array<vec4<f32>, 2u * WORKGROUP * min(1u, SLICES - 1u) + 1u>;

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
