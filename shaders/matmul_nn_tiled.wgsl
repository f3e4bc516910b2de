// dx[m, k] (+)= alpha * (sum_n dy[m, n] w[n, k] (+ scale * sum_j dxa[m, j] a[j, k]))      dY W through workgroup memory.
// dy [M, stride], w [N, K] one part of a frozen weight, dxa [M, rank], a [rank, K], dx [M, K]; see lib/product_nn.wgsl.
// One workgroup = a tile of dx, one thread = 8 rows x 4 or 8 columns of it (lib/tile.wgsl).
// The order of the sum over n does not depend on M. Overwrites or accumulates: constant ACCUMULATE.
// Where SPLITS > 1, the sum is dealt to that many workgroups, and dx is [SPLITS, part_size]: what each of them adds up, for sum_parts.wgsl.
// Constants: APART, SPLITS, BRANCH (0: no low-rank branch; else SPLITS is 1, without APART), TX, TY, SLICES, DEPTH, WIDE.
var<private> first: u32; // of the sum over n that this workgroup has, and where it ends
var<private> end: u32;

// Rows and columns beyond the last are read as they come, and never stored.
fn left_load(m: u32, at: u32) -> Block {
  let n = first + at;
  if (!APART) { enter_column(n); }
  let remaining = end - min(n, end);
  let start = row_at(params.dy_row + m, params.stride) + params.col + n;
  let stride = row_stride(params.stride);
  return Block(left4(start, remaining), left4(start + stride, remaining), left4(start + 2u * stride, remaining), left4(start + 3u * stride, remaining));
}

fn left_block(raw: Block, at: u32) -> Block { return raw; }

fn right_load(k: u32, at: u32) -> RightBlock {
  let start = (first + at) * params.k + k;
  return RightBlock(weight_raw(start), weight_raw(start + params.k), weight_raw(start + 2u * params.k), weight_raw(start + 3u * params.k));
}

fn right_block(raw: RightBlock) -> Block { return Block(widened(raw.s0), widened(raw.s1), widened(raw.s2), widened(raw.s3)); }

// Row j of a from column k on; beyond the last row it repeats, where dxa counts as zero.
fn a_row(j: u32, k: u32) -> vec4<f32> { return branch_right4(min(j, params.rank - 1u) * params.k + k); }
fn branch_right_block(k: u32, j: u32) -> Block { return Block(a_row(j, k), a_row(j + 1u, k), a_row(j + 2u, k), a_row(j + 3u, k)); }

fn store_row(m: u32, k: u32, sums: vec4<f32>) { store4(m, k, sums); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let own = segment_of(group.y, TILE_COLUMNS);
  enter_segment(own);
  let lowest = select(0u, bounds(own).x, APART);
  let whole = select(params.n, bounds(own).y, APART) - lowest;
  let share = (whole + 4u * SPLITS - 1u) / (4u * SPLITS) * 4u; // whole blocks of 4
  let begin = lowest + min(group.z * share, whole);
  let length = min(share, lowest + whole - begin);
  first = begin;
  end = begin + length;
  out_start = group.z * params.part_size;
  tile_product(group.x * TILE_ROWS, column_of(group.y, TILE_COLUMNS), length, rows, local);
}
