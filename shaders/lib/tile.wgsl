// A tile of a product in workgroup memory: TY * 8 rows x TX * 4 columns (TX * 8 where WIDE), walked DEPTH steps of the sum at a time.
// One thread = every TY-th of the rows x 4 columns (two times that where WIDE, TX * 4 columns apart) of one of SLICES slices of the sum, each of every
// SLICES-th four steps, which are added up at the end, half of them to the other half, in an order of their own. A low-rank branch (lib/low_rank.wgsl) is the sum's beginning.
// While a tile is multiplied, the next one's operands come from memory into registers, each thread's 4 x 4 block of either operand as it is stored:
// whatever is computed of it there would wait for it, so it is widened, masked and turned on its way into workgroup memory.
// Including kernels define, for 4 rows (columns) from the first argument on and 4 steps from the second:
//   left_load -> Block, right_load -> RightBlock      as it is stored; beyond the ends there may be anything
//   left_block(raw, step) -> Block                    a vec4 of steps for each row; zero in steps beyond the sum's end
//   right_block(raw) -> Block                         a vec4 of columns for each step
// and store_row(row, column, sums).
const QUADS: u32 = TX * select(1u, 2u, WIDE); // of columns
const TILE_ROWS: u32 = TY * 8u;
const TILE_COLUMNS: u32 = QUADS * 4u;
const THREADS: u32 = TX * TY * SLICES;
const LEFT_PITCH: u32 = STEPS + 1u; // in vec4; odd, so that rows lie in different banks
const RIGHT_PITCH: u32 = QUADS + 1u;
const STEPS: u32 = DEPTH / 4u;
const LEFT_BLOCKS: u32 = STEPS * TY * 2u;
const RIGHT_BLOCKS: u32 = STEPS * QUADS;
const SLICE_SIZE: u32 = TX * TY * 8u; // in vec4
const_assert LEFT_BLOCKS <= THREADS && RIGHT_BLOCKS <= THREADS;

struct Block { s0: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, s3: vec4<f32> }
// Of a weight as it is stored, or of numbers in f32.
struct RightBlock { s0: vec4<u32>, s1: vec4<u32>, s2: vec4<u32>, s3: vec4<u32> }

// An index that is known is checked where this is compiled and not where it runs: hence a dimension for each.
// Left: [a thread's rows][TY][four steps], a vec4 of steps. Right: [four steps][step][four columns], a vec4 of columns.
var<workgroup> tile_left: array<array<array<vec4<f32>, LEFT_PITCH>, TY>, 8>;
var<workgroup> tile_right: array<array<array<vec4<f32>, RIGHT_PITCH>, 4>, STEPS>;
var<workgroup> tile_slices: array<vec4<f32>, max(1u, SLICES / 2u * SLICE_SIZE)>;

fn transposed(b: Block) -> Block {
  return Block(vec4<f32>(b.s0.x, b.s1.x, b.s2.x, b.s3.x), vec4<f32>(b.s0.y, b.s1.y, b.s2.y, b.s3.y),
    vec4<f32>(b.s0.z, b.s1.z, b.s2.z, b.s3.z), vec4<f32>(b.s0.w, b.s1.w, b.s2.w, b.s3.w));
}

fn bits(b: Block) -> RightBlock { return RightBlock(bitcast<vec4<u32>>(b.s0), bitcast<vec4<u32>>(b.s1), bitcast<vec4<u32>>(b.s2), bitcast<vec4<u32>>(b.s3)); }
fn numbers(b: RightBlock) -> Block { return Block(bitcast<vec4<f32>>(b.s0), bitcast<vec4<f32>>(b.s1), bitcast<vec4<f32>>(b.s2), bitcast<vec4<f32>>(b.s3)); }

fn put_left_row(row: u32, four: u32, steps: vec4<f32>) { tile_left[row / TY][row % TY][four] = steps; }

fn put_left(i: u32, b: Block) {
  let row = i / STEPS * 4u;
  put_left_row(row, i % STEPS, b.s0);
  put_left_row(row + 1u, i % STEPS, b.s1);
  put_left_row(row + 2u, i % STEPS, b.s2);
  put_left_row(row + 3u, i % STEPS, b.s3);
}

