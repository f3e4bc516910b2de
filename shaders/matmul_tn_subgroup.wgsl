// out[p, q] (+)= alpha * sum_m a[m, p] b[m, q]      A^T B without barriers, where lanes can talk to each other.
// a [M, P], b [M, Q], out [P, Q]; see lib/product_tn.wgsl. The narrower operand, of LoRA's rank, is shared: lanes 0..3 load 8 of its
// columns and broadcast them. One thread owns 4 columns of the wider one: 8 x 4 sums in registers, over all m upwards.
// Overwrites or accumulates: constant ACCUMULATE. Constants: LANES, OWN_P (the wider operand is a).
fn own4(m: u32, column: u32) -> vec4<f32> {
  if (OWN_P) { return a4(m, column); }
  return b4(m, column);
}

fn shared1(m: u32, column: u32) -> f32 {
  if (OWN_P) { return b[m * params.q + min(column, params.q - 1u)]; }
  return a[m * params.p + min(column, params.p - 1u)];
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let own = (group.x * LANES + local) * 4u;
  let first = group.y * 8u;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  var s4 = vec4<f32>();
  var s5 = vec4<f32>();
  var s6 = vec4<f32>();
  var s7 = vec4<f32>();
  for (var m = 0u; m < rows; m += 1u) {
    let wide = own4(m, own);
    let low = shared1(m, first + (lane & 3u));
    let high = shared1(m, first + 4u + (lane & 3u));
    s0 += subgroupBroadcast(low, 0u) * wide;
    s1 += subgroupBroadcast(low, 1u) * wide;
    s2 += subgroupBroadcast(low, 2u) * wide;
    s3 += subgroupBroadcast(low, 3u) * wide;
    s4 += subgroupBroadcast(high, 0u) * wide;
    s5 += subgroupBroadcast(high, 1u) * wide;
    s6 += subgroupBroadcast(high, 2u) * wide;
    s7 += subgroupBroadcast(high, 3u) * wide;
  }
  let shared_end = select(params.p, params.q, OWN_P);
  let own_end = select(params.q, params.p, OWN_P);
  for (var i = first; i < min(first + 8u, shared_end); i += 1u) {
    if (OWN_P) {
      if (own < own_end) { store(own, i, s0.x); }
      if (own + 1u < own_end) { store(own + 1u, i, s0.y); }
      if (own + 2u < own_end) { store(own + 2u, i, s0.z); }
      if (own + 3u < own_end) { store(own + 3u, i, s0.w); }
    } else {
      store4(i, own, s0);
    }
    s0 = s1;
    s1 = s2;
    s2 = s3;
    s3 = s4;
    s4 = s5;
    s5 = s6;
    s6 = s7;
  }
}
