// attention_backward_dkv.wgsl for GPUs: a workgroup stages queries and dOut in workgroup memory for ROWS keys of one kv head.
//   dv_j = sum p_ij dOut_i,   dk_j = scale sum p_ij (dOut_i . v_j - delta_i) cap_slope(s_ij) q_i,   p_ij = e^(s_ij - lse_i)
// over the queries i in j .. queryEnd[j] and the query heads of the group, one head after the other.
// Shapes: q, dOut [M, H, D], k, v, dk, dv [M, Hkv, D], lseDelta [M, H, 2] (attention_delta.wgsl). dk and dv overwrite.
// One thread = one slice of one key (lib/slices.wgsl), its k, v, dk and dv in registers.
struct Params { per: u32, heads: u32, scale: f32, cap: f32 } // PER and HEADS again: software compilers would unroll constants and take a minute
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<Vec>;
@group(0) @binding(3) var<storage, read> k: array<Vec>;
@group(0) @binding(4) var<storage, read> v: array<Vec>;
@group(0) @binding(5) var<storage, read> d_out: array<Vec>;
@group(0) @binding(6) var<storage, read> lse_delta: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read> query_end: array<u32>;
@group(0) @binding(8) var<storage, read_write> dk: array<Vec>;
@group(0) @binding(9) var<storage, read_write> dv: array<Vec>;

const N: u32 = HEAD_DIM / WIDTH;
const SHARING: u32 = HEADS / KV_HEADS; // query heads that read one kv head
const ROWS: u32 = WORKGROUP / SLICES;

