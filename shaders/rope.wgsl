// Rotary positions, halves paired: for d < D/2, with c = cos[positions[m], d] and s = sin[positions[m], d],
//   x[m, h, d]       <- x[m, h, d] c - x[m, h, d + D/2] s
//   x[m, h, d + D/2] <- x[m, h, d + D/2] c + x[m, h, d] s        the backward pass turns back, s negated; x is q, then k.
// Shapes: q [M, H, D] and k [M, Hkv, D] in place, positions [M], cos and sin [positions, D/2]. One thread = one pair of Vec.
struct Params { heads: u32, kv_heads: u32, half: u32, sign: f32 } // half = D / 2 / WIDTH; sign = -1 turns back
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> q: array<Vec>;
@group(0) @binding(3) var<storage, read_write> k: array<Vec>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read> cos_table: array<Vec>;
@group(0) @binding(6) var<storage, read> sin_table: array<Vec>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  let all = params.heads + params.kv_heads;
  let m = t / params.half / all;
  if (m >= step.tokens) { return; }
  let head = t / params.half % all;
  let d = t % params.half;
  let angle = positions[m] * params.half + d;
  let c = cos_table[angle];
  let s = params.sign * sin_table[angle];
  if (head < params.heads) {
    let low = (m * params.heads + head) * 2u * params.half + d;
    let a = q[low];
    let b = q[low + params.half];
    q[low] = a * c - b * s;
    q[low + params.half] = b * c + a * s;
  } else {
    let low = (m * params.kv_heads + head - params.heads) * 2u * params.half + d;
    let a = k[low];
    let b = k[low + params.half];
    k[low] = a * c - b * s;
    k[low + params.half] = b * c + a * s;
  }
}
