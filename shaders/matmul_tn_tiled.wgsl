// out[p, q] (+)= alpha * sum_m a[m, p] b[m, q]      A^T B through workgroup memory, M dealt to slices of the workgroup.
// a [M, P], b [M, Q], out [P, Q]; see lib/product_tn.wgsl. Where SPLITS > 1, M is also dealt to that many workgroups, and out is
// [SPLITS, P, Q]: what each of them adds up, for sum_parts.wgsl.
// One workgroup = a tile of out, one thread = 8 x 4 of it over every SLICES-th m (lib/tile.wgsl).
// Overwrites or accumulates: constant ACCUMULATE. Constants: SPLITS, TX, TY, SLICES, DEPTH, WIDE, AHEAD.
var<private> first: u32;
var<private> rows: u32; // the end of this workgroup's

// Beyond its rows the buffers may hold anything: both sides count as zero there.
fn a_row(m: u32, p: u32) -> vec4<f32> { return select(vec4<f32>(), a4(min(first + m, rows - 1u), p), first + m < rows); }
fn b_row(m: u32, q: u32) -> vec4<f32> { return select(vec4<f32>(), b4(min(first + m, rows - 1u), q), first + m < rows); }

fn left_rows(p: u32, m: u32) -> Block { return Block(a_row(m, p), a_row(m + 1u, p), a_row(m + 2u, p), a_row(m + 3u, p)); }
fn right_rows(q: u32, m: u32) -> Block { return Block(b_row(m, q), b_row(m + 1u, q), b_row(m + 2u, q), b_row(m + 3u, q)); }

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
