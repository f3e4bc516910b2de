// A row product of two weights, one below the other: rows of another matrix [beside, K] in f32 follow those of the frozen one, as they are. Their columns are
// sums without bias, alpha or anything added, in a matrix of their own [M, beside]: LoRA's x A^T beside x W^T.
@group(0) @binding(BESIDE) var<storage, read> beside_weight: array<Unit>;
@group(0) @binding(BESIDE + 1u) var<storage, read_write> beside_y: array<f32>;

fn all_columns() -> u32 { return params.n + params.beside; }

struct RowUnits { u0: Unit, u1: Unit, u2: Unit, u3: Unit }

// Four units of row n from element k on, NEXT apart; the frozen weight's begins at w0.
fn row_units(n: u32, w0: u32, k: u32) -> RowUnits {
  if (n < params.n) { return RowUnits(weight_unit(w0 + k), weight_unit(w0 + k + NEXT), weight_unit(w0 + k + 2u * NEXT), weight_unit(w0 + k + 3u * NEXT)); }
  let at = min(n - params.n, params.beside - 1u) * params.k + k;
  return RowUnits(beside_weight[at / UNIT], beside_weight[(at + NEXT) / UNIT], beside_weight[(at + 2u * NEXT) / UNIT], beside_weight[(at + 3u * NEXT) / UNIT]);
}

fn store_row(m: u32, n: u32, sum: f32) {
  if (n < params.n) { store(m, n, sum); } else { beside_y[m * params.beside + n - params.n] = sum; }
}
