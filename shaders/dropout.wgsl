// out[i] (+)= x[i] * keep(i) / (1 - p)      inverted dropout over the flat elements of [M, cols].
// keep(i) comes from pcg4d (Jarzynski & Olano, Hash Functions for GPU Rendering, JCGT 2020) of (i / 4, stream, dropout seed):
// nothing is stored, and the backward pass (the same kernel, with gradients as x) meets the same mask.
// One thread = one Vec, 4 elements or 1 (lib/dropout_by4.wgsl, lib/dropout_odd.wgsl). Overwrites or accumulates: constant ACCUMULATE.
struct Params {
  cols: u32,
  stream: u32,
  threshold: u32,   // p * 2^32: an element is kept when its word is not below
  scale: f32,       // 1 / (1 - p)
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<Vec>;
@group(0) @binding(3) var<storage, read_write> out: array<Vec>;

fn pcg4d(seed: vec4<u32>) -> vec4<u32> {
  var v = seed * 1664525u + 1013904223u;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  v ^= v >> vec4<u32>(16u);
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  return v;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 64u);
  if (i >= step.tokens * params.cols / WIDTH) { return; }
  let words = pcg4d(vec4<u32>(i * WIDTH / 4u, params.stream, step.dropout_seed, 0u));
  let value = kept(x[i] * params.scale, words, i, params.threshold);
  if (ACCUMULATE) { out[i] += value; } else { out[i] = value; }
}
