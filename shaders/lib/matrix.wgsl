// A tile of a product by the device's matrix units (subgroup matrices, f16 x f16 into f32), to the precision of f32. It stands in for tile.wgsl: the same
// kernels include it, and define the same functions for it.
//   Each operand is split in two terms of f16:  x s = high + low + e,  high = x s to 11 bits,  low = f16(x s - high),  s a power of two,
//   and  sum x w = (sum low_x high_w + sum high_x high_w + sum high_x low_w) / (s_x s_w),  in f32. low_x low_w is left out, and low_w where a frozen
//   weight's 8 or 11 bits are all in high_w.
// s is the tile's own: it takes the largest magnitude met so far to 2^14 .. 2^15, and where that grows the sums so far are scaled with it, which is exact. So
// nothing overflows that is finite, |e| is at most 2^-23 |x| or 2^-38 of that largest magnitude, whichever is more (2^-28 where a device takes subnormals of
// f16 for zero), and what is left out 2^-22 |x w|. Only where elements are below 2^-17 of their tile's largest may the last bits of a row depend on the rows
// beside it.
// One workgroup = DOWN x ACROSS subgroups of at most LANES, each with TALL x WIDE fragments of FM x FN sums, walked DEPTH steps of the sum at a time, FK at
// once; a low-rank branch is the sum's beginning. The next steps' operands come from memory into registers while these are multiplied. Where subgroups are
// smaller than LANES, those left over only fetch.
// LOW: 0 no low term of the right operand; 1 in the steps of the branch; 2 always.
const UNITS: u32 = DOWN * ACROSS;
const TILE_ROWS: u32 = DOWN * TALL * FM;
const TILE_COLUMNS: u32 = ACROSS * WIDE * FN;
const THREADS: u32 = UNITS * LANES;
const QUADS: u32 = DEPTH / 4u; // of steps: the unit of what follows
const PITCH: u32 = QUADS + 2u; // so that rows lie in different banks
const LEFT_BLOCKS: u32 = QUADS * TILE_ROWS / 4u;
const RIGHT_BLOCKS: u32 = QUADS * TILE_COLUMNS / 4u;
const_assert LEFT_BLOCKS <= THREADS && RIGHT_BLOCKS <= THREADS;

alias Left = subgroup_matrix_left<f16, FK, FM>;
alias Right = subgroup_matrix_right<f16, FN, FK>;
alias Result = subgroup_matrix_result<f32, FN, FM>;

// [row or column, step], four steps an element.
var<workgroup> left_high: array<vec4<f16>, TILE_ROWS * PITCH>;
var<workgroup> left_low: array<vec4<f16>, TILE_ROWS * PITCH>;
var<workgroup> right_high: array<vec4<f16>, TILE_COLUMNS * PITCH>;
var<workgroup> right_low: array<vec4<f16>, TILE_COLUMNS * PITCH>;
var<workgroup> results: array<f32, UNITS * FM * FN>;
var<workgroup> left_peak: atomic<u32>; // bits of the largest magnitudes so far
var<workgroup> right_peak: atomic<u32>;

struct Block { s0: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, s3: vec4<f32> }
struct RightBlock { s0: vec4<u32>, s1: vec4<u32>, s2: vec4<u32>, s3: vec4<u32> }

fn transposed(b: Block) -> Block {
  return Block(vec4<f32>(b.s0.x, b.s1.x, b.s2.x, b.s3.x), vec4<f32>(b.s0.y, b.s1.y, b.s2.y, b.s3.y),
    vec4<f32>(b.s0.z, b.s1.z, b.s2.z, b.s3.z), vec4<f32>(b.s0.w, b.s1.w, b.s2.w, b.s3.w));
}

fn bits(b: Block) -> RightBlock { return RightBlock(bitcast<vec4<u32>>(b.s0), bitcast<vec4<u32>>(b.s1), bitcast<vec4<u32>>(b.s2), bitcast<vec4<u32>>(b.s3)); }
fn numbers(b: RightBlock) -> Block { return Block(bitcast<vec4<f32>>(b.s0), bitcast<vec4<f32>>(b.s1), bitcast<vec4<f32>>(b.s2), bitcast<vec4<f32>>(b.s3)); }

