// y[m, n] = alpha * sum_k x[m, k] w[n, k] (+ bias[n]) (+ y or c) for M <= 4      X W^T while generating: every weight is read once.
// x [M, K], w [N, K] one part of a frozen weight, y and c [M, stride], bias [stride]; see lib/product_nt.wgsl.
// One workgroup = 8 columns of y; one thread = one eighth of k of one column for all rows; the eighths are added in order.
// The order does not depend on M. Constants: HAS_BIAS, ADD.
var<workgroup> sums: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let first = linear_index(group, groups, 0u, 8u);
  let w0 = w_offset(first + local / 8u);
  let x0 = x_offset(0u, rows);
  let x1 = x_offset(1u, rows);
  let x2 = x_offset(2u, rows);
  let x3 = x_offset(3u, rows);
  var sum = vec4<f32>();
  for (var k = local % 8u * UNIT; k < params.k; k += 8u * UNIT) {
    let b = weight_unit(w0 + k);
    sum.x += unit_product(left_unit(x0 + k), b);
    if (rows > 1u) {
      sum.y += unit_product(left_unit(x1 + k), b);
      sum.z += unit_product(left_unit(x2 + k), b);
      sum.w += unit_product(left_unit(x3 + k), b);
    }
  }
  sums[local] = sum;
  workgroupBarrier();
  if (local >= 8u || first + local >= params.n) { return; }
  let at = local * 8u;
  let total = ((sums[at] + sums[at + 1u]) + (sums[at + 2u] + sums[at + 3u])) + ((sums[at + 4u] + sums[at + 5u]) + (sums[at + 6u] + sums[at + 7u]));
  for (var m = 0u; m < min(rows, 4u); m += 1u) { store(m, first + local, total[m]); }
}
