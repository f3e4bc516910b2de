// Gradients of attention.wgsl for keys and values, over the queries i in j .. queryEnd[j] and the query heads of the group:
//   dv_j = sum p_ij dOut_i,   dk_j = scale sum p_ij (dOut_i . v_j - delta_i) cap_slope(s_ij) q_i,   p_ij = e^(s_ij - lse_i)
// Shapes: q, dOut [M, H, D], k, v, dk, dv [M, Hkv, D], lseDelta [M, H, 2] (attention_delta.wgsl). dk and dv overwrite.
// One thread = one (key, kv head), its k, v, dk and dv in registers.
struct Params { heads: u32, kv_heads: u32, vecs: u32, scale: f32, cap: f32 } // vecs = D / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<Vec>;
@group(0) @binding(3) var<storage, read> k: array<Vec>;
@group(0) @binding(4) var<storage, read> v: array<Vec>;
@group(0) @binding(5) var<storage, read> d_out: array<Vec>;
@group(0) @binding(6) var<storage, read> lse_delta: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read> query_end: array<u32>;
@group(0) @binding(8) var<storage, read_write> dk: array<Vec>;
@group(0) @binding(9) var<storage, read_write> dv: array<Vec>;

const QUERIES: u32 = 4u; // queries at a time

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let n = params.vecs;
  let t = linear_index(group, groups, local, WORKGROUP);
  let j = t / params.kv_heads;
  if (j >= step.tokens) { return; }
  let sharing = params.heads / params.kv_heads; // query heads that read this kv head
  let first_head = (t % params.kv_heads) * sharing;
  let scale = params.scale;
  let last = query_end[j];

  var key: array<Vec, CAPACITY>;
  var value: array<Vec, CAPACITY>;
  var key_sum: array<Vec, CAPACITY>;
  var value_sum: array<Vec, CAPACITY>;
  for (var d = 0u; d < n; d++) {
    key[d] = k[t * n + d];
    value[d] = v[t * n + d];
    key_sum[d] = Vec();
    value_sum[d] = Vec();
  }

  for (var head = first_head; head < first_head + sharing; head++) {
    for (var i = j; i < last; i += QUERIES) {
      // Queries past the end are read as the last one and get no weight.
      let query = min(i + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last - 1u)) * params.heads + head;
      let row = query * n;
      var s = vec4<f32>();
      var dp = vec4<f32>();
      for (var d = 0u; d < n; d++) {
        s += vec4<f32>(inner(key[d], q[row.x + d]), inner(key[d], q[row.y + d]), inner(key[d], q[row.z + d]), inner(key[d], q[row.w + d]));
        dp += vec4<f32>(inner(value[d], d_out[row.x + d]), inner(value[d], d_out[row.y + d]), inner(value[d], d_out[row.z + d]), inner(value[d], d_out[row.w + d]));
      }
      let a = lse_delta[query.x];
      let b = lse_delta[query.y];
      let c = lse_delta[query.z];
      let e = lse_delta[query.w];
      let capped_s = capped(s * scale, params.cap);
      s = select(vec4<f32>(LOWEST), capped_s - vec4<f32>(a.x, b.x, c.x, e.x), i + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(last));
      let p = exp4(s);
      let ds = p * (dp - vec4<f32>(a.y, b.y, c.y, e.y)) * cap_slope(capped_s, params.cap);
      for (var d = 0u; d < n; d++) {
        key_sum[d] += (ds.x * q[row.x + d] + ds.y * q[row.y + d]) + (ds.z * q[row.z + d] + ds.w * q[row.w + d]);
        value_sum[d] += (p.x * d_out[row.x + d] + p.y * d_out[row.y + d]) + (p.z * d_out[row.z + d] + p.w * d_out[row.w + d]);
      }
    }
  }

  for (var d = 0u; d < n; d++) {
    dk[t * n + d] = key_sum[d] * scale;
    dv[t * n + d] = value_sum[d];
  }
}
