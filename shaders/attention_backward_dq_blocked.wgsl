// attention_backward_dq.wgsl for GPUs, as products of tiles (lib/attention_block.wgsl): a workgroup has ROWS queries of one head.
//   dq_i = scale sum_j p_j (dp_j - delta_i) cap_slope(s_j) k_j,   p_j = e^(s_j - lse_i),   dp_j = dOut_i . v_j
// Shapes: q, dOut, dq [M, H, D], k, v [M, Hkv, D], lseDelta [M, H, 2] (attention_delta.wgsl). D a multiple of 4. dq overwrites.
// Keys, values and keys again come through the same tile.
struct Params { scale: f32, cap: f32, d4: u32, fours: u32 } // D4 and STREAM / 4 again: software compilers would unroll constants and take a minute
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> d_out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> lse_delta: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read> key_start: array<u32>;
@group(0) @binding(8) var<storage, read> key_end: array<u32>;
@group(0) @binding(9) var<storage, read_write> dq: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let unit = group.y * groups.x + group.x;
  let head = unit % HEADS;
  let first = (unit / HEADS) * ROWS;
  if (first >= step.tokens) { return; }
  let final_query = min(first + ROWS, step.tokens) - 1u; // rows past it repeat it and are not written
  var begin = key_start[first];
  var end = 0u;
  for (var i = first; i <= final_query; i++) {
    begin = min(begin, key_start[i]);
    end = max(end, key_end[i]);
  }
  let kv_base = (head / (HEADS / KV_HEADS)) * D4;

  let score_x = local % 8u;
  let score_y = local / 8u;
  let sum_x = local % 16u;
  let sum_y = local / 16u;
  var lo: array<u32, SCORE_ROWS>;
  var hi: array<u32, SCORE_ROWS>;
  var ends: array<vec2<f32>, SCORE_ROWS>; // lse and delta
  for (var i = 0u; i < SCORE_ROWS; i++) {
    let query = min(first + score_y + 8u * i, final_query);
    lo[i] = key_start[query];
    hi[i] = key_end[query];
    ends[i] = lse_delta[query * HEADS + head];
  }
  for (var e = local; e < ROWS * D4; e += 64u) {
    let row = e / D4;
    let at = (min(first + row, final_query) * HEADS + head) * D4 + e % D4;
    own[0][row / 8u][row % 8u][e % D4] = q[at] * params.scale;
    own[1][row / 8u][row % 8u][e % D4] = d_out[at];
  }

  var sums = Sums();
  var held = key_rows(begin, end, kv_base, local);
  for (var tile = begin; tile < end; tile += STREAM) {
    workgroupBarrier();
    put_stream(local, held);
    workgroupBarrier();
    if (now()) { held = value_rows(tile, end, kv_base, local); }
    var s = scores(0u, score_x, score_y);
    workgroupBarrier();
    put_stream(local, held);
    workgroupBarrier();
    if (now()) { held = key_rows(tile, end, kv_base, local); }
    var dp = scores(1u, score_x, score_y);
    let j = tile + 4u * score_x + vec4<u32>(0u, 1u, 2u, 3u);
    for (var i = 0u; i < SCORE_ROWS; i++) {
      let used = (j >= vec4<u32>(lo[i])) & (j < vec4<u32>(hi[i]));
      let c = capped(s[i], params.cap);
      s[i] = select(vec4<f32>(), exp4(c - ends[i].x) * (dp[i] - ends[i].y) * cap_slope(c, params.cap), used);
    }
    put_weights(s, score_x, score_y);
    workgroupBarrier();
    put_stream(local, held);
    workgroupBarrier();
    if (now()) { held = key_rows(tile + STREAM, end, kv_base, local); }
    weigh(&sums, sum_x, sum_y);
  }

  for (var i = 0u; i < SUM_ROWS; i++) {
    let query = first + sum_y + 4u * i;
    if (query > final_query) { return; }
    for (var block = 0u; block < BLOCKS; block++) {
      let column = block * 16u + sum_x;
      if (column < D4) { dq[(query * HEADS + head) * D4 + column] = sums[i * BLOCKS + block] * params.scale; }
    }
  }
}
