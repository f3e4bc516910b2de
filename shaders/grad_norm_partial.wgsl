// partial[slot + t] = sum_j g[t + j T]^2, j < BLOCK, T = ceil(elements / BLOCK)      first half of the gradient norm.
// One thread = one partial sum, in fixed order; neighbours read neighbours. Overwrites partial. Constant BLOCK.
struct Params {
  elements: u32,
  slot: u32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> grads: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let threads = (params.elements + BLOCK - 1u) / BLOCK;
  let t = linear_index(group, groups, local, 64u);
  if (t >= threads) { return; }
  var sum = 0.0;
  for (var i = t; i < params.elements; i += threads) {
    let g = grads[i];
    sum += g * g;
  }
  partial[params.slot + t] = sum;
}
