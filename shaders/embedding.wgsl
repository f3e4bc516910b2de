// out[m, c] = w[ids[m], c] * scale for the ids that lie in one part of the table.
// Shapes: ids [M], w [rows, cols] (this part), out [M, cols]. One thread = one element of out.
// Each part writes only the rows whose id it holds; together they write all. The table is frozen: no backward pass.
struct Params { row_start: u32, rows: u32, cols: u32, scale: f32 }
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read> weight: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  let m = t / params.cols;
  if (m >= step.tokens) { return; }
  let row = ids[m] - params.row_start; // wraps far above `rows` for ids below this part
  if (row >= params.rows) { return; }
  out[t] = weight_at(row * params.cols + t % params.cols) * params.scale;
}