// The first `rows` rows of a block; what lies beyond the end of a matrix must not count in its peak.
fn kept(b: Block, rows: u32) -> Block {
  let zero = vec4<f32>();
  return Block(select(zero, b.s0, rows > 0u), select(zero, b.s1, rows > 1u), select(zero, b.s2, rows > 2u), select(zero, b.s3, rows > 3u));
}

fn magnitude(v: vec4<f32>) -> vec4<u32> { return bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu); }

// Bits of the largest magnitude in the blocks of a subgroup.
fn peak(b: Block) -> u32 {
  let most = max(max(magnitude(b.s0), magnitude(b.s1)), max(magnitude(b.s2), magnitude(b.s3)));
  return subgroupMax(max(max(most.x, most.y), max(most.z, most.w)));
}

// Biased exponent of the power of two that takes a peak to 2^14 .. 2^15; of one below 2^-99, 2^113, whose inverse f32 has too.
fn scale_of(peak: u32) -> u32 { return min(268u - (peak >> 23u), 240u); }
fn power(biased: u32) -> f32 { return bitcast<f32>(biased << 23u); }
fn inverse(biased: u32) -> f32 { return power(254u - biased); }

// The nearest numbers of 11 bits, which f16 holds. By their bits: some drivers take a number that went through f16 and back for what it was.
fn head(v: vec4<f32>) -> vec4<f32> { return bitcast<vec4<f32>>((bitcast<vec4<u32>>(v) + vec4<u32>(0x1000u)) & vec4<u32>(0xffffe000u)); }

fn put_left_row(slot: u32, v: vec4<f32>) {
  left_high[slot] = vec4<f16>(head(v));
  left_low[slot] = vec4<f16>(v - head(v));
}

fn put_left(i: u32, b: Block, scale: f32) {
  let slot = i / QUADS * 4u * PITCH + i % QUADS;
  put_left_row(slot, b.s0 * scale);
  put_left_row(slot + PITCH, b.s1 * scale);
  put_left_row(slot + 2u * PITCH, b.s2 * scale);
  put_left_row(slot + 3u * PITCH, b.s3 * scale);
}

fn put_right_row(slot: u32, v: vec4<f32>) {
  right_high[slot] = vec4<f16>(head(v));
  if (LOW > 0u) { right_low[slot] = vec4<f16>(v - head(v)); }
}

fn put_right(i: u32, b: Block, scale: f32) {
  let slot = i / QUADS * 4u * PITCH + i % QUADS;
  put_right_row(slot, b.s0 * scale);
  put_right_row(slot + PITCH, b.s1 * scale);
  put_right_row(slot + 2u * PITCH, b.s2 * scale);
  put_right_row(slot + 3u * PITCH, b.s3 * scale);
}

// Adds the first `quads` of the tile that is there; `both`: the low terms of the right operand too.
fn multiply(sums: ptr<function, array<Result, TALL * WIDE>>, row: u32, column: u32, quads: u32, both: bool) {
  for (var k = 0u; k < quads; k += FK / 4u) {
    var right = array<Right, WIDE>();
    for (var j = 0u; j < WIDE; j += 1u) { right[j] = subgroupMatrixLoad<Right, col_major>(&right_high, (column + j * FN) * PITCH + k, PITCH); }
    for (var i = 0u; i < TALL; i += 1u) {
      let slot = (row + i * FM) * PITCH + k;
      let low = subgroupMatrixLoad<Left, row_major>(&left_low, slot, PITCH);
      let high = subgroupMatrixLoad<Left, row_major>(&left_high, slot, PITCH);
      for (var j = 0u; j < WIDE; j += 1u) {
        (*sums)[i * WIDE + j] = subgroupMatrixMultiplyAccumulate(low, right[j], (*sums)[i * WIDE + j]);
        (*sums)[i * WIDE + j] = subgroupMatrixMultiplyAccumulate(high, right[j], (*sums)[i * WIDE + j]);
      }
    }
    if (both) {
      for (var j = 0u; j < WIDE; j += 1u) { right[j] = subgroupMatrixLoad<Right, col_major>(&right_low, (column + j * FN) * PITCH + k, PITCH); }
      for (var i = 0u; i < TALL; i += 1u) {
        let high = subgroupMatrixLoad<Left, row_major>(&left_high, (row + i * FM) * PITCH + k, PITCH);
        for (var j = 0u; j < WIDE; j += 1u) { (*sums)[i * WIDE + j] = subgroupMatrixMultiplyAccumulate(high, right[j], (*sums)[i * WIDE + j]); }
      }
    }
  }
}

