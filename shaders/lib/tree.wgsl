// Sum and maximum over a workgroup of WORKGROUP threads (a power of 2), in a fixed order; every thread gets the result.
var<workgroup> leaves: array<f32, WORKGROUP>;

fn workgroup_sum(local: u32, value: f32) -> f32 {
  workgroupBarrier();
  leaves[local] = value;
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) { leaves[local] += leaves[local + half]; }
  }
  workgroupBarrier();
  return leaves[0];
}

fn workgroup_max(local: u32, value: f32) -> f32 {
  workgroupBarrier();
  leaves[local] = value;
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) { leaves[local] = max(leaves[local], leaves[local + half]); }
  }
  workgroupBarrier();
  return leaves[0];
}
