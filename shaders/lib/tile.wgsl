// A tile of a product in workgroup memory: TY * 8 rows x TX * 4 columns, walked DEPTH steps of the sum at a time.
// One thread = 8 x 4 sums of one of SLICES interleaved slices of the sum; the slices are added in order at the end.
// Including kernels define left_rows(row, at) and right_rows(column, at): the 4 x 4 block of an operand that covers 4 steps of the sum
// from `at` and 4 rows (columns) of the tile, as four vec4 of one step each, left_rows zero beyond the sum's end; and store_row(row, column, sums).
const TILE_ROWS: u32 = TY * 8u;
const TILE_COLUMNS: u32 = TX * 4u;
const THREADS: u32 = TX * TY * SLICES;
const LEFT_PITCH: u32 = TY * 2u + 1u; // in vec4; odd, so that steps lie in different banks
const RIGHT_PITCH: u32 = TX + 1u;
const STEPS: u32 = DEPTH / 4u;
const LEFT_BLOCKS: u32 = STEPS * TY * 2u;
const RIGHT_BLOCKS: u32 = STEPS * TX;
const SLICE_SIZE: u32 = TX * TY * 8u; // in vec4

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

// Both tiles for DEPTH steps from `at`: a block a thread at a time, the left operand's blocks first.
fn fill_tiles(row0: u32, column0: u32, at: u32, local: u32) {
  for (var i = local; i < LEFT_BLOCKS + RIGHT_BLOCKS; i += THREADS) {
    let steps = i % STEPS * 4u;
    if (i < LEFT_BLOCKS) {
      let quad = i / STEPS;
      let slot = steps * LEFT_PITCH + quad;
      let block = left_rows(row0 + quad * 4u, at + steps);
      tile_left[slot] = block.s0;
      tile_left[slot + LEFT_PITCH] = block.s1;
      tile_left[slot + 2u * LEFT_PITCH] = block.s2;
      tile_left[slot + 3u * LEFT_PITCH] = block.s3;
    } else {
      let quad = (i - LEFT_BLOCKS) / STEPS;
      let slot = steps * RIGHT_PITCH + quad;
      let block = right_rows(column0 + quad * 4u, at + steps);
      tile_right[slot] = block.s0;
      tile_right[slot + RIGHT_PITCH] = block.s1;
      tile_right[slot + 2u * RIGHT_PITCH] = block.s2;
      tile_right[slot + 3u * RIGHT_PITCH] = block.s3;
    }
  }
}

// The whole tile: the sum over `length` steps, then store_row for each of its rows below rows_end.
fn tile_product(row0: u32, column0: u32, length: u32, rows_end: u32, local: u32) {
  let slice = local / (TX * TY);
  let tx = local % TX;
  let ty = local / TX % TY;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  var s4 = vec4<f32>();
  var s5 = vec4<f32>();
  var s6 = vec4<f32>();
  var s7 = vec4<f32>();
  for (var at = 0u; at < length; at += DEPTH) {
    fill_tiles(row0, column0, at, local);
    workgroupBarrier();
    for (var i = slice; i < DEPTH; i += SLICES) {
      let low = tile_left[i * LEFT_PITCH + ty * 2u];
      let high = tile_left[i * LEFT_PITCH + ty * 2u + 1u];
      let b = tile_right[i * RIGHT_PITCH + tx];
      s0 += low.x * b;
      s1 += low.y * b;
      s2 += low.z * b;
      s3 += low.w * b;
      s4 += high.x * b;
      s5 += high.y * b;
      s6 += high.z * b;
      s7 += high.w * b;
    }
    workgroupBarrier();
  }
  if (SLICES == 1u) {
    let row = row0 + ty * 8u;
    for (var i = row; i < min(row + 8u, rows_end); i += 1u) {
      store_row(i, column0 + tx * 4u, s0);
      s0 = s1;
      s1 = s2;
      s2 = s3;
      s3 = s4;
      s4 = s5;
      s5 = s6;
      s6 = s7;
    }
    return;
  }
  let slot = slice * SLICE_SIZE + ty * 8u * TX + tx;
  tile_slices[slot] = s0;
  tile_slices[slot + TX] = s1;
  tile_slices[slot + 2u * TX] = s2;
  tile_slices[slot + 3u * TX] = s3;
  tile_slices[slot + 4u * TX] = s4;
  tile_slices[slot + 5u * TX] = s5;
  tile_slices[slot + 6u * TX] = s6;
  tile_slices[slot + 7u * TX] = s7;
  workgroupBarrier();
  for (var i = local; i < SLICE_SIZE; i += THREADS) {
    var sum = tile_slices[i];
    for (var other = i + SLICE_SIZE; other < SLICES * SLICE_SIZE; other += SLICE_SIZE) { sum += tile_slices[other]; }
    let row = row0 + i / TX;
    if (row < rows_end) { store_row(row, column0 + i % TX * 4u, sum); }
  }
}
