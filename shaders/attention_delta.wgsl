// lseDelta[m, h] = (lse[m, h], dOut[m, h] . out[m, h]): what both attention backward kernels need of a query, side by side.
// Shapes: out, dOut [M, H, D], lse [M, H], lseDelta [M, H, 2]. One thread = one (query, head). Overwrites.
struct Params { vecs: u32 } // HEAD_DIM / WIDTH as a parameter: software compilers unroll constant loops for seconds
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> out: array<Vec>;
@group(0) @binding(3) var<storage, read> d_out: array<Vec>;
@group(0) @binding(4) var<storage, read> lse: array<f32>;
@group(0) @binding(5) var<storage, read_write> lse_delta: array<vec2<f32>>;

const N: u32 = HEAD_DIM / WIDTH;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, WORKGROUP);
  if (t >= step.tokens * HEADS) { return; }
  var delta = 0.0;
  for (var d = 0u; d < params.vecs; d++) { delta += inner(out[t * N + d], d_out[t * N + d]); }
  lse_delta[t] = vec2<f32>(lse[t], delta);
}
