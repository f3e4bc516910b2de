// lseDelta[m, h] = (lse[m, h], dOut[m, h] . out[m, h]): what both attention backward kernels need of a query, side by side.
// Shapes: out, dOut [M, H, D], lse [M, H], lseDelta [M, H, 2]. One thread = one (query, head). Overwrites.
struct Params { heads: u32, kv_heads: u32, vecs: u32 } // vecs = D / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> out: array<Vec>;
@group(0) @binding(3) var<storage, read> d_out: array<Vec>;
@group(0) @binding(4) var<storage, read> lse: array<f32>;
@group(0) @binding(5) var<storage, read_write> lse_delta: array<vec2<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let n = params.vecs;
  let t = linear_index(group, groups, local, WORKGROUP);
  if (t >= step.tokens * params.heads) { return; }
  var delta = 0.0;
  for (var d = 0u; d < n; d++) { delta += inner(out[t * n + d], d_out[t * n + d]); }
  lse_delta[t] = vec2<f32>(lse[t], delta);
}
