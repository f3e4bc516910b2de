// Gradient of attention.wgsl for the queries. With p_j = e^(s_j - lse_i) and dp_j = dOut_i . v_j:
//   dq_i = scale sum_j p_j (dp_j - delta_i) cap_slope(s_j) k_j
// Shapes: q, dOut, dq [M, H, D], k, v [M, Hkv, D], lseDelta [M, H, 2] (attention_delta.wgsl). dq overwrites.
// One thread = one (query, head), its q, dOut and dq in registers.
struct Params { heads: u32, kv_heads: u32, vecs: u32, scale: f32, cap: f32 } // vecs = D / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<Vec>;
@group(0) @binding(3) var<storage, read> k: array<Vec>;
@group(0) @binding(4) var<storage, read> v: array<Vec>;
@group(0) @binding(5) var<storage, read> d_out: array<Vec>;
@group(0) @binding(6) var<storage, read> lse_delta: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read> key_start: array<u32>;
@group(0) @binding(8) var<storage, read> key_end: array<u32>;
@group(0) @binding(9) var<storage, read_write> dq: array<Vec>;

const KEYS: u32 = 4u; // keys at a time

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let n = params.vecs;
  let t = linear_index(group, groups, local, WORKGROUP);
  let i = t / params.heads;
  if (i >= step.tokens) { return; }
  let kv_stride = params.kv_heads * n;
  let kv_base = ((t % params.heads) / (params.heads / params.kv_heads)) * n;
  let scale = params.scale;
  let last = key_end[i];
  let lse = lse_delta[t].x;
  let delta = lse_delta[t].y;

  var x: array<Vec, CAPACITY>;
  var g: array<Vec, CAPACITY>;
  var sum: array<Vec, CAPACITY>;
  for (var d = 0u; d < n; d++) {
    x[d] = q[t * n + d];
    g[d] = d_out[t * n + d];
    sum[d] = Vec();
  }

  for (var j = key_start[i]; j < last; j += KEYS) {
    // Keys past the end are read as the last one and get no weight.
    let row = min(j + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last - 1u)) * kv_stride + kv_base;
    var s = vec4<f32>();
    var dp = vec4<f32>();
    for (var d = 0u; d < n; d++) {
      s += vec4<f32>(inner(x[d], k[row.x + d]), inner(x[d], k[row.y + d]), inner(x[d], k[row.z + d]), inner(x[d], k[row.w + d]));
      dp += vec4<f32>(inner(g[d], v[row.x + d]), inner(g[d], v[row.y + d]), inner(g[d], v[row.z + d]), inner(g[d], v[row.w + d]));
    }
    let c = capped(s * scale, params.cap);
    s = select(vec4<f32>(LOWEST), c - lse, j + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(last));
    let p = exp4(s);
    let ds = p * (dp - delta) * cap_slope(c, params.cap);
    for (var d = 0u; d < n; d++) {
      sum[d] += (ds.x * k[row.x + d] + ds.y * k[row.y + d]) + (ds.z * k[row.z + d] + ds.w * k[row.w + d]);
    }
  }

  for (var d = 0u; d < n; d++) { dq[t * n + d] = sum[d] * scale; }
}
