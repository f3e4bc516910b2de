// A row product of one weight (row_beside.wgsl).
fn all_columns() -> u32 { return params.n; }
fn row_unit(n: u32, w0: u32, k: u32) -> Unit { return weight_unit(w0 + k); }
fn store_row(m: u32, n: u32, sum: f32) { store(m, n, sum); }
