// out[p, q] (+)= alpha * sum_m a[m, p] b[m, q]      A^T B without barriers, where lanes can talk to each other.
// a [M, P], b [M, Q], out [P, Q]; see lib/product_tn.wgsl. The narrower operand, of LoRA's rank, is shared: lanes 0..3 load 8 of its
// columns (16 where TALL) and broadcast them. One thread owns 4 columns of the wider one: 8 x 4 or 16 x 4 sums in registers, over all m upwards.
// Overwrites or accumulates: constant ACCUMULATE. Constants: LANES, TALL, OWN_P (the wider operand is a, or it has segments).
fn own4(m: u32, column: u32) -> vec4<f32> {
  if (OWN_P) { return a4(m, column); }
  return b4(m, column);
}

fn shared1(m: u32, column: u32) -> f32 {
  if (OWN_P) { return b[slice_at(m, params.q) + min(column, params.q - 1u)]; }
  return a[a_at(m) + min(column, params.p - 1u)];
}

// Eight shared columns times four own ones.
fn add8(s: ptr<function, Sums>, low: f32, high: f32, wide: vec4<f32>) {
  (*s).s0 += subgroupBroadcast(low, 0u) * wide;
  (*s).s1 += subgroupBroadcast(low, 1u) * wide;
  (*s).s2 += subgroupBroadcast(low, 2u) * wide;
  (*s).s3 += subgroupBroadcast(low, 3u) * wide;
  (*s).s4 += subgroupBroadcast(high, 0u) * wide;
  (*s).s5 += subgroupBroadcast(high, 1u) * wide;
  (*s).s6 += subgroupBroadcast(high, 2u) * wide;
  (*s).s7 += subgroupBroadcast(high, 3u) * wide;
}

fn store8(s: ptr<function, Sums>, first: u32, shared_end: u32, own: u32, own_end: u32) {
  for (var i = first; i < min(first + 8u, shared_end); i += 1u) {
    if (OWN_P) {
      if (own < own_end) { store(own, i, (*s).s0.x); }
      if (own + 1u < own_end) { store(own + 1u, i, (*s).s0.y); }
      if (own + 2u < own_end) { store(own + 2u, i, (*s).s0.z); }
      if (own + 3u < own_end) { store(own + 3u, i, (*s).s0.w); }
    } else {
      store4(i, own, (*s).s0);
    }
    move_up(s);
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let own = enter_tile(group.x, 4u * LANES) + local * 4u;
  let first = group.y * select(8u, 16u, TALL);
  let mine = first + (lane & 3u);
  var top: Sums;
  var bottom: Sums;
  for (var m = 0u; m < rows; m += 1u) {
    let wide = own4(m, own);
    add8(&top, shared1(m, mine), shared1(m, mine + 4u), wide);
    if (TALL) { add8(&bottom, shared1(m, mine + 8u), shared1(m, mine + 12u), wide); }
  }
  let shared_end = select(params.p, params.q, OWN_P);
  let own_end = select(params.q, columns_end(), OWN_P);
  store8(&top, first, shared_end, own, own_end);
  if (TALL) { store8(&bottom, first + 8u, shared_end, own, own_end); }
}
