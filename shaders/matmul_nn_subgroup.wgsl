// dx[m, k] (+)= alpha * sum_n dy[m, n] w[n, k]      dY W without barriers, where lanes can talk to each other.
// dy [M, stride], w [N, K] one part of a frozen weight, dx [M, K]; see lib/product_nn.wgsl.
// One subgroup walks 8 rows of dy, each loaded by one lane and broadcast; one thread owns 4 columns of w: 8 x 4 sums in registers.
// Only lanes 0..3 broadcast: any subgroup of 4 or more. n runs upwards in one accumulator each: a row's bits do not depend on M.
// Overwrites or accumulates: constant ACCUMULATE. Constants: LANES.
fn inner(a: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) -> vec4<f32> {
  return a.x * b0 + a.y * b1 + a.z * b2 + a.w * b3;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let m = group.x * 8u;
  let k = (group.y * LANES + local) * 4u;
  let low = dy_offset(m + (lane & 3u), rows);
  let high = dy_offset(m + 4u + (lane & 3u), rows);
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  var s4 = vec4<f32>();
  var s5 = vec4<f32>();
  var s6 = vec4<f32>();
  var s7 = vec4<f32>();
  for (var n = 0u; n < params.n; n += 4u) {
    let b0 = weight_row(n, k);
    let b1 = weight_row(n + 1u, k);
    let b2 = weight_row(n + 2u, k);
    let b3 = weight_row(n + 3u, k);
    let a_low = left4(low + n, params.n - n);
    let a_high = left4(high + n, params.n - n);
    s0 += inner(subgroupBroadcast(a_low, 0u), b0, b1, b2, b3);
    s1 += inner(subgroupBroadcast(a_low, 1u), b0, b1, b2, b3);
    s2 += inner(subgroupBroadcast(a_low, 2u), b0, b1, b2, b3);
    s3 += inner(subgroupBroadcast(a_low, 3u), b0, b1, b2, b3);
    s4 += inner(subgroupBroadcast(a_high, 0u), b0, b1, b2, b3);
    s5 += inner(subgroupBroadcast(a_high, 1u), b0, b1, b2, b3);
    s6 += inner(subgroupBroadcast(a_high, 2u), b0, b1, b2, b3);
    s7 += inner(subgroupBroadcast(a_high, 3u), b0, b1, b2, b3);
  }
  for (var i = m; i < min(m + 8u, rows); i += 1u) {
    store4(i, k, s0);
    s0 = s1;
    s1 = s2;
    s2 = s3;
    s3 = s4;
    s4 = s5;
    s5 = s6;
    s6 = s7;
  }
}
