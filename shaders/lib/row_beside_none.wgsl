// A row product of one weight (row_beside.wgsl).
fn all_columns() -> u32 { return params.n; }
struct RowUnits { u0: Unit, u1: Unit, u2: Unit, u3: Unit }
fn row_units(n: u32, w0: u32, k: u32) -> RowUnits {
  return RowUnits(weight_unit(w0 + k), weight_unit(w0 + k + NEXT), weight_unit(w0 + k + 2u * NEXT), weight_unit(w0 + k + 3u * NEXT));
}
fn store_row(m: u32, n: u32, sum: f32) { store(m, n, sum); }
