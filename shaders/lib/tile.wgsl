// A tile of a product in workgroup memory: TY * 8 rows x TX * 4 columns (TX * 8 where WIDE), walked DEPTH steps of the sum at a time.
// One thread = 8 x 4 sums (two times that where WIDE, TX * 4 columns apart) of one of SLICES interleaved slices of the sum, which are added in order at
// the end. Where AHEAD, the next steps' operands come from memory into registers while these are multiplied.
// Including kernels define left_rows(row, at) and right_rows(column, at): the 4 x 4 block of an operand that covers 4 steps of the sum
// from `at` and 4 rows (columns) of the tile, as four vec4 of one step each, left_rows zero beyond the sum's end; and store_row(row, column, sums).
const QUADS: u32 = TX * select(1u, 2u, WIDE); // of columns
const TILE_ROWS: u32 = TY * 8u;
const TILE_COLUMNS: u32 = QUADS * 4u;
const THREADS: u32 = TX * TY * SLICES;
const LEFT_PITCH: u32 = TY * 2u + 1u; // in vec4; odd, so that steps lie in different banks
const RIGHT_PITCH: u32 = QUADS + 1u;
const STEPS: u32 = DEPTH / 4u;
const LEFT_BLOCKS: u32 = STEPS * TY * 2u;
const BLOCKS: u32 = LEFT_BLOCKS + STEPS * QUADS;
const SLICE_SIZE: u32 = TX * TY * 8u; // in vec4
const_assert !WIDE || SLICES == 1u;
const_assert !AHEAD || BLOCKS <= 2u * THREADS;

struct Block { s0: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, s3: vec4<f32> }

var<workgroup> tile_left: array<vec4<f32>, DEPTH * LEFT_PITCH>;
var<workgroup> tile_right: array<vec4<f32>, DEPTH * RIGHT_PITCH>;
var<workgroup> tile_slices: array<vec4<f32>, select(1u, SLICES * SLICE_SIZE, SLICES > 1u)>;

fn transposed(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> Block {
  return Block(vec4<f32>(a.x, b.x, c.x, d.x), vec4<f32>(a.y, b.y, c.y, d.y), vec4<f32>(a.z, b.z, c.z, d.z), vec4<f32>(a.w, b.w, c.w, d.w));
}

fn masked(block: Block, kept: bool) -> Block {
  let zero = vec4<f32>();
  return Block(select(zero, block.s0, kept), select(zero, block.s1, kept), select(zero, block.s2, kept), select(zero, block.s3, kept));
}

// Block i of both tiles for the DEPTH steps from `at`; the left operand's come first.
fn fetch(i: u32, row0: u32, column0: u32, at: u32) -> Block {
  let steps = at + i % STEPS * 4u;
  if (i < LEFT_BLOCKS) { return left_rows(row0 + i / STEPS * 4u, steps); }
  return right_rows(column0 + (i - LEFT_BLOCKS) / STEPS * 4u, steps);
}

fn put(i: u32, block: Block) {
  let steps = i % STEPS * 4u;
  if (i < LEFT_BLOCKS) {
    let slot = steps * LEFT_PITCH + i / STEPS;
    tile_left[slot] = block.s0;
    tile_left[slot + LEFT_PITCH] = block.s1;
    tile_left[slot + 2u * LEFT_PITCH] = block.s2;
    tile_left[slot + 3u * LEFT_PITCH] = block.s3;
  } else {
    let slot = steps * RIGHT_PITCH + (i - LEFT_BLOCKS) / STEPS;
    tile_right[slot] = block.s0;
    tile_right[slot + RIGHT_PITCH] = block.s1;
    tile_right[slot + 2u * RIGHT_PITCH] = block.s2;
    tile_right[slot + 3u * RIGHT_PITCH] = block.s3;
  }
}

fn add_step(s: ptr<function, Sums>, low: vec4<f32>, high: vec4<f32>, b: vec4<f32>) {
  (*s).s0 += low.x * b;
  (*s).s1 += low.y * b;
  (*s).s2 += low.z * b;
  (*s).s3 += low.w * b;
  (*s).s4 += high.x * b;
  (*s).s5 += high.y * b;
  (*s).s6 += high.z * b;
  (*s).s7 += high.w * b;
}

fn store_rows(s: ptr<function, Sums>, row: u32, rows_end: u32, column: u32) {
  for (var i = row; i < min(row + 8u, rows_end); i += 1u) {
    store_row(i, column, (*s).s0);
    move_up(s);
  }
}

// The whole tile: the sum over `length` steps, then store_row for each of its rows below rows_end.
fn tile_product(row0: u32, column0: u32, length: u32, rows_end: u32, local: u32) {
  let slice = local / (TX * TY);
  let tx = local % TX;
  let ty = local / TX % TY;
  var near = Sums();
  var far = Sums();
  var first: Block;
  var second: Block;
  if (AHEAD) {
    first = fetch(local, row0, column0, 0u);
    if (local + THREADS < BLOCKS) { second = fetch(local + THREADS, row0, column0, 0u); }
  }
  for (var at = 0u; at < length; at += DEPTH) {
    if (AHEAD) {
      if (local < BLOCKS) { put(local, first); }
      if (local + THREADS < BLOCKS) { put(local + THREADS, second); }
    } else {
      for (var i = local; i < BLOCKS; i += THREADS) { put(i, fetch(i, row0, column0, at)); }
    }
    workgroupBarrier();
    if (AHEAD && at + DEPTH < length) {
      first = fetch(local, row0, column0, at + DEPTH);
      if (local + THREADS < BLOCKS) { second = fetch(local + THREADS, row0, column0, at + DEPTH); }
    }
    for (var i = slice; i < DEPTH; i += SLICES) {
      let low = tile_left[i * LEFT_PITCH + ty * 2u];
      let high = tile_left[i * LEFT_PITCH + ty * 2u + 1u];
      add_step(&near, low, high, tile_right[i * RIGHT_PITCH + tx]);
      if (WIDE) { add_step(&far, low, high, tile_right[i * RIGHT_PITCH + TX + tx]); }
    }
    workgroupBarrier();
  }
  if (SLICES == 1u) {
    let row = row0 + ty * 8u;
    store_rows(&near, row, rows_end, column0 + tx * 4u);
    if (WIDE) { store_rows(&far, row, rows_end, column0 + (TX + tx) * 4u); }
    return;
  }
  let slot = slice * SLICE_SIZE + ty * 8u * TX + tx;
  tile_slices[slot] = near.s0;
  tile_slices[slot + TX] = near.s1;
  tile_slices[slot + 2u * TX] = near.s2;
  tile_slices[slot + 3u * TX] = near.s3;
  tile_slices[slot + 4u * TX] = near.s4;
  tile_slices[slot + 5u * TX] = near.s5;
  tile_slices[slot + 6u * TX] = near.s6;
  tile_slices[slot + 7u * TX] = near.s7;
  workgroupBarrier();
  for (var i = local; i < SLICE_SIZE; i += THREADS) {
    var sum = tile_slices[i];
    for (var other = i + SLICE_SIZE; other < SLICES * SLICE_SIZE; other += SLICE_SIZE) { sum += tile_slices[other]; }
    let row = row0 + i / TX;
    if (row < rows_end) { store_row(row, column0 + i % TX * 4u, sum); }
  }
}
