// attention.wgsl for GPUs: a workgroup stages keys and values in workgroup memory for ROWS queries of one head.
//   s_j = capped(scale q_i . k_j)  for keyStart[i] <= j < keyEnd[i],   out_i = sum_j softmax(s)_j v_j,   lse_i = ln sum_j e^s_j
// Shapes: q, out [M, H, D], k, v [*, Hkv, D], keyStart, keyEnd [M], lse [M, H]. Query head h reads kv head h / (H / Hkv).
// One thread = one slice of ROWS_EACH neighbouring queries (lib/slices.wgsl), their q and running sums in registers: what it reads of a tile serves all of them.
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
const ROWS: u32 = WORKGROUP / SLICES * ROWS_EACH;

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
  let mine = first + local / SLICES * ROWS_EACH; // rows past M repeat the last query and are not written
  var lo: array<u32, ROWS_EACH>;
  var hi: array<u32, ROWS_EACH>;
  var top: array<f32, ROWS_EACH>;
  var weight: array<f32, ROWS_EACH>;
  var x: array<Vec, ROWS_EACH * PER>;
  var sum: array<Vec, ROWS_EACH * PER>;
  for (var r = 0u; r < ROWS_EACH; r++) {
    let i = min(mine + r, final_query);
    lo[r] = key_start[i];
    hi[r] = key_end[i];
    top[r] = LOWEST;
    weight[r] = 0.0;
    for (var d = 0u; d < per; d++) {
      let at = d * SLICES + slice;
      x[r * PER + d] = Vec();
      if (at < N) { x[r * PER + d] = q[(i * HEADS + head) * N + at] * scale; }
      sum[r * PER + d] = Vec();
    }
  }

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
      var share = array<array<vec4<f32>, 2>, ROWS_EACH>();
      var at = c * PADDED + slice;
      for (var d = 0u; d < per; d++) {
        let eight_keys = keys_at(at);
        for (var r = 0u; r < ROWS_EACH; r++) {
          let a = x[r * PER + d];
          share[r] = add(share[r], products(a, eight_keys));
        }
        at += SLICES;
      }
      let j = tile + c + vec4<u32>(0u, 1u, 2u, 3u);
      var shrink = array<f32, ROWS_EACH>();
      var p_a = array<vec4<f32>, ROWS_EACH>();
      var p_b = array<vec4<f32>, ROWS_EACH>();
      for (var r = 0u; r < ROWS_EACH; r++) {
        let s = sum_slices(local, share[r]);
        let used = (j >= vec4<u32>(lo[r])) & (j < vec4<u32>(hi[r]));
        let used_b = (j + 4u >= vec4<u32>(lo[r])) & (j + 4u < vec4<u32>(hi[r]));
        let s_a = select(vec4<f32>(LOWEST), capped(s[0], params.cap), used);
        let s_b = select(vec4<f32>(LOWEST), capped(s[1], params.cap), used_b);
        let highest = max(top[r], max(largest4(s_a), largest4(s_b)));
        shrink[r] = exp_accurate(top[r] - highest);
        top[r] = highest;
        p_a[r] = select(vec4<f32>(), exp4(s_a - highest), used);
        p_b[r] = select(vec4<f32>(), exp4(s_b - highest), used_b);
        weight[r] = weight[r] * shrink[r] + (total4(p_a[r]) + total4(p_b[r]));
      }
      at = c * PADDED + slice;
      for (var d = 0u; d < per; d++) {
        let eight_values = values_at(at);
        for (var r = 0u; r < ROWS_EACH; r++) {
          let a = p_a[r];
          let b = p_b[r];
          sum[r * PER + d] = sum[r * PER + d] * shrink[r] + weighted(a, b, eight_values);
        }
        at += SLICES;
      }
    }
  }

  for (var r = 0u; r < ROWS_EACH; r++) {
    let i = mine + r;
    if (i > final_query) { return; }
    let share = select(0.0, 1.0 / weight[r], weight[r] > 0.0);
    for (var d = 0u; d < per; d++) {
      let at = d * SLICES + slice;
      if (at < N) { out[(i * HEADS + head) * N + at] = sum[r * PER + d] * share; }
    }
    if (slice == 0u) { lse[i * HEADS + head] = top[r] + log_accurate(max(weight[r], 1.0)); }
  }
}
