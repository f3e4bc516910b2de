// What the variants of y = x W^T share: bindings and the way a sum becomes an element of y. `left` is x. y's columns may be several products side by side
// (segments.wgsl); where SLICED, x is too: each takes its own k columns of x.
struct Params {
  rows_kind: u32, rows_start: u32, rows_cap: u32,
  n: u32, k: u32,                // rows and columns of this part of the weight
  stride: u32, col: u32,         // columns of y, and where this part's begin
  x_row: u32, y_row: u32,        // row offsets into x and y
  alpha: f32,
  rank: u32, scale: f32,         // of the low-rank branch, where there is one (low_rank.wgsl)
  eps: f32,                      // of the norm of x, where it is folded in (row_norm.wgsl)
  second: u32, third: u32, second_at: u32, third_at: u32, // of y's segments
  parts: u32, part_size: u32,    // in which the branch's left operand comes (low_rank_row.wgsl)
  beside: u32,                   // rows of another matrix below the weight (row_beside.wgsl)
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> left: array<Unit>;
@group(0) @binding(3) var<storage, read> weight: array<WeightUnit>;
@group(0) @binding(4) var<storage, read> bias: array<Out>;
@group(0) @binding(5) var<storage, read> c: array<Out>;
@group(0) @binding(6) var<storage, read_write> y: array<Out>;

fn extent() -> u32 { return params.n; }

fn out_columns() -> u32 { return columns_end(); }

// ADD: 0 overwrites y, 1 accumulates into y, 2 overwrites with c added.
fn store(m: u32, n: u32, sum: Out) {
  let column = params.col + n;
  let at = (row_at(m + params.y_row, params.stride) + column) / OUT;
  var value = params.alpha * sum;
  if (HAS_BIAS) { value += bias[column / OUT]; }
  if (ADD == 1u) { value += y[at]; }
  if (ADD == 2u) { value += c[at]; }
  y[at] = value;
}

fn x_offset(m: u32, rows: u32) -> u32 {
  let row = params.x_row + min(m, rows - 1u);
  if (SLICED) { return slice_at(row, params.k); }
  return row * params.k;
}
fn w_offset(n: u32) -> u32 { return min(n, params.n - 1u) * params.k; }
// Where row m of the branch's left operand begins: side by side as y's columns are.
fn branch_row(m: u32) -> u32 { return slice_at(m, params.rank); }
