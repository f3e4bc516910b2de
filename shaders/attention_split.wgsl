// attention.wgsl for few queries with many keys (generation on a GPU): a workgroup takes one (query, head).
//   s_j = capped(scale q_i . k_j)  for keyStart[i] <= j < keyEnd[i],   out_i = sum_j softmax(s)_j v_j,   and lse_i = ln sum_j e^s_j (lib/split_lse.wgsl)
//   or out_i's part of out A^T, with which LoRA's branch of the next product begins (lib/split_part.wgsl)
// Shapes: q, out [M, H, D], k, v [*, Hkv, D], keyStart, keyEnd [M], lse [M, H], parts [H, M, r], A [r, H D]. Query head h reads kv head h / (H / Hkv).
// WORKGROUP keys at a time: first a thread = the score of one key, then a thread = every WORKGROUP-th Vec of the output.
struct Params { heads: u32, kv_heads: u32, vecs: u32, scale: f32, cap: f32, a_rank: u32, part_size: u32 } // vecs = D / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<Vec>;
@group(0) @binding(3) var<storage, read> k: array<Vec>;
@group(0) @binding(4) var<storage, read> v: array<Vec>;
@group(0) @binding(5) var<storage, read> key_start: array<u32>;
@group(0) @binding(6) var<storage, read> key_end: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<Vec>;

const PER: u32 = (CAPACITY + WORKGROUP - 1u) / WORKGROUP; // Vecs of the output a thread owns

var<workgroup> held: array<Vec, CAPACITY>; // the query, at last its output
var<workgroup> weights: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let n = params.vecs;
  let t = group.y * groups.x + group.x;
  let i = t / params.heads;
  if (i >= step.tokens) { return; }
  let kv_stride = params.kv_heads * n;
  let kv_base = ((t % params.heads) / (params.heads / params.kv_heads)) * n;
  let scale = params.scale;
  let begin = key_start[i];
  let end = key_end[i];
  for (var d = local; d < n; d += WORKGROUP) { held[d] = q[t * n + d] * scale; }

  var sum: array<Vec, PER>;
  var top = LOWEST;
  var weight = 0.0;
  for (var block = begin; block < end; block += WORKGROUP) {
    let j = block + local;
    workgroupBarrier();
    var s = LOWEST;
    if (j < end) {
      s = 0.0;
      for (var d = 0u; d < n; d++) { s += inner(held[d], k[j * kv_stride + kv_base + d]); }
      s = capped(vec4<f32>(s), params.cap).x;
    }
    let highest = max(top, workgroup_max(local, s));
    let shrink = exp_accurate(top - highest);
    top = highest;
    let p = select(0.0, exp_accurate(s - top), j < end);
    weights[local] = p;
    weight = weight * shrink + workgroup_sum(local, p);
    let count = min(WORKGROUP, end - block);
    for (var d = 0u; d < PER; d++) {
      let at = d * WORKGROUP + local;
      if (at < n) {
        var part = Vec();
        for (var c = 0u; c < count; c++) { part += weights[c] * v[(block + c) * kv_stride + kv_base + at]; }
        sum[d] = sum[d] * shrink + part;
      }
    }
  }

  let share = select(0.0, 1.0 / weight, weight > 0.0);
  for (var d = 0u; d < PER; d++) {
    let at = d * WORKGROUP + local;
    if (at < n) {
      held[at] = sum[d] * share;
      out[t * n + at] = held[at];
    }
  }
  leave(local, t, top + log_accurate(max(weight, 1.0)));
}
