// rms_norm.wgsl for GPUs: out[r, c] = x[r, c] * gain[c] / sqrt(mean_c(x[r, c]^2) + eps), with params.add = 1 plus residual[r, c]
// Shapes: x, residual, out [R, cols], gain [cols]. One workgroup = one row; nothing is kept for the backward pass.
struct Params { rows_kind: u32, rows_start: u32, rows_cap: u32, eps: f32, vecs: u32, add: u32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<Vec>;
@group(0) @binding(3) var<storage, read> gain: array<Vec>;
@group(0) @binding(4) var<storage, read> residual: array<Vec>; // x again without add
@group(0) @binding(5) var<storage, read_write> out: array<Vec>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= row_count(params.rows_kind, params.rows_start, params.rows_cap)) { return; }
  let base = row * params.vecs;
  var part = Vec();
  for (var c = local; c < params.vecs; c += WORKGROUP) {
    let v = x[base + c];
    part += v * v;
  }
  let squares = workgroup_sum(local, total(part));
  let scale = 1.0 / sqrt(squares / f32(params.vecs * WIDTH) + params.eps);
  for (var c = local; c < params.vecs; c += WORKGROUP) {
    var y = x[base + c] * scale * gain[c];
    if (params.add == 1u) { y += residual[base + c]; }
    out[base + c] = y;
  }
}
