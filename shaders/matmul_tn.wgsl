// out[p, q] (+)= alpha * sum_m a[m, p] b[m, q]      A^T B, the gradients of LoRA's two factors.
// a [M, P], b [M, Q], out [P, Q]. P x Q is small, M is not.
// One thread = a tile of 4 x 4 of out, in registers, over all m upwards.
// Overwrites or accumulates: constant ACCUMULATE.
struct Params {
  rows_kind: u32, rows_start: u32, rows_cap: u32,
  p: u32, q: u32,
  alpha: f32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

fn store_row(p: u32, q: u32, sums: vec4<f32>) {
  if (p >= params.p) { return; }
  for (var i = 0u; i < min(4u, params.q - q); i += 1u) {
    let at = p * params.q + q + i;
    let value = params.alpha * sums[i];
    if (ACCUMULATE) { out[at] += value; } else { out[at] = value; }
  }
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let tile = linear_index(group, groups, local, 32u);
  let across = (params.q + 3u) / 4u;
  let p = tile / across * 4u;
  let q = tile % across * 4u;
  if (p >= params.p) { return; }
  // Columns beyond the end are read as the last one and never stored.
  let p1 = min(p + 1u, params.p - 1u);
  let p2 = min(p + 2u, params.p - 1u);
  let p3 = min(p + 3u, params.p - 1u);
  let q1 = min(q + 1u, params.q - 1u);
  let q2 = min(q + 2u, params.q - 1u);
  let q3 = min(q + 3u, params.q - 1u);
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var m = 0u; m < rows; m += 1u) {
    let i = m * params.p;
    let j = m * params.q;
    let row = vec4<f32>(b[j + q], b[j + q1], b[j + q2], b[j + q3]);
    s0 += a[i + p] * row;
    s1 += a[i + p1] * row;
    s2 += a[i + p2] * row;
    s3 += a[i + p3] * row;
  }
  store_row(p, q, s0);
  store_row(p + 1u, q, s1);
  store_row(p + 2u, q, s2);
  store_row(p + 3u, q, s3);
}
