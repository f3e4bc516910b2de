// y[m, n] = alpha * sum_k x[m, k] w[n, k]  (+ bias[n])  (+ y[m, n] or c[m, n])      X W^T, the forward product of a linear layer.
// x [M, K], w [N, K] one part of a frozen weight in its storage type, y and c [M, stride], bias [stride]; the part fills columns col .. col + N.
// One thread = a tile of 4 rows x 4 columns of y, in registers; k runs upwards in one accumulator each, so a row's bits do not depend on M.
// ADD: 0 overwrites y, 1 accumulates into y, 2 overwrites with c added. Constants: K_BY_4, HAS_BIAS, ADD.
struct Params {
  rows_kind: u32, rows_start: u32, rows_cap: u32,
  n: u32, k: u32,
  stride: u32, col: u32,         // columns of y, and where this part's begin
  x_row: u32, y_row: u32,        // row offsets into x and y
  alpha: f32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> c: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn x4(row: u32, k: u32) -> vec4<f32> {
  let at = row * params.k + k;
  if (K_BY_4) { return vec4<f32>(x[at], x[at + 1u], x[at + 2u], x[at + 3u]); }
  var v = vec4<f32>();
  for (var i = 0u; i < min(4u, params.k - k); i += 1u) { v[i] = x[at + i]; }
  return v;
}

fn w4(row: u32, k: u32) -> vec4<f32> {
  let at = row * params.k + k;
  if (K_BY_4) { return weight4_at(at); }
  var v = vec4<f32>();
  for (var i = 0u; i < min(4u, params.k - k); i += 1u) { v[i] = weight_at(at + i); }
  return v;
}

fn store(m: u32, n: u32, sum: f32) {
  let column = params.col + n;
  let at = (m + params.y_row) * params.stride + column;
  var value = params.alpha * sum;
  if (HAS_BIAS) { value += bias[column]; }
  if (ADD == 1u) { value += y[at]; }
  if (ADD == 2u) { value += c[at]; }
  y[at] = value;
}

fn store_row(m: u32, n: u32, rows: u32, sums: vec4<f32>) {
  if (m >= rows) { return; }
  store(m, n, sums.x);
  if (n + 1u < params.n) { store(m, n + 1u, sums.y); }
  if (n + 2u < params.n) { store(m, n + 2u, sums.z); }
  if (n + 3u < params.n) { store(m, n + 3u, sums.w); }
}

fn row_products(a: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(dot(a, b0), dot(a, b1), dot(a, b2), dot(a, b3));
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let tile = linear_index(group, groups, local, 32u);
  let across = (params.n + 3u) / 4u;
  let m = tile / across * 4u;
  let n = tile % across * 4u;
  if (m >= rows) { return; }
  // Rows beyond the end are read as the last one and never stored.
  let last = params.x_row + rows - 1u;
  let m0 = params.x_row + m;
  let m1 = min(m0 + 1u, last);
  let m2 = min(m0 + 2u, last);
  let m3 = min(m0 + 3u, last);
  let n1 = min(n + 1u, params.n - 1u);
  let n2 = min(n + 2u, params.n - 1u);
  let n3 = min(n + 3u, params.n - 1u);
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var k = 0u; k < params.k; k += 4u) {
    let b0 = w4(n, k);
    let b1 = w4(n1, k);
    let b2 = w4(n2, k);
    let b3 = w4(n3, k);
    s0 += row_products(x4(m0, k), b0, b1, b2, b3);
    s1 += row_products(x4(m1, k), b0, b1, b2, b3);
    s2 += row_products(x4(m2, k), b0, b1, b2, b3);
    s3 += row_products(x4(m3, k), b0, b1, b2, b3);
  }
  store_row(m, n, rows, s0);
  store_row(m + 1u, n, rows, s1);
  store_row(m + 2u, n, rows, s2);
  store_row(m + 3u, n, rows, s3);
}
