// Attention as products of tiles in workgroup memory: 64 threads, ROWS rows of their own (queries, or keys in the gradients of keys) against STREAM rows at a
// time of the other side. A thread has ROWS / 8 x 4 of the scores between them, and of what they weigh up ROWS / 4 rows x 4 columns of every 64.
// As many reads of workgroup memory as a matrix product's: each number read takes part in 4 to 8 sums.
const D4: u32 = HEAD_DIM / 4u;
const PITCH: u32 = D4 / 2u * 2u + 1u; // in vec4; odd, so that rows lie in different banks
const STREAM: u32 = 32u;
const SCORE_ROWS: u32 = ROWS / 8u; // a thread's: of + 8 i, i < SCORE_ROWS
const SUM_ROWS: u32 = ROWS / 4u;   // a thread's: of + 4 i
const BLOCKS: u32 = (D4 + 15u) / 16u; // of 64 columns
const SUMS: u32 = SUM_ROWS * BLOCKS;

// A dimension for each index: one that is known is checked where this is compiled.
// SIDES: 1, or 2 in the gradients (dOut beside queries, values beside keys).
var<workgroup> own: array<array<array<array<vec4<f32>, PITCH>, 8>, SCORE_ROWS>, SIDES>;  // [side][row / 8][row % 8]
var<workgroup> stream: array<array<array<vec4<f32>, PITCH>, 8>, 4>;        // [row % 4][row / 4]
var<workgroup> weights: array<array<array<vec4<f32>, 9>, 4>, SUM_ROWS>;    // [row / 4][row % 4][four rows of the stream]

alias Scores = array<vec4<f32>, SCORE_ROWS>; // between rows y + 8 i and rows 4 x .. 4 x + 3 of the stream
alias Sums = array<vec4<f32>, SUMS>;         // of rows y + 4 i, columns 4 (x + 16 block) ..

// A tile of the stream comes into registers while the one before it is in use.
const LOADS: u32 = (STREAM * D4 + 63u) / 64u;
alias Held = array<vec4<f32>, LOADS>; // vec4s local + 64 i of its rows
fn held_row(local: u32, i: u32) -> u32 { return (local + 64u * i) / D4; }
fn held_d(local: u32, i: u32) -> u32 { return (local + 64u * i) % D4; }
// True, which compilers don't know: they may not move loads under it to where they are needed.
fn now() -> bool { return params.d4 > 0u; }

fn put_stream(local: u32, held: Held) {
  var tile = held;
  for (var i = 0u; i < LOADS; i++) {
    let row = held_row(local, i);
    if (row < STREAM) { stream[row % 4u][row / 4u][held_d(local, i)] = tile[i]; }
  }
}

fn add_scores(s: ptr<function, Scores>, i: u32, a: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) {
  (*s)[i] += a.x * vec4<f32>(b0.x, b1.x, b2.x, b3.x);
  (*s)[i] += a.y * vec4<f32>(b0.y, b1.y, b2.y, b3.y);
  (*s)[i] += a.z * vec4<f32>(b0.z, b1.z, b2.z, b3.z);
  (*s)[i] += a.w * vec4<f32>(b0.w, b1.w, b2.w, b3.w);
}

// own rows of a side . stream
fn scores(side: u32, x: u32, y: u32) -> Scores {
  var s = Scores();
  for (var d = 0u; d < select(params.d4, D4, UNROLL); d++) {
    let b0 = stream[0][x][d];
    let b1 = stream[1][x][d];
    let b2 = stream[2][x][d];
    let b3 = stream[3][x][d];
    for (var i = 0u; i < SCORE_ROWS; i++) { add_scores(&s, i, own[side][i][y][d], b0, b1, b2, b3); }
  }
  return s;
}

fn put_weights(s: Scores, x: u32, y: u32) {
  var mine = s;
  for (var i = 0u; i < SCORE_ROWS; i++) { weights[i * 2u + y / 4u][y % 4u][x] = mine[i]; }
}

// sums += weights . stream
fn weigh(sums: ptr<function, Sums>, x: u32, y: u32) {
  for (var four = 0u; four < select(params.fours, STREAM / 4u, UNROLL); four++) {
    for (var block = 0u; block < BLOCKS; block++) {
      let column = block * 16u + x;
      let b0 = stream[0][four][column];
      let b1 = stream[1][four][column];
      let b2 = stream[2][four][column];
      let b3 = stream[3][four][column];
      for (var i = 0u; i < SUM_ROWS; i++) {
        let w = weights[i][y][four];
        let at = i * BLOCKS + block;
        (*sums)[at] += w.x * b0;
        (*sums)[at] += w.y * b1;
        (*sums)[at] += w.z * b2;
        (*sums)[at] += w.w * b3;
      }
    }
  }
}