fn put_right(i: u32, b: Block) {
  tile_right[i % STEPS][0][i / STEPS] = b.s0;
  tile_right[i % STEPS][1][i / STEPS] = b.s1;
  tile_right[i % STEPS][2][i / STEPS] = b.s2;
  tile_right[i % STEPS][3][i / STEPS] = b.s3;
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

// The first `steps` steps of the tile that is there, or this slice's of them.
fn multiply(near: ptr<function, Sums>, far: ptr<function, Sums>, steps: u32, slice: u32, tx: u32, ty: u32) {
  for (var four = slice; four * 4u < steps; four += SLICES) {
    let low = transposed(Block(tile_left[0][ty][four], tile_left[1][ty][four], tile_left[2][ty][four], tile_left[3][ty][four]));
    let high = transposed(Block(tile_left[4][ty][four], tile_left[5][ty][four], tile_left[6][ty][four], tile_left[7][ty][four]));
    add_step(near, low.s0, high.s0, tile_right[four][0][tx]);
    if (WIDE) { add_step(far, low.s0, high.s0, tile_right[four][0][TX + tx]); }
    add_step(near, low.s1, high.s1, tile_right[four][1][tx]);
    if (WIDE) { add_step(far, low.s1, high.s1, tile_right[four][1][TX + tx]); }
    add_step(near, low.s2, high.s2, tile_right[four][2][tx]);
    if (WIDE) { add_step(far, low.s2, high.s2, tile_right[four][2][TX + tx]); }
    add_step(near, low.s3, high.s3, tile_right[four][3][tx]);
    if (WIDE) { add_step(far, low.s3, high.s3, tile_right[four][3][TX + tx]); }
  }
}

fn store_rows(s: ptr<function, Sums>, row: u32, rows_end: u32, column: u32) {
  for (var i = row; i < min(row + 8u * TY, rows_end); i += TY) {
    store_row(i, column, (*s).s0);
    move_up(s);
  }
}

// A slice's sums, for the thread that has the same of another slice.
fn put_slice(s: Sums, slot: u32) {
  tile_slices[slot] = s.s0;
  tile_slices[slot + TX * TY] = s.s1;
  tile_slices[slot + 2u * TX * TY] = s.s2;
  tile_slices[slot + 3u * TX * TY] = s.s3;
  tile_slices[slot + 4u * TX * TY] = s.s4;
  tile_slices[slot + 5u * TX * TY] = s.s5;
  tile_slices[slot + 6u * TX * TY] = s.s6;
  tile_slices[slot + 7u * TX * TY] = s.s7;
}

fn add_slice(s: ptr<function, Sums>, slot: u32) {
  (*s).s0 += tile_slices[slot];
  (*s).s1 += tile_slices[slot + TX * TY];
  (*s).s2 += tile_slices[slot + 2u * TX * TY];
  (*s).s3 += tile_slices[slot + 3u * TX * TY];
  (*s).s4 += tile_slices[slot + 4u * TX * TY];
  (*s).s5 += tile_slices[slot + 5u * TX * TY];
  (*s).s6 += tile_slices[slot + 6u * TX * TY];
  (*s).s7 += tile_slices[slot + 7u * TX * TY];
}

// The whole tile: the sum over the branch's steps and `length` steps, then store_row for each of its rows below rows_end.
fn tile_product(row0: u32, column0: u32, length: u32, rows_end: u32, local: u32) {
  let slice = local / (TX * TY);
  let tx = local % TX;
  let ty = local / TX % TY;
  var near = Sums();
  var far = Sums();
  // Every thread fetches, those without a block of their own another's: a load that only some threads do is waited for at once.
  let left_i = local % LEFT_BLOCKS;
  let right_i = local % RIGHT_BLOCKS;
  let has_left = LEFT_BLOCKS == THREADS || local < LEFT_BLOCKS;
  let has_right = RIGHT_BLOCKS == THREADS || local < RIGHT_BLOCKS;
  let row = row0 + left_i / STEPS * 4u;
  let row_step = left_i % STEPS * 4u;
  let column = column0 + right_i / STEPS * 4u;
  let column_step = right_i % STEPS * 4u;
  var left = left_load(row, row_step);
  var right = right_load(column, column_step);
  for (var j = 0u; j < branch_length(); j += DEPTH) {
    if (has_left) { put_left(left_i, branch_left_block(row, j + row_step)); }
    if (has_right) { put_right(right_i, branch_right_block(column, j + column_step)); }
    workgroupBarrier();
    multiply(&near, &far, min(DEPTH, branch_length() - j), slice, tx, ty);
    workgroupBarrier();
  }
  for (var at = 0u; at < length; at += DEPTH) {
    if (has_left) { put_left(left_i, left_block(left, at + row_step)); }
    if (has_right) { put_right(right_i, right_block(right)); }
    workgroupBarrier();
    if (at + DEPTH < length) { // also keeps the loads on this side of the multiplication
      left = left_load(row, at + DEPTH + row_step);
      right = right_load(column, at + DEPTH + column_step);
    }
    multiply(&near, &far, min(DEPTH, length - at), slice, tx, ty);
    workgroupBarrier();
  }
  for (var half = SLICES / 2u; half > 0u; half /= 2u) {
    let slot = slice % half * SLICE_SIZE + ty * TX + tx;
    if (slice >= half && slice < 2u * half) { put_slice(near, slot); }
    workgroupBarrier();
    if (slice < half) { add_slice(&near, slot); }
    workgroupBarrier();
    if (!WIDE) { continue; }
    if (slice >= half && slice < 2u * half) { put_slice(far, slot); }
    workgroupBarrier();
    if (slice < half) { add_slice(&far, slot); }
    workgroupBarrier();
  }
  if (slice > 0u) { return; }
  store_rows(&near, row0 + ty, rows_end, column0 + tx * 4u);
  if (WIDE) { store_rows(&far, row0 + ty, rows_end, column0 + (TX + tx) * 4u); }
}
