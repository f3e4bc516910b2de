// Causal attention in one pass, the scores never stored:
//   s_j = capped(scale q_i . k_j)  for keyStart[i] <= j < keyEnd[i],   out_i = sum_j softmax(s)_j v_j,   lse_i = ln sum_j e^s_j
// Shapes: q, out [M, H, D], k, v [*, Hkv, D], keyStart, keyEnd [M], lse [M, H]. Query head h reads kv head h / (H / Hkv).
// One thread = one (query, head), its q and running sum in registers. The backward pass starts from lse.
struct Params { heads: u32, kv_heads: u32, vecs: u32, scale: f32, cap: f32 } // vecs = D / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<Vec>;
@group(0) @binding(3) var<storage, read> k: array<Vec>;
@group(0) @binding(4) var<storage, read> v: array<Vec>;
@group(0) @binding(5) var<storage, read> key_start: array<u32>;
@group(0) @binding(6) var<storage, read> key_end: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<Vec>;
@group(0) @binding(8) var<storage, read_write> lse: array<f32>;

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

  var x: array<Vec, CAPACITY>;
  var sum: array<Vec, CAPACITY>;
  for (var d = 0u; d < n; d++) {
    x[d] = q[t * n + d];
    sum[d] = Vec();
  }
  var top = LOWEST;
  var weight = 0.0;

  for (var j = key_start[i]; j < last; j += KEYS) {
    // Keys past the end are read as the last one and get no weight.
    let row = min(j + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last - 1u)) * kv_stride + kv_base;
    var s = vec4<f32>();
    for (var d = 0u; d < n; d++) {
      s += vec4<f32>(inner(x[d], k[row.x + d]), inner(x[d], k[row.y + d]), inner(x[d], k[row.z + d]), inner(x[d], k[row.w + d]));
    }
    s = select(vec4<f32>(LOWEST), capped(s * scale, params.cap), j + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(last));
    let highest = largest4(s);
    if (highest > top) {
      let shrink = exp_accurate(top - highest);
      for (var d = 0u; d < n; d++) { sum[d] *= shrink; }
      weight *= shrink;
      top = highest;
    }
    let p = exp4(s - top);
    weight += total4(p);
    for (var d = 0u; d < n; d++) {
      sum[d] += (p.x * v[row.x + d] + p.y * v[row.y + d]) + (p.z * v[row.z + d] + p.w * v[row.w + d]);
    }
  }

  let share = select(0.0, 1.0 / weight, weight > 0.0);
  for (var d = 0u; d < n; d++) { out[t * n + d] = sum[d] * share; }
  lse[t] = top + log_accurate(max(weight, 1.0));
}
