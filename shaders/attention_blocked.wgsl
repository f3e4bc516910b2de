// attention.wgsl for GPUs, as products of tiles (lib/attention_block.wgsl): a workgroup has ROWS queries of one head.
//   s_j = capped(scale q_i . k_j)  for keyStart[i] <= j < keyEnd[i],   out_i = sum_j softmax(s)_j v_j,   lse_i = ln sum_j e^s_j
// Shapes: q, out [M, H, D], k, v [*, Hkv, D], keyStart, keyEnd [M], lse [M, H]. Query head h reads kv head h / (H / Hkv). D a multiple of 4.
// Keys, then values come through the same tile; the largest score of a row is told among the eight threads that have parts of it.
struct Params { scale: f32, cap: f32, d4: u32, fours: u32 } // D4 and STREAM / 4 again: software compilers would unroll constants and take a minute
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> key_start: array<u32>;
@group(0) @binding(6) var<storage, read> key_end: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> lse: array<f32>;

var<workgroup> told: array<array<f32, 9>, ROWS>; // by each of a row's eight threads: its largest score, at the end its sum of weights
var<workgroup> shrunk: array<f32, ROWS>;         // what the sums so far shrink by, at the end the largest score

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let unit = group.y * groups.x + group.x;
  let head = unit % HEADS;
  let first = (unit / HEADS) * ROWS;
  if (first >= step.tokens) { return; }
  let final_query = min(first + ROWS, step.tokens) - 1u; // rows past it repeat it and are not written
  var begin = key_start[first];
  var end = 0u;
  for (var i = first; i <= final_query; i++) {
    begin = min(begin, key_start[i]);
    end = max(end, key_end[i]);
  }
  let kv_base = (head / (HEADS / KV_HEADS)) * D4;

  let score_x = local % 8u;
  let score_y = local / 8u;
  let sum_x = local % 16u;
  let sum_y = local / 16u;
  var lo: array<u32, SCORE_ROWS>;
  var hi: array<u32, SCORE_ROWS>;
  var top: array<f32, SCORE_ROWS>;
  var weight: array<f32, SCORE_ROWS>;
  for (var i = 0u; i < SCORE_ROWS; i++) {
    let query = min(first + score_y + 8u * i, final_query);
    lo[i] = key_start[query];
    hi[i] = key_end[query];
    top[i] = LOWEST;
    weight[i] = 0.0;
  }
  for (var e = local; e < ROWS * D4; e += 64u) {
    let row = e / D4;
    own[0][row / 8u][row % 8u][e % D4] = q[(min(first + row, final_query) * HEADS + head) * D4 + e % D4] * params.scale;
  }

  var sums = Sums();
  var held = key_rows(begin, end, kv_base, local);
  for (var tile = begin; tile < end; tile += STREAM) {
    workgroupBarrier();
    put_stream(local, held);
    workgroupBarrier();
    if (now()) { held = value_rows(tile, end, kv_base, local); }
    var s = scores(0u, score_x, score_y);
    let j = tile + 4u * score_x + vec4<u32>(0u, 1u, 2u, 3u);
    for (var i = 0u; i < SCORE_ROWS; i++) {
      let used = (j >= vec4<u32>(lo[i])) & (j < vec4<u32>(hi[i]));
      s[i] = select(vec4<f32>(LOWEST), capped(s[i], params.cap), used);
      told[score_y + 8u * i][score_x] = max(max(s[i].x, s[i].y), max(s[i].z, s[i].w));
    }
    workgroupBarrier();
    put_stream(local, held);
    if (now()) { held = key_rows(tile + STREAM, end, kv_base, local); }
    for (var i = 0u; i < SCORE_ROWS; i++) {
      let row = score_y + 8u * i;
      let highest = max(top[i], max(
        max(max(told[row][0], told[row][1]), max(told[row][2], told[row][3])), max(max(told[row][4], told[row][5]), max(told[row][6], told[row][7]))));
      let shrink = exp_accurate(top[i] - highest);
      top[i] = highest;
      let used = (j >= vec4<u32>(lo[i])) & (j < vec4<u32>(hi[i]));
      s[i] = select(vec4<f32>(), exp4(s[i] - highest), used);
      weight[i] = weight[i] * shrink + ((s[i].x + s[i].y) + (s[i].z + s[i].w));
      if (score_x == 0u) { shrunk[row] = shrink; }
    }
    put_weights(s, score_x, score_y);
    workgroupBarrier();
    for (var i = 0u; i < SUM_ROWS; i++) {
      let shrink = shrunk[sum_y + 4u * i];
      for (var block = 0u; block < BLOCKS; block++) { sums[i * BLOCKS + block] *= shrink; }
    }
    weigh(&sums, sum_x, sum_y);
  }

  workgroupBarrier();
  for (var i = 0u; i < SCORE_ROWS; i++) {
    let row = score_y + 8u * i;
    told[row][score_x] = weight[i];
    if (score_x == 0u) { shrunk[row] = top[i]; }
  }
  workgroupBarrier();
  for (var i = 0u; i < SUM_ROWS; i++) {
    let row = sum_y + 4u * i;
    if (first + row > final_query) { return; }
    let total = ((told[row][0] + told[row][1]) + (told[row][2] + told[row][3])) + ((told[row][4] + told[row][5]) + (told[row][6] + told[row][7]));
    let share = select(0.0, 1.0 / total, total > 0.0);
    let at = (first + row) * HEADS + head;
    for (var block = 0u; block < BLOCKS; block++) {
      let column = block * 16u + sum_x;
      if (column < D4) { out[at * D4 + column] = sums[i * BLOCKS + block] * share; }
    }
    if (sum_x == 0u) { lse[at] = shrunk[row] + log_accurate(max(total, 1.0)); }
  }
}
