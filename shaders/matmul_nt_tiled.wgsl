// y[m, n] = alpha * (sum_k x[m, k] w[n, k] (+ scale * sum_j xa[m, j] b[n, j])) (+ bias[n]) (+ y or c)      X W^T through workgroup memory.
// x [M, K], w [N, K] one part of a frozen weight, xa [M, rank], b [stride, rank], y and c [M, stride], bias [stride]; see lib/product_nt.wgsl.
// One workgroup = a tile of y, one thread = 8 rows x 4 or 8 columns of it (lib/tile.wgsl).
// The order of the sum over k does not depend on M. Constants: HAS_BIAS, ADD, SLICED, BRANCH (0: no low-rank branch), TX, TY, SLICES, DEPTH, WIDE, AHEAD.
var<private> rows: u32;

fn left_rows(m: u32, k: u32) -> Block {
  let branch = branch_start(params.k);
  if (BRANCH > 0u && k >= branch) { return branch_left_rows(m, k - branch, rows); }
  let remaining = params.k - k;
  let block = transposed(
    left4(x_offset(m, rows) + k, remaining), left4(x_offset(m + 1u, rows) + k, remaining),
    left4(x_offset(m + 2u, rows) + k, remaining), left4(x_offset(m + 3u, rows) + k, remaining));
  return masked(block, k < params.k);
}

fn b_offset(n: u32) -> u32 { return (params.col + min(n, params.n - 1u)) * params.rank; }

fn right_rows(n: u32, k: u32) -> Block {
  let branch = branch_start(params.k);
  if (BRANCH > 0u && k >= branch) {
    let j = k - branch;
    return transposed(
      branch_right4(b_offset(n) + j), branch_right4(b_offset(n + 1u) + j), branch_right4(b_offset(n + 2u) + j), branch_right4(b_offset(n + 3u) + j));
  }
  return transposed(weight4(w_offset(n) + k), weight4(w_offset(n + 1u) + k), weight4(w_offset(n + 2u) + k), weight4(w_offset(n + 3u) + k));
}

fn store_row(m: u32, n: u32, sums: vec4<f32>) { store4(m, n, sums); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let column0 = enter_tile(group.y, TILE_COLUMNS);
  tile_product(group.x * TILE_ROWS, column0, whole_length(params.k), rows, local);
}
