// y[m, n] = alpha * sum_k x[m, k] w[n, k] (+ bias[n]) (+ y or c)      X W^T without barriers, where lanes can talk to each other.
// x [M, K], w [N, K] one part of a frozen weight, y and c [M, stride], bias [stride]; see lib/product_nt.wgsl.
// One subgroup walks 8 shared rows of one operand, each loaded by one lane and broadcast; one thread owns 4 rows of the other:
// 8 x 4 sums in registers. Shared are rows of x, or of w where LANES_ALONG_M (few columns). Only lanes 0..3 broadcast: any subgroup of 4 or more.
// k runs upwards in one accumulator each: a row's bits do not depend on M. Constants: LANES, LANES_ALONG_M, HAS_BIAS, ADD.
fn shared_unit(at: u32) -> Unit {
  if (LANES_ALONG_M) { return weight_unit(at); }
  return left_unit(at);
}

fn own_unit(at: u32) -> Unit {
  if (LANES_ALONG_M) { return left_unit(at); }
  return weight_unit(at);
}

fn shared_offset(i: u32, rows: u32) -> u32 {
  if (LANES_ALONG_M) { return w_offset(i); }
  return x_offset(i, rows);
}

fn own_offset(i: u32, rows: u32) -> u32 {
  if (LANES_ALONG_M) { return x_offset(i, rows); }
  return w_offset(i);
}

fn inner(a: Unit, b0: Unit, b1: Unit, b2: Unit, b3: Unit) -> vec4<f32> {
  return vec4<f32>(unit_product(a, b0), unit_product(a, b1), unit_product(a, b2), unit_product(a, b3));
}

fn store_pair(shared_row: u32, own: u32, sum: f32) {
  store(select(shared_row, own, LANES_ALONG_M), select(own, shared_row, LANES_ALONG_M), sum);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let block_m = group.x;
  let block_n = group.y;
  let first = select(block_m, block_n, LANES_ALONG_M) * 8u;
  let own = select(block_n, block_m, LANES_ALONG_M) * 4u * LANES + local;
  let low = shared_offset(first + (lane & 3u), rows);
  let high = shared_offset(first + 4u + (lane & 3u), rows);
  let o0 = own_offset(own, rows);
  let o1 = own_offset(own + LANES, rows);
  let o2 = own_offset(own + 2u * LANES, rows);
  let o3 = own_offset(own + 3u * LANES, rows);
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  var s4 = vec4<f32>();
  var s5 = vec4<f32>();
  var s6 = vec4<f32>();
  var s7 = vec4<f32>();
  for (var k = 0u; k < params.k; k += UNIT) {
    let b0 = own_unit(o0 + k);
    let b1 = own_unit(o1 + k);
    let b2 = own_unit(o2 + k);
    let b3 = own_unit(o3 + k);
    let a_low = shared_unit(low + k);
    let a_high = shared_unit(high + k);
    s0 += inner(subgroupBroadcast(a_low, 0u), b0, b1, b2, b3);
    s1 += inner(subgroupBroadcast(a_low, 1u), b0, b1, b2, b3);
    s2 += inner(subgroupBroadcast(a_low, 2u), b0, b1, b2, b3);
    s3 += inner(subgroupBroadcast(a_low, 3u), b0, b1, b2, b3);
    s4 += inner(subgroupBroadcast(a_high, 0u), b0, b1, b2, b3);
    s5 += inner(subgroupBroadcast(a_high, 1u), b0, b1, b2, b3);
    s6 += inner(subgroupBroadcast(a_high, 2u), b0, b1, b2, b3);
    s7 += inner(subgroupBroadcast(a_high, 3u), b0, b1, b2, b3);
  }
  let shared_end = select(rows, params.n, LANES_ALONG_M);
  let own_end = select(params.n, rows, LANES_ALONG_M);
  // Sums move up one by one: a loop over registers stays short where it is compiled, an array of them would not.
  for (var i = first; i < min(first + 8u, shared_end); i += 1u) {
    if (own < own_end) { store_pair(i, own, s0.x); }
    if (own + LANES < own_end) { store_pair(i, own + LANES, s0.y); }
    if (own + 2u * LANES < own_end) { store_pair(i, own + 2u * LANES, s0.z); }
    if (own + 3u * LANES < own_end) { store_pair(i, own + 3u * LANES, s0.w); }
    s0 = s1;
    s1 = s2;
    s2 = s3;
    s3 = s4;
    s4 = s5;
    s5 = s6;
    s6 = s7;
  }
}
