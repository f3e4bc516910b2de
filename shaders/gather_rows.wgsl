// out[i, c] = x[index[start + i], c]
// Shapes: x [*, cols], index [start + R], out [R, cols]. One thread = one Vec. scatter_rows.wgsl takes gradients back.
struct Params { rows_kind: u32, rows_start: u32, rows_cap: u32, vecs: u32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<Vec>;
@group(0) @binding(4) var<storage, read_write> out: array<Vec>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  let i = t / params.vecs;
  if (i >= row_count(params.rows_kind, params.rows_start, params.rows_cap)) { return; }
  out[t] = x[index[params.rows_start + i] * params.vecs + t % params.vecs];
}
