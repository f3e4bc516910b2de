// rms_norm_backward.wgsl for GPUs:
//   dx[r, c] = s (gain[c] dOut[r, c] - x[r, c] s^2 mean_c(x gain dOut)),  s = 1 / sqrt(mean_c(x^2) + eps)
// Shapes: x, dOut, dx [R, cols], gain [cols]. One workgroup = one row. s is computed again from x.
// dx accumulates when params.accumulate is 1, else overwrites. The gain is frozen and gets no gradient.
struct Params { rows_kind: u32, rows_start: u32, rows_cap: u32, eps: f32, vecs: u32, accumulate: u32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<Vec>;
@group(0) @binding(3) var<storage, read> gain: array<Vec>;
@group(0) @binding(4) var<storage, read> d_out: array<Vec>;
@group(0) @binding(5) var<storage, read_write> dx: array<Vec>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= row_count(params.rows_kind, params.rows_start, params.rows_cap)) { return; }
  let base = row * params.vecs;
  var part = Vec();
  var part_along = Vec();
  for (var c = local; c < params.vecs; c += WORKGROUP) {
    let v = x[base + c];
    part += v * v;
    part_along += v * (gain[c] * d_out[base + c]);
  }
  let squares = workgroup_sum(local, total(part));
  let along = workgroup_sum(local, total(part_along));
  let cols = f32(params.vecs * WIDTH);
  let scale = 1.0 / sqrt(squares / cols + params.eps);
  let back = scale * scale * (along / cols);
  for (var c = local; c < params.vecs; c += WORKGROUP) {
    let d = scale * (gain[c] * d_out[base + c] - x[base + c] * back);
    if (params.accumulate == 1u) { dx[base + c] += d; } else { dx[base + c] = d; }
  }
}
