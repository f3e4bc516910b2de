// y[m, n] = alpha * (sum_k x[m, k] w[n, k] (+ scale * sum_j xa[m, j] b[n, j])) (+ bias[n]) (+ y or c)      X W^T through workgroup memory.
// x [M, K], w [N, K] one part of a frozen weight, xa [M, rank], b [stride, rank], y and c [M, stride], bias [stride]; see lib/product_nt.wgsl.
// One workgroup = a tile of y, one thread = 8 rows x 4 or 8 columns of it (lib/tile.wgsl).
// The order of the sum over k does not depend on M. Constants: HAS_BIAS, ADD, SLICED, BRANCH (0: no low-rank branch), TX, TY, SLICES, DEPTH, WIDE.
// Rows and columns beyond the last are read as they come, and never stored.
fn left_load(m: u32, k: u32) -> Block {
  let remaining = params.k - min(k, params.k);
  let row = params.x_row + m;
  let start = select(row * params.k, slice_at(row, params.k), SLICED) + k;
  let stride = select(params.k, slice_stride(params.k), SLICED);
  return Block(left4(start, remaining), left4(start + stride, remaining), left4(start + 2u * stride, remaining), left4(start + 3u * stride, remaining));
}

fn left_block(raw: Block, k: u32) -> Block { return raw; }

fn right_load(n: u32, k: u32) -> RightBlock {
  let start = n * params.k + k;
  return RightBlock(weight_raw(start), weight_raw(start + params.k), weight_raw(start + 2u * params.k), weight_raw(start + 3u * params.k));
}

fn right_block(raw: RightBlock) -> Block { return transposed(Block(widened(raw.s0), widened(raw.s1), widened(raw.s2), widened(raw.s3))); }

fn branch_right_block(n: u32, j: u32) -> Block {
  let start = (params.col + n) * params.rank + j;
  return transposed(Block(branch_right4(start), branch_right4(start + params.rank), branch_right4(start + 2u * params.rank), branch_right4(start + 3u * params.rank)));
}

fn store_row(m: u32, n: u32, sums: vec4<f32>) { store4(m, n, sums); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let column0 = enter_tile(group.y, TILE_COLUMNS);
  tile_product(group.x * TILE_ROWS, column0, params.k, rows, local);
}
