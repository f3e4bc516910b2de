// dx[m, k] (+)= alpha * (sum_n dy[m, n] w[n, k] (+ scale * sum_j dxa[m, j] a[j, k]))      dY W through workgroup memory.
// dy [M, stride], w [N, K] one part of a frozen weight, dxa [M, rank], a [rank, K], dx [M, K]; see lib/product_nn.wgsl.
// One workgroup = a tile of dx, one thread = 8 rows x 4 or 8 columns of it (lib/tile.wgsl).
// The order of the sum over n does not depend on M. Overwrites or accumulates: constant ACCUMULATE.
// Where SPLITS > 1, the sum is dealt to that many workgroups, and dx is [SPLITS, part_size]: what each of them adds up, for sum_parts.wgsl.
// Constants: APART, SPLITS, BRANCH (0: no low-rank branch; else SPLITS is 1, without APART), TX, TY, SLICES, DEPTH, WIDE, AHEAD.
var<private> rows: u32;
var<private> first: u32; // of the sum over n that this workgroup has, and where it ends
var<private> end: u32;

fn left_rows(m: u32, at: u32) -> Block {
  let n = first + at;
  let branch = branch_start(params.n);
  if (BRANCH > 0u && n >= branch) { return branch_left_rows(m, n - branch, rows); }
  if (!APART) { enter_column(n); }
  let remaining = end - n;
  let block = transposed(
    left4(dy_offset(m, rows) + n, remaining), left4(dy_offset(m + 1u, rows) + n, remaining),
    left4(dy_offset(m + 2u, rows) + n, remaining), left4(dy_offset(m + 3u, rows) + n, remaining));
  return masked(block, n < end);
}

// Row j of a from column k on; beyond the last row it repeats, where dxa counts as zero.
fn a_row(j: u32, k: u32) -> vec4<f32> { return branch_right4(min(j, params.rank - 1u) * params.k + min(k, params.k - 1u)); }

fn right_rows(k: u32, at: u32) -> Block {
  let n = first + at;
  let branch = branch_start(params.n);
  if (BRANCH > 0u && n >= branch) {
    let j = n - branch;
    return Block(a_row(j, k), a_row(j + 1u, k), a_row(j + 2u, k), a_row(j + 3u, k));
  }
  return Block(weight_row(n, k), weight_row(n + 1u, k), weight_row(n + 2u, k), weight_row(n + 3u, k));
}

fn store_row(m: u32, k: u32, sums: vec4<f32>) { store4(m, k, sums); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
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
  tile_product(group.x * TILE_ROWS, column_of(group.y, TILE_COLUMNS), whole_length(length), rows, local);
}
