// attention_backward_dq.wgsl for GPUs: a workgroup stages keys and values in workgroup memory for ROWS queries of one head.
//   dq_i = scale sum_j p_j (dp_j - delta_i) cap_slope(s_j) k_j,   p_j = e^(s_j - lse_i),   dp_j = dOut_i . v_j
// Shapes: q, dOut, dq [M, H, D], k, v [M, Hkv, D], lseDelta [M, H, 2] (attention_delta.wgsl). dq overwrites.
// One thread = one slice of ROWS_EACH neighbouring queries (lib/slices.wgsl), their q, dOut and dq in registers.
struct Params { per: u32, heads: u32, scale: f32, cap: f32 } // PER and HEADS again: software compilers would unroll constants and take a minute
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<Vec>;
@group(0) @binding(3) var<storage, read> k: array<Vec>;
@group(0) @binding(4) var<storage, read> v: array<Vec>;
@group(0) @binding(5) var<storage, read> d_out: array<Vec>;
@group(0) @binding(6) var<storage, read> lse_delta: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read> key_start: array<u32>;
@group(0) @binding(8) var<storage, read> key_end: array<u32>;
@group(0) @binding(9) var<storage, read_write> dq: array<Vec>;

const N: u32 = HEAD_DIM / WIDTH;
const KV_STRIDE: u32 = KV_HEADS * N;
const ROWS: u32 = WORKGROUP / SLICES * ROWS_EACH;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let per = select(params.per, PER, UNROLL);
  let unit = group.y * groups.x + group.x;
  let head = unit % HEADS;
  let first = (unit / HEADS) * ROWS;
  if (first >= step.tokens) { return; }
  let final_query = min(first + ROWS, step.tokens) - 1u;
  var begin = key_start[first];
  var end = 0u;
  for (var i = first; i <= final_query; i++) {
    begin = min(begin, key_start[i]);
    end = max(end, key_end[i]);
  }
  let kv_base = (head / (HEADS / KV_HEADS)) * N;
  let scale = params.scale;

  let slice = local % SLICES;
  let mine = first + local / SLICES * ROWS_EACH; // rows past M repeat the last query and are not written
  var lo: array<u32, ROWS_EACH>;
  var hi: array<u32, ROWS_EACH>;
  var ends: array<vec2<f32>, ROWS_EACH>; // lse and delta
  var x: array<Vec, ROWS_EACH * PER>;
  var g: array<Vec, ROWS_EACH * PER>;
  var sum: array<Vec, ROWS_EACH * PER>;
  for (var r = 0u; r < ROWS_EACH; r++) {
    let i = min(mine + r, final_query);
    lo[r] = key_start[i];
    hi[r] = key_end[i];
    ends[r] = lse_delta[i * HEADS + head];
    for (var d = 0u; d < per; d++) {
      let at = d * SLICES + slice;
      let row = (i * HEADS + head) * N + at;
      x[r * PER + d] = Vec();
      g[r * PER + d] = Vec();
      if (at < N) {
        x[r * PER + d] = q[row] * scale;
        g[r * PER + d] = d_out[row];
      }
      sum[r * PER + d] = Vec();
    }
  }

  for (var tile = begin; tile < end; tile += TILE) {
    workgroupBarrier();
    for (var e = local; e < TILE * PADDED; e += WORKGROUP) {
      let j = tile + e / PADDED;
      let at = e % PADDED;
      var key = Vec();
      var value = Vec();
      if (j < end && at < N) {
        key = k[j * KV_STRIDE + kv_base + at];
        value = v[j * KV_STRIDE + kv_base + at];
      }
      keys[e] = key;
      values[e] = value;
    }
    workgroupBarrier();
    for (var c = 0u; c < min(TILE, end - tile); c += 8u) {
      var s_share = array<array<vec4<f32>, 2>, ROWS_EACH>();
      var dp_share = array<array<vec4<f32>, 2>, ROWS_EACH>();
      var at = c * PADDED + slice;
      for (var d = 0u; d < per; d++) {
        let eight_keys = keys_at(at);
        let eight_values = values_at(at);
        for (var r = 0u; r < ROWS_EACH; r++) {
          let a = x[r * PER + d];
          let b = g[r * PER + d];
          s_share[r] = add(s_share[r], products(a, eight_keys));
          dp_share[r] = add(dp_share[r], products(b, eight_values));
        }
        at += SLICES;
      }
      let j = tile + c + vec4<u32>(0u, 1u, 2u, 3u);
      var ds_a = array<vec4<f32>, ROWS_EACH>();
      var ds_b = array<vec4<f32>, ROWS_EACH>();
      for (var r = 0u; r < ROWS_EACH; r++) {
        let s = sum_slices(local, s_share[r]);
        let dp = sum_slices(local, dp_share[r]);
        let used = (j >= vec4<u32>(lo[r])) & (j < vec4<u32>(hi[r]));
        let used_b = (j + 4u >= vec4<u32>(lo[r])) & (j + 4u < vec4<u32>(hi[r]));
        let c_a = capped(s[0], params.cap);
        let c_b = capped(s[1], params.cap);
        ds_a[r] = select(vec4<f32>(), exp4(c_a - ends[r].x) * (dp[0] - ends[r].y) * cap_slope(c_a, params.cap), used);
        ds_b[r] = select(vec4<f32>(), exp4(c_b - ends[r].x) * (dp[1] - ends[r].y) * cap_slope(c_b, params.cap), used_b);
      }
      at = c * PADDED + slice;
      for (var d = 0u; d < per; d++) {
        let eight_keys = keys_at(at);
        for (var r = 0u; r < ROWS_EACH; r++) {
          let a = ds_a[r];
          let b = ds_b[r];
          sum[r * PER + d] += weighted(a, b, eight_keys);
        }
        at += SLICES;
      }
    }
  }

  for (var r = 0u; r < ROWS_EACH; r++) {
    let i = mine + r;
    if (i > final_query) { return; }
    for (var d = 0u; d < per; d++) {
      let at = d * SLICES + slice;
      if (at < N) { dq[(i * HEADS + head) * N + at] = sum[r * PER + d] * scale; }
    }
  }
}