var<workgroup> queries: array<Vec, TILE * PADDED>;
var<workgroup> gradients: array<Vec, TILE * PADDED>;
var<workgroup> sums: array<vec2<f32>, TILE>; // lse and delta

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let per = select(params.per, PER, UNROLL);
  let unit = group.y * groups.x + group.x;
  let kv_head = unit % KV_HEADS;
  let first = (unit / KV_HEADS) * ROWS;
  if (first >= step.tokens) { return; }
  let final_key = min(first + ROWS, step.tokens) - 1u;
  var end = 0u;
  for (var j = first; j <= final_key; j++) { end = max(end, query_end[j]); }
  let scale = params.scale;

  let slice = local % SLICES;
  let j = min(first + local / SLICES, final_key); // threads past M repeat the last key and write nothing
  let row = (j * KV_HEADS + kv_head) * N;
  let hi = query_end[j];
  var key: array<Vec, PER>;
  var value: array<Vec, PER>;
  var key_sum: array<Vec, PER>;
  var value_sum: array<Vec, PER>;
  for (var d = 0u; d < per; d++) {
    let at = d * SLICES + slice;
    key[d] = Vec();
    value[d] = Vec();
    if (at < N) {
      key[d] = k[row + at] * scale;
      value[d] = v[row + at];
    }
    key_sum[d] = Vec();
    value_sum[d] = Vec();
  }

  for (var head = kv_head * SHARING; head < min((kv_head + 1u) * SHARING, params.heads); head++) {
    for (var tile = first; tile < end; tile += TILE) {
      workgroupBarrier();
      for (var e = local; e < TILE * PADDED; e += WORKGROUP) {
        let i = tile + e / PADDED;
        let at = e % PADDED;
        var query = Vec();
        var gradient = Vec();
        if (i < end && at < N) {
          query = q[(i * HEADS + head) * N + at];
          gradient = d_out[(i * HEADS + head) * N + at];
        }
        queries[e] = query;
        gradients[e] = gradient;
      }
      for (var e = local; e < TILE; e += WORKGROUP) {
        sums[e] = lse_delta[min(tile + e, end - 1u) * HEADS + head];
      }
      workgroupBarrier();
      for (var c = 0u; c < min(TILE, end - tile); c += 8u) {
        var s_share = array<vec4<f32>, 2>(vec4<f32>(), vec4<f32>());
        var dp_share = array<vec4<f32>, 2>(vec4<f32>(), vec4<f32>());
        var at = c * PADDED + slice;
        for (var d = 0u; d < per; d++) {
          s_share[0] += vec4<f32>(inner(key[d], queries[at]), inner(key[d], queries[at + PADDED]), inner(key[d], queries[at + 2u * PADDED]), inner(key[d], queries[at + 3u * PADDED]));
          s_share[1] += vec4<f32>(inner(key[d], queries[at + 4u * PADDED]), inner(key[d], queries[at + 5u * PADDED]), inner(key[d], queries[at + 6u * PADDED]), inner(key[d], queries[at + 7u * PADDED]));
          dp_share[0] += vec4<f32>(inner(value[d], gradients[at]), inner(value[d], gradients[at + PADDED]), inner(value[d], gradients[at + 2u * PADDED]), inner(value[d], gradients[at + 3u * PADDED]));
          dp_share[1] += vec4<f32>(inner(value[d], gradients[at + 4u * PADDED]), inner(value[d], gradients[at + 5u * PADDED]), inner(value[d], gradients[at + 6u * PADDED]), inner(value[d], gradients[at + 7u * PADDED]));
          at += SLICES;
        }
        let s = sum_slices(local, s_share);
        let dp = sum_slices(local, dp_share);
        let i = tile + c + vec4<u32>(0u, 1u, 2u, 3u);
        let used = (i >= vec4<u32>(j)) & (i < vec4<u32>(hi));
        let used_b = (i + 4u >= vec4<u32>(j)) & (i + 4u < vec4<u32>(hi));
        let lse_a = vec4<f32>(sums[c].x, sums[c + 1u].x, sums[c + 2u].x, sums[c + 3u].x);
        let lse_b = vec4<f32>(sums[c + 4u].x, sums[c + 5u].x, sums[c + 6u].x, sums[c + 7u].x);
        let delta_a = vec4<f32>(sums[c].y, sums[c + 1u].y, sums[c + 2u].y, sums[c + 3u].y);
        let delta_b = vec4<f32>(sums[c + 4u].y, sums[c + 5u].y, sums[c + 6u].y, sums[c + 7u].y);
        let c_a = capped(s[0], params.cap);
        let c_b = capped(s[1], params.cap);
        let p_a = select(vec4<f32>(), exp4(c_a - lse_a), used);
        let p_b = select(vec4<f32>(), exp4(c_b - lse_b), used_b);
        let ds_a = p_a * (dp[0] - delta_a) * cap_slope(c_a, params.cap);
        let ds_b = p_b * (dp[1] - delta_b) * cap_slope(c_b, params.cap);
        at = c * PADDED + slice;
        for (var d = 0u; d < per; d++) {
          key_sum[d] += ((ds_a.x * queries[at] + ds_a.y * queries[at + PADDED]) + (ds_a.z * queries[at + 2u * PADDED] + ds_a.w * queries[at + 3u * PADDED]))
            + ((ds_b.x * queries[at + 4u * PADDED] + ds_b.y * queries[at + 5u * PADDED]) + (ds_b.z * queries[at + 6u * PADDED] + ds_b.w * queries[at + 7u * PADDED]));
          value_sum[d] += ((p_a.x * gradients[at] + p_a.y * gradients[at + PADDED]) + (p_a.z * gradients[at + 2u * PADDED] + p_a.w * gradients[at + 3u * PADDED]))
            + ((p_b.x * gradients[at + 4u * PADDED] + p_b.y * gradients[at + 5u * PADDED]) + (p_b.z * gradients[at + 6u * PADDED] + p_b.w * gradients[at + 7u * PADDED]));
          at += SLICES;
        }
      }
    }
  }

  if (first + local / SLICES > final_key) { return; }
  for (var d = 0u; d < per; d++) {
    let at = d * SLICES + slice;
    if (at < N) {
      dk[row + at] = key_sum[d] * scale;
      dv[row + at] = value_sum[d];
    }
  }
}
