// attention_backward_dq.wgsl for GPUs: a workgroup stages keys and values in workgroup memory for ROWS queries of one head.
//   dq_i = scale sum_j p_j (dp_j - delta_i) cap_slope(s_j) k_j,   p_j = e^(s_j - lse_i),   dp_j = dOut_i . v_j
// Shapes: q, dOut, dq [M, H, D], k, v [M, Hkv, D], lseDelta [M, H, 2] (attention_delta.wgsl). dq overwrites.
// One thread = one slice of one query (lib/slices.wgsl), its q, dOut and dq in registers.
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
const ROWS: u32 = WORKGROUP / SLICES;

var<workgroup> keys: array<Vec, TILE * PADDED>;
var<workgroup> values: array<Vec, TILE * PADDED>;

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
  let i = min(first + local / SLICES, final_query); // threads past M repeat the last query and write nothing
  let row = (i * HEADS + head) * N;
  let lo = key_start[i];
  let hi = key_end[i];
  let lse = lse_delta[i * HEADS + head].x;
  let delta = lse_delta[i * HEADS + head].y;
  var x: array<Vec, PER>;
  var g: array<Vec, PER>;
  var sum: array<Vec, PER>;
  for (var d = 0u; d < per; d++) {
    let at = d * SLICES + slice;
    x[d] = Vec();
    g[d] = Vec();
    if (at < N) {
      x[d] = q[row + at] * scale;
      g[d] = d_out[row + at];
    }
    sum[d] = Vec();
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
      var s_share = array<vec4<f32>, 2>(vec4<f32>(), vec4<f32>());
      var dp_share = array<vec4<f32>, 2>(vec4<f32>(), vec4<f32>());
      var at = c * PADDED + slice;
      for (var d = 0u; d < per; d++) {
        s_share[0] += vec4<f32>(inner(x[d], keys[at]), inner(x[d], keys[at + PADDED]), inner(x[d], keys[at + 2u * PADDED]), inner(x[d], keys[at + 3u * PADDED]));
        s_share[1] += vec4<f32>(inner(x[d], keys[at + 4u * PADDED]), inner(x[d], keys[at + 5u * PADDED]), inner(x[d], keys[at + 6u * PADDED]), inner(x[d], keys[at + 7u * PADDED]));
        dp_share[0] += vec4<f32>(inner(g[d], values[at]), inner(g[d], values[at + PADDED]), inner(g[d], values[at + 2u * PADDED]), inner(g[d], values[at + 3u * PADDED]));
        dp_share[1] += vec4<f32>(inner(g[d], values[at + 4u * PADDED]), inner(g[d], values[at + 5u * PADDED]), inner(g[d], values[at + 6u * PADDED]), inner(g[d], values[at + 7u * PADDED]));
        at += SLICES;
      }
      let s = sum_slices(local, s_share);
      let dp = sum_slices(local, dp_share);
      let j = tile + c + vec4<u32>(0u, 1u, 2u, 3u);
      let used = (j >= vec4<u32>(lo)) & (j < vec4<u32>(hi));
      let used_b = (j + 4u >= vec4<u32>(lo)) & (j + 4u < vec4<u32>(hi));
      let c_a = capped(s[0], params.cap);
      let c_b = capped(s[1], params.cap);
      let ds_a = select(vec4<f32>(), exp4(c_a - lse) * (dp[0] - delta) * cap_slope(c_a, params.cap), used);
      let ds_b = select(vec4<f32>(), exp4(c_b - lse) * (dp[1] - delta) * cap_slope(c_b, params.cap), used_b);
      at = c * PADDED + slice;
      for (var d = 0u; d < per; d++) {
        sum[d] += ((ds_a.x * keys[at] + ds_a.y * keys[at + PADDED]) + (ds_a.z * keys[at + 2u * PADDED] + ds_a.w * keys[at + 3u * PADDED]))
          + ((ds_b.x * keys[at + 4u * PADDED] + ds_b.y * keys[at + 5u * PADDED]) + (ds_b.z * keys[at + 6u * PADDED] + ds_b.w * keys[at + 7u * PADDED]));
        at += SLICES;
      }
    }
  }

  if (first + local / SLICES > final_query) { return; }
  for (var d = 0u; d < per; d++) {
    let at = d * SLICES + slice;
    if (at < N) { dq[row + at] = sum[d] * scale; }
  }
}
