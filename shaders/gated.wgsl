// out = gate * s * up,  s = 1 / (1 + e^-u(gate)):  u = gate is SiLU, u = 2 sqrt(2/pi) (gate + 0.044715 gate^3) is GELU in its tanh
// form, since (1 + tanh(u / 2)) / 2 = s. lib/gate_silu.wgsl and lib/gate_gelu.wgsl have u and its slope.
// Shapes: gate, up, out [M, cols]. One thread = one Vec. Nothing is kept: the backward pass starts from gate and up.
struct Params { vecs: u32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> gate: array<Vec>;
@group(0) @binding(3) var<storage, read> up: array<Vec>;
@group(0) @binding(4) var<storage, read_write> out: array<Vec>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  if (t >= step.tokens * params.vecs) { return; }
  let g = gate[t];
  out[t] = (g / (1.0 + exp_each(-gate_u(g)))) * up[t];
}
