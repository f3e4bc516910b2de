// dx[m, k] (+)= alpha * sum_n dy[m, n] w[n, k]      dY W without barriers, where lanes can talk to each other.
// dy [M, stride], w [N, K] one part of a frozen weight, dx [M, K]; see lib/product_nn.wgsl.
// One subgroup walks 16 rows of dy, each loaded by one lane and broadcast; one thread owns 4 columns of w: 16 x 4 sums in registers.
// Only lanes 0..3 broadcast: any subgroup of 4 or more. n runs upwards in one accumulator each: a row's bits do not depend on M.
// Overwrites or accumulates: constant ACCUMULATE. Constants: LANES, APART.
fn inner(a: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) -> vec4<f32> {
  return a.x * b0 + a.y * b1 + a.z * b2 + a.w * b3;
}

// Eight rows of dy times four rows of w.
fn add8(s: ptr<function, Sums>, low: vec4<f32>, high: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) {
  (*s).s0 += inner(subgroupBroadcast(low, 0u), b0, b1, b2, b3);
  (*s).s1 += inner(subgroupBroadcast(low, 1u), b0, b1, b2, b3);
  (*s).s2 += inner(subgroupBroadcast(low, 2u), b0, b1, b2, b3);
  (*s).s3 += inner(subgroupBroadcast(low, 3u), b0, b1, b2, b3);
  (*s).s4 += inner(subgroupBroadcast(high, 0u), b0, b1, b2, b3);
  (*s).s5 += inner(subgroupBroadcast(high, 1u), b0, b1, b2, b3);
  (*s).s6 += inner(subgroupBroadcast(high, 2u), b0, b1, b2, b3);
  (*s).s7 += inner(subgroupBroadcast(high, 3u), b0, b1, b2, b3);
}

fn store8(s: ptr<function, Sums>, m: u32, rows: u32, k: u32) {
  for (var i = m; i < min(m + 8u, rows); i += 1u) {
    store4(i, k, (*s).s0);
    move_up(s);
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let m = group.x * 16u;
  let own = segment_of(group.y, LANES * 4u);
  let k = column_of(group.y, LANES * 4u) + local * 4u;
  let mine = m + (lane & 3u);
  var top: Sums;
  var bottom: Sums;
  let last = sum_end(own);
  for (var s = own; s < last; s += 1u) {
    enter_segment(s);
    let r0 = dy_offset(mine, rows);
    let r1 = dy_offset(mine + 4u, rows);
    let r2 = dy_offset(mine + 8u, rows);
    let r3 = dy_offset(mine + 12u, rows);
    let columns = bounds(s);
    for (var n = columns.x; n < columns.y; n += 4u) {
      let remaining = columns.y - n;
      let b0 = weight_row(n, k);
      let b1 = weight_row(n + 1u, k);
      let b2 = weight_row(n + 2u, k);
      let b3 = weight_row(n + 3u, k);
      add8(&top, left4(r0 + n, remaining), left4(r1 + n, remaining), b0, b1, b2, b3);
      add8(&bottom, left4(r2 + n, remaining), left4(r3 + n, remaining), b0, b1, b2, b3);
    }
  }
  store8(&top, m, rows, k);
  store8(&bottom, m + 8u, rows, k);
}
