// y[m, n] = alpha * (sum_k x[m, k] w[n, k] (+ scale * sum_j xa[m, j] b[n, j])) (+ bias[n]) (+ y or c) for M <= 4      X W^T while generating: every weight is read once.
// With NORM x is the RMSNorm of what is read (lib/row_norm.wgsl), whose scale is known when the sum is.
// x [M, K], w [N, K] one part of a frozen weight, gain [K], xa [M, rank], b [stride, rank], y and c [M, stride], bias [stride]; see lib/product_nt.wgsl.
// With BESIDE rows of another matrix follow those of w (lib/row_beside.wgsl).
// One workgroup = 8 columns of y; one thread = one eighth of k of one column for all rows; the eighths are added in order.
// The order does not depend on M. Constants: HAS_BIAS, ADD, SLICED, NORM, BRANCH and PARTS (lib/low_rank_row.wgsl), BESIDE.
var<workgroup> sums: array<vec4<f32>, 64>;
var<workgroup> squares: array<vec4<f32>, select(1u, 64u, NORM)>;

const NEXT: u32 = 8u * UNIT; // from a thread's unit of k to its next
const FOUR: u32 = 4u * NEXT;

// x is zero beyond its end, where w is another row's.
fn x_unit(at: u32, k: u32) -> Unit { return select(Unit(), left_unit(at + k), k < params.k); }

// Four units of x's row from element `at`, as row_units gives them of w.
fn x_units(at: u32, k: u32) -> RowUnits { return RowUnits(x_unit(at, k), x_unit(at, k + NEXT), x_unit(at, k + 2u * NEXT), x_unit(at, k + 3u * NEXT)); }

fn units_product(a: RowUnits, b: RowUnits) -> f32 {
  return ((unit_product(a.u0, b.u0) + unit_product(a.u1, b.u1)) + (unit_product(a.u2, b.u2) + unit_product(a.u3, b.u3)));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let first = linear_index(group, groups, 0u, 8u);
  let n = first + local / 8u;
  enter_column(n);
  let w0 = w_offset(n);
  let x = vec4<u32>(x_offset(0u, rows), x_offset(1u, rows), x_offset(2u, rows), x_offset(3u, rows));
  var sum = vec4<f32>();
  var square = vec4<f32>();
  for (var k = local % 8u * UNIT; k < params.k; k += FOUR) {
    // Four loads are on their way at a time: nothing branches between them.
    let w = row_units(n, w0, k);
    let a0 = x_units(x.x, k);
    let b = RowUnits(gained(w.u0, k), gained(w.u1, k + NEXT), gained(w.u2, k + 2u * NEXT), gained(w.u3, k + 3u * NEXT));
    sum.x += units_product(a0, b);
    if (NORM) { square.x += units_product(a0, a0); }
    if (rows > 1u) {
      let a1 = x_units(x.y, k);
      let a2 = x_units(x.z, k);
      let a3 = x_units(x.w, k);
      sum += vec4<f32>(0.0, units_product(a1, b), units_product(a2, b), units_product(a3, b));
      if (NORM) { square += vec4<f32>(0.0, units_product(a1, a1), units_product(a2, a2), units_product(a3, a3)); }
    }
  }
  sums[local] = sum;
  if (NORM) { squares[local] = square; }
  keep_branch(local, n, rows);
  workgroupBarrier();
  if (local >= 8u || first + local >= all_columns()) { return; }
  let at = local * 8u;
  var total = ((sums[at] + sums[at + 1u]) + (sums[at + 2u] + sums[at + 3u])) + ((sums[at + 4u] + sums[at + 5u]) + (sums[at + 6u] + sums[at + 7u]));
  if (NORM) {
    total *= norm_scale(((squares[at] + squares[at + 1u]) + (squares[at + 2u] + squares[at + 3u])) + ((squares[at + 4u] + squares[at + 5u]) + (squares[at + 6u] + squares[at + 7u])));
  }
  total += branch_total(at);
  enter_column(first + local);
  for (var m = 0u; m < min(rows, 4u); m += 1u) { store_row(m, first + local, total[m]); }
}
