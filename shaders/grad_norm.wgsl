// stats[1] = sqrt(sum_t partial[t])      second half of the gradient norm.
// One workgroup; one thread = every 64th partial, then a tree. Overwrites stats[1]; counts a norm that is not finite in
// stats[2], which stays: from then on the optimizer changes nothing until someone clears it.
struct Params {
  count: u32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> partial: array<f32>;
@group(0) @binding(3) var<storage, read_write> stats: array<f32>;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var i = local; i < params.count; i += 64u) { sum += partial[i]; }
  sums[local] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (local < half) { sums[local] += sums[local + half]; }
    workgroupBarrier();
  }
  if (local == 0u) {
    let norm = sqrt(sums[0]);
    stats[1] = norm;
    if ((bitcast<u32>(norm) & 0x7f800000u) == 0x7f800000u) { stats[2] += 1.0; }
  }
}
