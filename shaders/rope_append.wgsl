// Rotary positions while generating: queries are turned in place, keys on their way into the cache, and values go there as they are.
//   q <- turned q,   kCache[past + m] = turned k[m],   vCache[past + m] = v[m],   past = step.kv_past      (rope.wgsl has the turn)
// Shapes: q [M, H, D] in place, k, v [M, Hkv, D], positions [M], cos and sin [positions, D/2], caches [*, Hkv, D]. One thread = one pair of Vec.
struct Params { heads: u32, kv_heads: u32, half: u32 } // half = D / 2 / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> q: array<Vec>;
@group(0) @binding(3) var<storage, read_write> k: array<Vec>;
@group(0) @binding(4) var<storage, read_write> v: array<Vec>;
@group(0) @binding(5) var<storage, read> positions: array<u32>;
@group(0) @binding(6) var<storage, read> cos_table: array<Vec>;
@group(0) @binding(7) var<storage, read> sin_table: array<Vec>;
@group(0) @binding(8) var<storage, read_write> k_cache: array<Vec>;
@group(0) @binding(9) var<storage, read_write> v_cache: array<Vec>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  let all = params.heads + 2u * params.kv_heads;
  let m = t / params.half / all;
  if (m >= step.tokens) { return; }
  let head = t / params.half % all;
  let d = t % params.half;
  let angle = positions[m] * params.half + d;
  let c = cos_table[angle];
  let s = sin_table[angle];
  let width = 2u * params.half;
  if (head < params.heads) {
    let low = (m * params.heads + head) * width + d;
    let a = q[low];
    let b = q[low + params.half];
    q[low] = a * c - b * s;
    q[low + params.half] = b * c + a * s;
    return;
  }
  let kv = (head - params.heads) % params.kv_heads;
  let low = (m * params.kv_heads + kv) * width + d;
  let into = low + step.kv_past * params.kv_heads * width;
  if (head < params.heads + params.kv_heads) {
    let a = k[low];
    let b = k[low + params.half];
    k_cache[into] = a * c - b * s;
    k_cache[into + params.half] = b * c + a * s;
  } else {
    v_cache[into] = v[low];
    v_cache[into + params.half] = v[low + params.half];
  }
}
