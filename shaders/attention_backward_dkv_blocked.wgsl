// attention_backward_dkv.wgsl for GPUs, as products of tiles (lib/attention_block.wgsl): a workgroup has ROWS keys of one kv head.
//   dv_j = sum p_ij dOut_i,   dk_j = scale sum p_ij (dOut_i . v_j - delta_i) cap_slope(s_ij) q_i,   p_ij = e^(s_ij - lse_i)
// over the queries i in j .. queryEnd[j] and the query heads of the group, one head after the other.
// Shapes: q, dOut [M, H, D], k, v, dk, dv [M, Hkv, D], lseDelta [M, H, 2] (attention_delta.wgsl). D a multiple of 4. dk and dv overwrite.
// Queries, dOut and queries again come through the same tile.
struct Params { scale: f32, cap: f32, d4: u32, fours: u32 } // D4 and STREAM / 4 again: software compilers would unroll constants and take a minute
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> d_out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> lse_delta: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read> query_end: array<u32>;
@group(0) @binding(8) var<storage, read_write> dk: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> dv: array<vec4<f32>>;

const SHARING: u32 = HEADS / KV_HEADS; // query heads that read one kv head

fn query_rows(tile: u32, end: u32, head: u32, local: u32) -> Held {
  var held = Held();
  for (var i = 0u; i < LOADS; i++) { held[i] = q[(min(tile + held_row(local, i), end - 1u) * HEADS + head) * D4 + held_d(local, i)]; }
  return held;
}

fn gradient_rows(tile: u32, end: u32, head: u32, local: u32) -> Held {
  var held = Held();
  for (var i = 0u; i < LOADS; i++) { held[i] = d_out[(min(tile + held_row(local, i), end - 1u) * HEADS + head) * D4 + held_d(local, i)]; }
  return held;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let unit = group.y * groups.x + group.x;
  let kv_head = unit % KV_HEADS;
  let first = (unit / KV_HEADS) * ROWS;
  if (first >= step.tokens) { return; }
  let final_key = min(first + ROWS, step.tokens) - 1u; // rows past it repeat it and are not written
  var end = 0u;
  for (var j = first; j <= final_key; j++) { end = max(end, query_end[j]); }

  let score_x = local % 8u;
  let score_y = local / 8u;
  let sum_x = local % 16u;
  let sum_y = local / 16u;
  var hi: array<u32, SCORE_ROWS>;
  for (var i = 0u; i < SCORE_ROWS; i++) { hi[i] = query_end[min(first + score_y + 8u * i, final_key)]; }
  for (var e = local; e < ROWS * D4; e += 64u) {
    let row = e / D4;
    let at = (min(first + row, final_key) * KV_HEADS + kv_head) * D4 + e % D4;
    own[0][row / 8u][row % 8u][e % D4] = k[at] * params.scale;
    own[1][row / 8u][row % 8u][e % D4] = v[at];
  }

  var key_sums = Sums();
  var value_sums = Sums();
  var held = query_rows(first, end, kv_head * SHARING, local);
  for (var head = kv_head * SHARING; head < (kv_head + 1u) * SHARING; head++) {
    for (var tile = first; tile < end; tile += STREAM) {
      workgroupBarrier();
      put_stream(local, held);
      workgroupBarrier();
      if (now()) { held = gradient_rows(tile, end, head, local); }
      var s = scores(0u, score_x, score_y);
      workgroupBarrier();
      put_stream(local, held);
      workgroupBarrier();
      if (now()) { held = query_rows(tile, end, head, local); }
      var dp = scores(1u, score_x, score_y);
      let i0 = tile + 4u * score_x;
      let i = i0 + vec4<u32>(0u, 1u, 2u, 3u);
      let e0 = lse_delta[min(i0, end - 1u) * HEADS + head];
      let e1 = lse_delta[min(i0 + 1u, end - 1u) * HEADS + head];
      let e2 = lse_delta[min(i0 + 2u, end - 1u) * HEADS + head];
      let e3 = lse_delta[min(i0 + 3u, end - 1u) * HEADS + head];
      let lse = vec4<f32>(e0.x, e1.x, e2.x, e3.x);
      let delta = vec4<f32>(e0.y, e1.y, e2.y, e3.y);
      for (var r = 0u; r < SCORE_ROWS; r++) {
        let j = min(first + score_y + 8u * r, final_key);
        let used = (i >= vec4<u32>(j)) & (i < vec4<u32>(hi[r]));
        let c = capped(s[r], params.cap);
        s[r] = select(vec4<f32>(), exp4(c - lse), used);
        dp[r] = s[r] * (dp[r] - delta) * cap_slope(c, params.cap);
      }
      put_weights(s, score_x, score_y);
      workgroupBarrier();
      weigh(&value_sums, sum_x, sum_y);
      workgroupBarrier();
      put_weights(dp, score_x, score_y);
      put_stream(local, held);
      workgroupBarrier();
      if (now()) {
        let last = tile + STREAM >= end;
        held = query_rows(select(tile + STREAM, first, last), end, min(head + select(0u, 1u, last), (kv_head + 1u) * SHARING - 1u), local);
      }
      weigh(&key_sums, sum_x, sum_y);
    }
  }

  for (var r = 0u; r < SUM_ROWS; r++) {
    let j = first + sum_y + 4u * r;
    if (j > final_key) { return; }
    for (var block = 0u; block < BLOCKS; block++) {
      let column = block * 16u + sum_x;
      if (column < D4) {
        dk[(j * KV_HEADS + kv_head) * D4 + column] = key_sums[r * BLOCKS + block] * params.scale;
        dv[(j * KV_HEADS + kv_head) * D4 + column] = value_sums[r * BLOCKS + block];
      }
    }
  }
}
