// dx[m, k] (+)= alpha * sum_n dy[m, n] w[n, k]      dY W, the gradient a linear layer hands to its input.
// dy [M, stride] of which columns col .. col + N belong to this part of the weight, w [N, K] in its storage type, dx [M, K].
// One thread = a tile of 4 rows x 4 columns of dx, in registers; n runs upwards in one accumulator each, so a row's bits do not depend on M.
// Overwrites or accumulates: constant ACCUMULATE. Constants: K_BY_4.
struct Params {
  rows_kind: u32, rows_start: u32, rows_cap: u32,
  n: u32, k: u32,
  stride: u32, col: u32,         // columns of dy, and where this part's begin
  dy_row: u32, dx_row: u32,      // row offsets into dy and dx
  alpha: f32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<u32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

fn w4(n: u32, k: u32) -> vec4<f32> {
  let at = n * params.k + k;
  if (K_BY_4) { return weight4_at(at); }
  var v = vec4<f32>();
  for (var i = 0u; i < min(4u, params.k - k); i += 1u) { v[i] = weight_at(at + i); }
  return v;
}

fn store_row(m: u32, k: u32, rows: u32, sums: vec4<f32>) {
  if (m >= rows) { return; }
  let at = (m + params.dx_row) * params.k + k;
  for (var i = 0u; i < min(4u, params.k - k); i += 1u) {
    let value = params.alpha * sums[i];
    if (ACCUMULATE) { dx[at + i] += value; } else { dx[at + i] = value; }
  }
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let tile = linear_index(group, groups, local, 32u);
  let across = (params.k + 3u) / 4u;
  let m = tile / across * 4u;
  let k = tile % across * 4u;
  if (m >= rows) { return; }
  // Rows beyond the end are read as the last one and never stored.
  let last = params.dy_row + rows - 1u;
  let d0 = (params.dy_row + m) * params.stride + params.col;
  let d1 = min(params.dy_row + m + 1u, last) * params.stride + params.col;
  let d2 = min(params.dy_row + m + 2u, last) * params.stride + params.col;
  let d3 = min(params.dy_row + m + 3u, last) * params.stride + params.col;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var n = 0u; n < params.n; n += 1u) {
    let b = w4(n, k);
    s0 += dy[d0 + n] * b;
    s1 += dy[d1 + n] * b;
    s2 += dy[d2 + n] * b;
    s3 += dy[d3 + n] * b;
  }
  store_row(m, k, rows, s0);
  store_row(m + 1u, k, rows, s1);
  store_row(m + 2u, k, rows, s2);
  store_row(m + 3u, k, rows, s3);
}
