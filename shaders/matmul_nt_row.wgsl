// y[m, n] = alpha * (sum_k x[m, k] w[n, k] (+ scale * sum_j xa[m, j] b[n, j])) (+ bias[n]) (+ y or c) for M <= 4      X W^T while generating: every weight is read once.
// With NORM x is the RMSNorm of what is read (lib/row_norm.wgsl), whose scale is known when the sum is.
// x [M, K], w [N, K] one part of a frozen weight, gain [K], xa [M, rank], b [stride, rank], y and c [M, stride], bias [stride]; see lib/product_nt.wgsl.
// With BESIDE rows of another matrix follow those of w (lib/row_beside.wgsl).
// One workgroup = 8 columns of y; one thread = one eighth of k of one column for all rows; the eighths are added in order.
// The order does not depend on M. Constants: HAS_BIAS, ADD, SLICED, NORM, BRANCH and PARTS (lib/low_rank_row.wgsl), BESIDE.
var<workgroup> sums: array<vec4<f32>, 64>;
var<workgroup> squares: array<vec4<f32>, select(1u, 64u, NORM)>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let first = linear_index(group, groups, 0u, 8u);
  let n = first + local / 8u;
  enter_column(n);
  let w0 = w_offset(n);
  let x0 = x_offset(0u, rows);
  let x1 = x_offset(1u, rows);
  let x2 = x_offset(2u, rows);
  let x3 = x_offset(3u, rows);
  var sum = vec4<f32>();
  var square = vec4<f32>();
  for (var k = local % 8u * UNIT; k < params.k; k += 8u * UNIT) {
    let b = gained(row_unit(n, w0, k), k);
    let a0 = left_unit(x0 + k);
    sum.x += unit_product(a0, b);
    if (NORM) { square.x += unit_product(a0, a0); }
    if (rows > 1u) {
      let a1 = left_unit(x1 + k);
      let a2 = left_unit(x2 + k);
      let a3 = left_unit(x3 + k);
      sum += vec4<f32>(0.0, unit_product(a1, b), unit_product(a2, b), unit_product(a3, b));
      if (NORM) { square += vec4<f32>(0.0, unit_product(a1, a1), unit_product(a2, a2), unit_product(a3, a3)); }
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
