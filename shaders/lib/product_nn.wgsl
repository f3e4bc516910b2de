// What the variants of dx = dy W share: bindings and the way sums become elements of dx. `left` is dy, whose columns may be several matrices' side by
// side (segments.wgsl). dx is then the sum over all of them, or, with APART, has k columns for each, the sum over its own.
struct Params {
  rows_kind: u32, rows_start: u32, rows_cap: u32,
  n: u32, k: u32,                // rows and columns of this part of the weight
  stride: u32, col: u32,         // columns of dy, and where this part's begin
  dy_row: u32, dx_row: u32,      // row offsets into dy and dx
  alpha: f32,
  part_size: u32,                // elements of dx, where its sum is split
  rank: u32, scale: f32,         // of the low-rank branch, where there is one (low_rank.wgsl)
  second: u32, third: u32, second_at: u32, third_at: u32, // of dy's segments
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> left: array<Unit>;
@group(0) @binding(3) var<storage, read> weight: array<WeightUnit>;
@group(0) @binding(4) var<storage, read_write> dx: array<Out>;

fn extent() -> u32 { return params.n; }

// Tile i of dx, `width` columns wide: with APART tiles begin anew in each segment's columns. k where there is no such tile.
fn tiles_across(width: u32) -> u32 { return (params.k + width - 1u) / width; }
fn segment_of(i: u32, width: u32) -> u32 { return select(0u, i / tiles_across(width), APART); }
fn column_of(i: u32, width: u32) -> u32 {
  if (!APART) { return i * width; }
  return select(params.k, i % tiles_across(width) * width, segment_of(i, width) < segment_count());
}
// The end of the segments, `own` or all, that a sum goes over.
fn sum_end(own: u32) -> u32 { return select(segment_count(), own + 1u, APART); }

fn out_columns() -> u32 { return params.k; }

var<private> out_start: u32; // where the matrix begins that is written

fn store(m: u32, k: u32, sum: Out) {
  var row = (m + params.dx_row) * params.k;
  if (APART) { row = slice_at(m, params.k); }
  let at = (out_start + row + k) / OUT;
  if (ACCUMULATE) { dx[at] += params.alpha * sum; } else { dx[at] = params.alpha * sum; }
}

// Row m of dy in the segment that was entered: where column 0 would lie.
fn dy_offset(m: u32, rows: u32) -> u32 { return row_at(params.dy_row + min(m, rows - 1u), params.stride) + params.col; }
fn branch_row(m: u32) -> u32 { return m * params.rank; }

// Columns k .. k+3 of row n of w; beyond the last row it repeats, where dy counts as zero.
fn weight_row(n: u32, k: u32) -> vec4<f32> {
  return weight4(min(n, params.n - 1u) * params.k + min(k, params.k - 1u));
}
