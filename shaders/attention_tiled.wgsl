// attention.wgsl for GPUs: a workgroup stages keys and values in workgroup memory for ROWS queries of one head.
//   s_j = capped(scale q_i . k_j)  for keyStart[i] <= j < keyEnd[i],   out_i = sum_j softmax(s)_j v_j,   lse_i = ln sum_j e^s_j
// Shapes: q, out [M, H, D], k, v [*, Hkv, D], keyStart, keyEnd [M], lse [M, H]. Query head h reads kv head h / (H / Hkv).
// One thread = one slice of one query (lib/slices.wgsl), its q and running sum in registers.
struct Params { per: u32, heads: u32, scale: f32, cap: f32 } // PER and HEADS again: software compilers would unroll constants and take a minute
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<Vec>;
@group(0) @binding(3) var<storage, read> k: array<Vec>;
@group(0) @binding(4) var<storage, read> v: array<Vec>;
@group(0) @binding(5) var<storage, read> key_start: array<u32>;
@group(0) @binding(6) var<storage, read> key_end: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<Vec>;
@group(0) @binding(8) var<storage, read_write> lse: array<f32>;

const N: u32 = HEAD_DIM / WIDTH;
const KV_STRIDE: u32 = KV_HEADS * N;
const ROWS: u32 = WORKGROUP / SLICES;

var<workgroup> keys: array<Vec, TILE * PADDED>;
var<workgroup> values: array<Vec, TILE * PADDED>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let per = select(params.per, PER, UNROLL);
  let unit = group.y * groups.x + group.x;
  let head = unit % HEADS;
  let first = (unit / HEADS) * ROWS;
  if (first >= step.tokens) { return; }
  let final_query = min(first + ROWS, step.tokens) - 1u;
  var begin = key_start[first];
  var end = 0u;
  for (var i = first; i <= final_query; i++) {
    begin = min(begin, key_start[i]);
    end = max(end, key_end[i]);
  }
  let kv_base = (head / (HEADS / KV_HEADS)) * N;
  let scale = params.scale;

  let slice = local % SLICES;
  let i = min(first + local / SLICES, final_query); // threads past M repeat the last query and write nothing
  let row = (i * HEADS + head) * N;
  let lo = key_start[i];
  let hi = key_end[i];
  var x: array<Vec, PER>;
  var sum: array<Vec, PER>;
  for (var d = 0u; d < per; d++) {
    let at = d * SLICES + slice;
    x[d] = Vec();
    if (at < N) { x[d] = q[row + at] * scale; }
    sum[d] = Vec();
  }
  var top = LOWEST;
  var weight = 0.0;

  for (var tile = begin; tile < end; tile += TILE) {
    workgroupBarrier();
    for (var e = local; e < TILE * PADDED; e += WORKGROUP) {
      let j = tile + e / PADDED;
      let at = e % PADDED;
      var key = Vec();
      var value = Vec();
      if (j < end && at < N) {
        key = k[j * KV_STRIDE + kv_base + at];
        value = v[j * KV_STRIDE + kv_base + at];
      }
      keys[e] = key;
      values[e] = value;
    }
    workgroupBarrier();
    for (var c = 0u; c < min(TILE, end - tile); c += 8u) {
      var share = array<vec4<f32>, 2>(vec4<f32>(), vec4<f32>());
      var at = c * PADDED + slice;
      for (var d = 0u; d < per; d++) {
        share[0] += vec4<f32>(inner(x[d], keys[at]), inner(x[d], keys[at + PADDED]), inner(x[d], keys[at + 2u * PADDED]), inner(x[d], keys[at + 3u * PADDED]));
        share[1] += vec4<f32>(inner(x[d], keys[at + 4u * PADDED]), inner(x[d], keys[at + 5u * PADDED]), inner(x[d], keys[at + 6u * PADDED]), inner(x[d], keys[at + 7u * PADDED]));
        at += SLICES;
      }
      let s = sum_slices(local, share);
      let j = tile + c + vec4<u32>(0u, 1u, 2u, 3u);
      let used = (j >= vec4<u32>(lo)) & (j < vec4<u32>(hi));
      let used_b = (j + 4u >= vec4<u32>(lo)) & (j + 4u < vec4<u32>(hi));
      let s_a = select(vec4<f32>(LOWEST), capped(s[0], params.cap), used);
      let s_b = select(vec4<f32>(LOWEST), capped(s[1], params.cap), used_b);
      let highest = max(top, max(largest4(s_a), largest4(s_b)));
      let shrink = exp_accurate(top - highest);
      top = highest;
      let p_a = select(vec4<f32>(), exp4(s_a - top), used);
      let p_b = select(vec4<f32>(), exp4(s_b - top), used_b);
      weight = weight * shrink + (total4(p_a) + total4(p_b));
      at = c * PADDED + slice;
      for (var d = 0u; d < per; d++) {
        sum[d] = sum[d] * shrink
          + ((p_a.x * values[at] + p_a.y * values[at + PADDED]) + (p_a.z * values[at + 2u * PADDED] + p_a.w * values[at + 3u * PADDED]))
          + ((p_b.x * values[at + 4u * PADDED] + p_b.y * values[at + 5u * PADDED]) + (p_b.z * values[at + 6u * PADDED] + p_b.w * values[at + 7u * PADDED]));
        at += SLICES;
      }
    }
  }

  if (first + local / SLICES > final_query) { return; }
  let share = select(0.0, 1.0 / weight, weight > 0.0);
  for (var d = 0u; d < per; d++) {
    let at = d * SLICES + slice;
    if (at < N) { out[row + at] = sum[d] * share; }
  }
  if (slice == 0u) { lse[i * HEADS + head] = top + log_accurate(max(weight, 1.0)); }
}