// The whole tile: the sum over the branch's steps and `length` steps, then store_row for each of its rows below rows_end.
fn tile_product(row0: u32, column0: u32, length: u32, rows_end: u32, local: u32) {
  let lanes = subgroupAdd(1u);
  let first_lane = subgroupBroadcastFirst(local);
  let unit = first_lane / lanes;
  let unit_row = unit / ACROSS * TALL * FM;
  let unit_column = unit % ACROSS * WIDE * FN;
  var sums: array<Result, TALL * WIDE>;
  // Every thread fetches, those without a block of their own another's.
  let left_i = local % LEFT_BLOCKS;
  let right_i = local % RIGHT_BLOCKS;
  let row = row0 + left_i / QUADS * 4u;
  let row_step = left_i % QUADS * 4u;
  let column = column0 + right_i / QUADS * 4u;
  let column_step = right_i % QUADS * 4u;
  let rows = rows_end - min(row, rows_end);
  let branch = (branch_length() + DEPTH - 1u) / DEPTH * DEPTH;
  var left_scale = 240u;
  var right_scale = 240u;
  for (var at = 0u; ; at += DEPTH) {
    let more = at < branch + length;
    let in_branch = at < branch;
    var left = Block();
    var right = RightBlock();
    if (in_branch) {
      left = branch_left_block(row, at + row_step);
      right = bits(branch_right_block(column, at + column_step));
    } else if (more) {
      left = left_load(row, at - branch + row_step);
      right = right_load(column, at - branch + column_step);
    }
    if (at > 0u && unit < UNITS) {
      let before = at - DEPTH;
      let of_branch = before < branch;
      let end = select(branch + length, branch_length(), of_branch);
      multiply(&sums, unit_row, unit_column, (min(DEPTH, end - before) + 3u) / 4u, LOW == 2u || (LOW == 1u && of_branch));
    }
    var left_rows = left;
    var right_columns = numbers(right);
    if (!in_branch) {
      left_rows = left_block(left, at - branch + row_step);
      right_columns = right_block(right);
    }
    left_rows = kept(left_rows, select(0u, rows, in_branch || at - branch + row_step < length));
    right_columns = transposed(right_columns);
    let left_peak_here = peak(left_rows);
    let right_peak_here = peak(right_columns);
    if (more && subgroupElect()) {
      atomicMax(&left_peak, left_peak_here);
      atomicMax(&right_peak, right_peak_here);
    }
    workgroupBarrier();
    if (!more) { break; }
    let left_now = scale_of(atomicLoad(&left_peak));
    let right_now = scale_of(atomicLoad(&right_peak));
    if (left_now != left_scale || right_now != right_scale) {
      let ratio = power(left_now) * inverse(left_scale) * (power(right_now) * inverse(right_scale));
      for (var i = 0u; i < TALL * WIDE; i += 1u) { sums[i] = subgroupMatrixScalarMultiply(sums[i], ratio); }
    }
    left_scale = left_now;
    right_scale = right_now;
    if (LEFT_BLOCKS == THREADS || local < LEFT_BLOCKS) { put_left(left_i, left_rows, power(left_scale)); }
    if (RIGHT_BLOCKS == THREADS || local < RIGHT_BLOCKS) { put_right(right_i, right_columns, power(right_scale)); }
    workgroupBarrier();
  }
  // The smaller factor first: their product may be beyond f32 where the result is not.
  let small = min(inverse(left_scale), inverse(right_scale));
  let large = max(inverse(left_scale), inverse(right_scale));
  for (var i = 0u; i < TALL; i += 1u) {
    for (var j = 0u; j < WIDE; j += 1u) {
      if (unit < UNITS) { subgroupMatrixStore<row_major>(&results, unit * FM * FN, sums[i * WIDE + j], FN); }
      workgroupBarrier();
      if (unit < UNITS) {
        for (var quad = local - first_lane; quad < FM * FN / 4u; quad += lanes) {
          let row = row0 + unit_row + i * FM + quad / (FN / 4u);
          let at = unit * FM * FN + quad * 4u;
          let sum = vec4<f32>(results[at], results[at + 1u], results[at + 2u], results[at + 3u]);
          if (row < rows_end) { store_row(row, column0 + unit_column + j * FN + quad % (FN / 4u) * 4u, sum * small * large); }
        }
      }
      workgroupBarrier();
    }
  }
}
