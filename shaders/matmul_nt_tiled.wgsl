// y[m, n] = alpha * sum_k x[m, k] w[n, k] (+ bias[n]) (+ y or c)      X W^T through workgroup memory.
// x [M, K], w [N, K] one part of a frozen weight, y and c [M, stride], bias [stride]; see lib/product_nt.wgsl.
// One workgroup = a tile of y, one thread = 8 rows x 4 columns of it (lib/tile.wgsl).
// The order of the sum over k does not depend on M. Constants: HAS_BIAS, ADD, TX, TY, SLICES, DEPTH.
var<private> rows: u32;

fn left_rows(m: u32, k: u32) -> Block {
  let remaining = params.k - k;
  let block = transposed(
    left4(x_offset(m, rows) + k, remaining), left4(x_offset(m + 1u, rows) + k, remaining),
    left4(x_offset(m + 2u, rows) + k, remaining), left4(x_offset(m + 3u, rows) + k, remaining));
  return masked(block, k < params.k);
}

fn right_rows(n: u32, k: u32) -> Block {
  return transposed(weight4(w_offset(n) + k), weight4(w_offset(n + 1u) + k), weight4(w_offset(n + 2u) + k), weight4(w_offset(n + 3u) + k));
}

fn store_row(m: u32, n: u32, sums: vec4<f32>) { store4(m, n, sums); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  tile_product(group.x * TILE_ROWS, group.y * TILE_COLUMNS, params.k, rows, local);
}
