// out[m, c] = slot[m] is none ? 0 : x[slot[m], c]        none = 0xffffffff
// Shapes: x [*, cols], slot [M], out [M, cols] (overwritten whole). One thread = one Vec. The gradient of gather_rows.wgsl
// where each row was gathered at most once: written from the receiving side, so nothing is added up.
struct Params { vecs: u32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> slot: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<Vec>;
@group(0) @binding(4) var<storage, read_write> out: array<Vec>;

const NONE: u32 = 0xffffffffu;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  let m = t / params.vecs;
  if (m >= step.tokens) { return; }
  let from_row = slot[m];
  if (from_row == NONE) { out[t] = Vec(); } else { out[t] = x[from_row * params.vecs + t % params.vecs]; }
}
