// What the variants of out = A^T B share: bindings and the way sums become elements of out. a's columns may be several matrices' side by side
// (segments.wgsl); b then has q columns for each, and rows p of out are the product with those of p's own.
struct Params {
  rows_kind: u32, rows_start: u32, rows_cap: u32,
  p: u32, q: u32,                // columns of a and of b
  alpha: f32,
  second: u32, third: u32, second_at: u32, third_at: u32, // of a's segments
  a_stride: u32, a_col: u32,     // columns of the matrix that a's are part of, and where they begin
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> a: array<Column>; // lib/columns_*.wgsl
@group(0) @binding(3) var<storage, read> b: array<Column>;
@group(0) @binding(4) var<storage, read_write> out: array<Out>;

fn extent() -> u32 { return params.p; }
fn a_at(m: u32) -> u32 { return row_at(m, params.a_stride) + params.a_col; }

var<private> out_start: u32; // where the matrix begins that is written

fn out_columns() -> u32 { return params.q; }

fn store(p: u32, q: u32, sum: Out) {
  let at = (out_start + p * params.q + q) / OUT;
  if (ACCUMULATE) { out[at] += params.alpha * sum; } else { out[at] = params.alpha * sum; }
}
