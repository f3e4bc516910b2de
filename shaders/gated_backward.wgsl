// With s = 1 / (1 + e^-u(gate)) as in gated.wgsl:  dUp = dOut gate s,   dGate = dOut up s (1 + gate u'(gate) (1 - s))
// Shapes: all [M, cols]. One thread = one Vec. dGate and dUp overwrite.
struct Params { vecs: u32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> gate: array<Vec>;
@group(0) @binding(3) var<storage, read> up: array<Vec>;
@group(0) @binding(4) var<storage, read> d_out: array<Vec>;
@group(0) @binding(5) var<storage, read_write> d_gate: array<Vec>;
@group(0) @binding(6) var<storage, read_write> d_up: array<Vec>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  if (t >= step.tokens * params.vecs) { return; }
  let g = gate[t];
  // e^-u is at most 1.7e38, so e s below stays finite; 1 - s written as e s loses nothing where s is near 1.
  let e = exp_each(-gate_u(g));
  let s = 1.0 / (1.0 + e);
  d_up[t] = d_out[t] * (g * s);
  d_gate[t] = d_out[t] * up[t] * (s * (1.0 + gate_slope(g) * (e * s)));
}
