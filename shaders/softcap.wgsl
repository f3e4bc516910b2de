// x <- cap tanh(x / cap)
// Shapes: x [R, cols], in place. One thread = one Vec. The backward pass is in cross_entropy.wgsl, which reads the capped x.
struct Params { rows_kind: u32, rows_start: u32, rows_cap: u32, cap: f32, vecs: u32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> x: array<Vec>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  if (t >= row_count(params.rows_kind, params.rows_start, params.rows_cap) * params.vecs) { return; }
  x[t] = params.cap * tanh_each(x[t] / params.cap);
}
