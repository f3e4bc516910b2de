// cache[past + m, c] = src[m, c],  past = step.kv_past
// Shapes: src [M, cols], cache [*, cols]. One thread = one Vec.
struct Params { vecs: u32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> src: array<Vec>;
@group(0) @binding(3) var<storage, read_write> cache: array<Vec>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  if (t >= step.tokens * params.vecs) { return; }
  cache[step.kv_past * params.vecs + t] = src[t];
}
