// y[m, n] = alpha * sum_k x[m, k] w[n, k] (+ bias[n]) (+ y or c)      X W^T without barriers, where lanes can talk to each other.
// x [M, K], w [N, K] one part of a frozen weight, y and c [M, stride], bias [stride]; see lib/product_nt.wgsl.
// One subgroup walks 8 shared rows of one operand (16 where TALL), each loaded by one lane and broadcast; one thread owns 4 rows of the
// other: 8 x 4 or 16 x 4 sums in registers. Shared are rows of x, or of w where LANES_ALONG_M (few columns).
// Only lanes 0..3 broadcast: any subgroup of 4 or more.
// k runs upwards in one accumulator each: a row's bits do not depend on M. Constants: LANES, LANES_ALONG_M, TALL, HAS_BIAS, ADD, SLICED.
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

// Eight shared rows times four own ones.
fn add8(s: ptr<function, Sums>, low: Unit, high: Unit, b0: Unit, b1: Unit, b2: Unit, b3: Unit) {
  (*s).s0 += inner(subgroupBroadcast(low, 0u), b0, b1, b2, b3);
  (*s).s1 += inner(subgroupBroadcast(low, 1u), b0, b1, b2, b3);
  (*s).s2 += inner(subgroupBroadcast(low, 2u), b0, b1, b2, b3);
  (*s).s3 += inner(subgroupBroadcast(low, 3u), b0, b1, b2, b3);
  (*s).s4 += inner(subgroupBroadcast(high, 0u), b0, b1, b2, b3);
  (*s).s5 += inner(subgroupBroadcast(high, 1u), b0, b1, b2, b3);
  (*s).s6 += inner(subgroupBroadcast(high, 2u), b0, b1, b2, b3);
  (*s).s7 += inner(subgroupBroadcast(high, 3u), b0, b1, b2, b3);
}

fn store8(s: ptr<function, Sums>, first: u32, shared_end: u32, own: u32, own_end: u32) {
  for (var i = first; i < min(first + 8u, shared_end); i += 1u) {
    if (own < own_end) { store_pair(i, own, (*s).s0.x); }
    if (own + LANES < own_end) { store_pair(i, own + LANES, (*s).s0.y); }
    if (own + 2u * LANES < own_end) { store_pair(i, own + 2u * LANES, (*s).s0.z); }
    if (own + 3u * LANES < own_end) { store_pair(i, own + 3u * LANES, (*s).s0.w); }
    move_up(s);
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let height = select(8u, 16u, TALL);
  let column = enter_tile(group.y, select(4u * LANES, height, LANES_ALONG_M));
  let first = select(group.x * height, column, LANES_ALONG_M);
  let own = select(column, group.x * 4u * LANES, LANES_ALONG_M) + local;
  let mine = first + (lane & 3u);
  let r0 = shared_offset(mine, rows);
  let r1 = shared_offset(mine + 4u, rows);
  let r2 = shared_offset(mine + 8u, rows);
  let r3 = shared_offset(mine + 12u, rows);
  let o0 = own_offset(own, rows);
  let o1 = own_offset(own + LANES, rows);
  let o2 = own_offset(own + 2u * LANES, rows);
  let o3 = own_offset(own + 3u * LANES, rows);
  var top: Sums;
  var bottom: Sums;
  for (var k = 0u; k < params.k; k += UNIT) {
    let b0 = own_unit(o0 + k);
    let b1 = own_unit(o1 + k);
    let b2 = own_unit(o2 + k);
    let b3 = own_unit(o3 + k);
    add8(&top, shared_unit(r0 + k), shared_unit(r1 + k), b0, b1, b2, b3);
    if (TALL) { add8(&bottom, shared_unit(r2 + k), shared_unit(r3 + k), b0, b1, b2, b3); }
  }
  let shared_end = select(rows, columns_end(), LANES_ALONG_M);
  let own_end = select(columns_end(), rows, LANES_ALONG_M);
  store8(&top, first, shared_end, own, own_end);
  if (TALL) { store8(&bottom, first + 8u, shared_end, own, own_end); }
}
