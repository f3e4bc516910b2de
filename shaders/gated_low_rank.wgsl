// gated.wgsl for a few tokens with LoRA on all sides: the branches of gate and up are added here, and the next product's branch is begun.
//   g = gate + scale * xa_g b_g^T,   u = up + scale * xa_u b_u^T,   out = g * s(g) * u,   parts[p] = what stretch p of out gives of out A^T (lib/low_rank_part.wgsl)
// Shapes: gate, up, out [M, cols], xa [M, 2 rank] and b [2 cols, rank] gate's before up's, A [a_rank, cols], parts [stretches, M, a_rank].
// One workgroup = a stretch of WORKGROUP elements of a row, one thread = one of them. Not for training: the backward pass would need g and u.
struct Params { cols: u32, rank: u32, scale: f32, a_rank: u32, part_size: u32 }
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> gate: array<f32>;
@group(0) @binding(3) var<storage, read> up: array<f32>;
@group(0) @binding(4) var<storage, read> xa: array<f32>;
@group(0) @binding(5) var<storage, read> b: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

var<workgroup> held: array<f32, WORKGROUP>;

fn branch(left: u32, right: u32) -> f32 {
  var sum = 0.0;
  for (var j = 0u; j < params.rank; j++) { sum += xa[left + j] * b[right + j]; }
  return params.scale * sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let stretches = (params.cols + WORKGROUP - 1u) / WORKGROUP;
  let t = group.y * groups.x + group.x;
  let m = t / stretches;
  if (m >= step.tokens) { return; }
  let first = t % stretches * WORKGROUP;
  let count = min(WORKGROUP, params.cols - first);
  if (local < count) {
    let at = m * params.cols + first + local;
    let left = m * 2u * params.rank;
    let right = (first + local) * params.rank;
    let g = gate[at] + branch(left, right);
    let u = up[at] + branch(left + params.rank, right + params.cols * params.rank);
    held[local] = (g / (1.0 + exp_each(-gate_u(g)))) * u;
    out[at] = held[local];
  }
  store_part(local, t % stretches, m, first, count, params.cols);
}
