// out[start + r, c] (+)= sum_s parts[s, r, c]      The end of a product whose sum was dealt to several workgroups, in the order of s.
// Shapes: parts [count, stride], out [*, cols]. One thread = one element. Overwrites or accumulates: constant ACCUMULATE.
struct Params { rows_kind: u32, rows_start: u32, rows_cap: u32, cols: u32, stride: u32, count: u32, start: u32 }
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 64u);
  if (i >= row_count(params.rows_kind, params.rows_start, params.rows_cap) * params.cols) { return; }
  var sum = 0.0;
  for (var s = 0u; s < params.count; s += 1u) { sum += parts[s * params.stride + i]; }
  let at = params.start * params.cols + i;
  if (ACCUMULATE) { out[at] += sum; } else { out[at] = sum; }
}
