// attention_backward_dkv.wgsl for GPUs: a workgroup stages queries and dOut in workgroup memory for ROWS keys of one kv head.
//   dv_j = sum p_ij dOut_i,   dk_j = scale sum p_ij (dOut_i . v_j - delta_i) cap_slope(s_ij) q_i,   p_ij = e^(s_ij - lse_i)
// over the queries i in j .. queryEnd[j] and the query heads of the group, one head after the other.
// Shapes: q, dOut [M, H, D], k, v, dk, dv [M, Hkv, D], lseDelta [M, H, 2] (attention_delta.wgsl). dk and dv overwrite.
// One thread = one slice of ROWS_EACH neighbouring keys (lib/slices.wgsl), their k, v, dk and dv in registers.
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
const ROWS: u32 = WORKGROUP / SLICES * ROWS_EACH;

var<workgroup> queries: array<Vec, TILE * PADDED>;
var<workgroup> gradients: array<Vec, TILE * PADDED>;
var<workgroup> sums: array<vec2<f32>, TILE>; // lse and delta

fn queries_at(at: u32) -> Eight {
  return Eight(
    queries[at], queries[at + PADDED], queries[at + 2u * PADDED], queries[at + 3u * PADDED],
    queries[at + 4u * PADDED], queries[at + 5u * PADDED], queries[at + 6u * PADDED], queries[at + 7u * PADDED]);
}

fn gradients_at(at: u32) -> Eight {
  return Eight(
    gradients[at], gradients[at + PADDED], gradients[at + 2u * PADDED], gradients[at + 3u * PADDED],
    gradients[at + 4u * PADDED], gradients[at + 5u * PADDED], gradients[at + 6u * PADDED], gradients[at + 7u * PADDED]);
}

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
  let mine = first + local / SLICES * ROWS_EACH; // rows past M repeat the last key and are not written
  var hi: array<u32, ROWS_EACH>;
  var key: array<Vec, ROWS_EACH * PER>;
  var value: array<Vec, ROWS_EACH * PER>;
  var key_sum: array<Vec, ROWS_EACH * PER>;
  var value_sum: array<Vec, ROWS_EACH * PER>;
  for (var r = 0u; r < ROWS_EACH; r++) {
    let j = min(mine + r, final_key);
    hi[r] = query_end[j];
    for (var d = 0u; d < per; d++) {
      let at = d * SLICES + slice;
      let row = (j * KV_HEADS + kv_head) * N + at;
      key[r * PER + d] = Vec();
      value[r * PER + d] = Vec();
      if (at < N) {
        key[r * PER + d] = k[row] * scale;
        value[r * PER + d] = v[row];
      }
      key_sum[r * PER + d] = Vec();
      value_sum[r * PER + d] = Vec();
    }
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
        var s_share = array<array<vec4<f32>, 2>, ROWS_EACH>();
        var dp_share = array<array<vec4<f32>, 2>, ROWS_EACH>();
        var at = c * PADDED + slice;
        for (var d = 0u; d < per; d++) {
          let eight_queries = queries_at(at);
          let eight_gradients = gradients_at(at);
          for (var r = 0u; r < ROWS_EACH; r++) {
            let a = key[r * PER + d];
            let b = value[r * PER + d];
            s_share[r] = add(s_share[r], products(a, eight_queries));
            dp_share[r] = add(dp_share[r], products(b, eight_gradients));
          }
          at += SLICES;
        }
        let i = tile + c + vec4<u32>(0u, 1u, 2u, 3u);
        let lse_a = vec4<f32>(sums[c].x, sums[c + 1u].x, sums[c + 2u].x, sums[c + 3u].x);
        let lse_b = vec4<f32>(sums[c + 4u].x, sums[c + 5u].x, sums[c + 6u].x, sums[c + 7u].x);
        let delta_a = vec4<f32>(sums[c].y, sums[c + 1u].y, sums[c + 2u].y, sums[c + 3u].y);
        let delta_b = vec4<f32>(sums[c + 4u].y, sums[c + 5u].y, sums[c + 6u].y, sums[c + 7u].y);
        var p_a = array<vec4<f32>, ROWS_EACH>();
        var p_b = array<vec4<f32>, ROWS_EACH>();
        var ds_a = array<vec4<f32>, ROWS_EACH>();
        var ds_b = array<vec4<f32>, ROWS_EACH>();
        for (var r = 0u; r < ROWS_EACH; r++) {
          let s = sum_slices(local, s_share[r]);
          let dp = sum_slices(local, dp_share[r]);
          let j = min(mine + r, final_key);
          let used = (i >= vec4<u32>(j)) & (i < vec4<u32>(hi[r]));
          let used_b = (i + 4u >= vec4<u32>(j)) & (i + 4u < vec4<u32>(hi[r]));
          let c_a = capped(s[0], params.cap);
          let c_b = capped(s[1], params.cap);
          p_a[r] = select(vec4<f32>(), exp4(c_a - lse_a), used);
          p_b[r] = select(vec4<f32>(), exp4(c_b - lse_b), used_b);
          ds_a[r] = p_a[r] * (dp[0] - delta_a) * cap_slope(c_a, params.cap);
          ds_b[r] = p_b[r] * (dp[1] - delta_b) * cap_slope(c_b, params.cap);
        }
        at = c * PADDED + slice;
        for (var d = 0u; d < per; d++) {
          let eight_queries = queries_at(at);
          let eight_gradients = gradients_at(at);
          for (var r = 0u; r < ROWS_EACH; r++) {
            var a = ds_a[r];
            var b = ds_b[r];
            key_sum[r * PER + d] += weighted(a, b, eight_queries);
            a = p_a[r];
            b = p_b[r];
            value_sum[r * PER + d] += weighted(a, b, eight_gradients);
          }
          at += SLICES;
        }
      }
    }
  }

  for (var r = 0u; r < ROWS_EACH; r++) {
    let j = mine + r;
    if (j > final_key) { return; }
    for (var d = 0u; d < per; d++) {
      let at = d * SLICES + slice;
      let row = (j * KV_HEADS + kv_head) * N + at;
      if (at < N) {
        dk[row] = key_sum[r * PER + d] * scale;
        dv[row] = value_sum[r * PER + d];
      }
    }
  }
}
