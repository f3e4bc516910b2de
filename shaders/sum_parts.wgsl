// out[i] (+)= sum_s parts[s, i]      The end of a product whose sum was dealt to several workgroups (matmul_tn_tiled.wgsl), in the order of s.
// Shapes: parts [count, size], out [size]. One thread = one element. Overwrites or accumulates: constant ACCUMULATE.
struct Params { size: u32, count: u32 }
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 64u);
  if (i >= params.size) { return; }
  var sum = 0.0;
  for (var s = 0u; s < params.count; s += 1u) { sum += parts[s * params.size + i]; }
  if (ACCUMULATE) { out[i] += sum; } else { out[i] = sum; }
}
