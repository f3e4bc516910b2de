// out[p, q] (+)= alpha * sum_m a[m, p] b[m, q]      A^T B through workgroup memory, M dealt to slices of the workgroup.
// a [M, P], b [M, Q], out [P, Q]; see lib/product_tn.wgsl. Where SPLITS > 1, M is also dealt to that many workgroups, and out is
// [SPLITS, P, Q]: what each of them adds up, for sum_parts.wgsl.
// One workgroup = a tile of out, one thread = 8 x 4 of it over every SLICES-th m (lib/tile.wgsl).
// Overwrites or accumulates: constant ACCUMULATE. Constants: SPLITS, TX, TY, SLICES, DEPTH, WIDE.
var<private> first: u32;
var<private> rows: u32; // the end of this workgroup's

// Beyond this workgroup's rows the buffers may hold anything: its last row repeats, and counts as zero on the left.
fn row(at: u32) -> u32 { return min(first + at, rows - 1u); }

fn left_load(p: u32, m: u32) -> Block { return Block(a4(row(m), p), a4(row(m + 1u), p), a4(row(m + 2u), p), a4(row(m + 3u), p)); }

fn left_block(raw: Block, at: u32) -> Block {
  let m = first + at;
  let zero = vec4<f32>();
  return transposed(Block(select(zero, raw.s0, m < rows), select(zero, raw.s1, m + 1u < rows), select(zero, raw.s2, m + 2u < rows), select(zero, raw.s3, m + 3u < rows)));
}

fn right_load(q: u32, m: u32) -> RightBlock { return bits(Block(b4(row(m), q), b4(row(m + 1u), q), b4(row(m + 2u), q), b4(row(m + 3u), q))); }
fn right_block(raw: RightBlock) -> Block { return numbers(raw); }
fn branch_right_block(q: u32, j: u32) -> Block { return Block(); }

fn store_row(p: u32, q: u32, sums: vec4<f32>) { store4(p, q, sums); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let all = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let share = (all + SPLITS - 1u) / SPLITS;
  let begin = min(group.z * share, all);
  let end = min(begin + share, all);
  first = begin;
  rows = end;
  out_start = group.z * params.p * params.q;
  let row0 = enter_tile(group.x, TILE_ROWS);
  tile_product(row0, group.y * TILE_COLUMNS, end - begin, columns_end(), local);
}
