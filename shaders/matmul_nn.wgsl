// dx[m, k] (+)= alpha * sum_n dy[m, n] w[n, k]      dY W, the gradient a linear layer hands to its input; needs nothing of the device.
// dy [M, stride], w [N, K] one part of a frozen weight, dx [M, K]; see lib/product_nn.wgsl.
// One thread = a tile of 4 rows x 4 columns of dx, in registers.
// n runs upwards in one accumulator each: a row's bits do not depend on M. Overwrites or accumulates: constant ACCUMULATE. Constant APART.
fn inner(a: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) -> vec4<f32> {
  return a.x * b0 + a.y * b1 + a.z * b2 + a.w * b3;
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let tile = linear_index(group, groups, local, 32u);
  let down = (rows + 3u) / 4u;
  let m = tile % down * 4u;
  let own = segment_of(tile / down, 4u);
  let k = column_of(tile / down, 4u);
  if (k >= params.k) { return; }
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  let last = sum_end(own);
  for (var s = own; s < last; s += 1u) {
    enter_segment(s);
    let d0 = dy_offset(m, rows);
    let d1 = dy_offset(m + 1u, rows);
    let d2 = dy_offset(m + 2u, rows);
    let d3 = dy_offset(m + 3u, rows);
    let columns = bounds(s);
    for (var n = columns.x; n < columns.y; n += 4u) {
      let remaining = columns.y - n;
      let b0 = weight_row(n, k);
      let b1 = weight_row(n + 1u, k);
      let b2 = weight_row(n + 2u, k);
      let b3 = weight_row(n + 3u, k);
      s0 += inner(left4(d0 + n, remaining), b0, b1, b2, b3);
      s1 += inner(left4(d1 + n, remaining), b0, b1, b2, b3);
      s2 += inner(left4(d2 + n, remaining), b0, b1, b2, b3);
      s3 += inner(left4(d3 + n, remaining), b0, b1, b2, b3);
    }
  }
  for (var i = m; i < min(m + 4u, rows); i += 1u) {
    store4(i, k, s0);
    s0 = s1;
    s1 = s2;
    s2 = s3;
  }
}
