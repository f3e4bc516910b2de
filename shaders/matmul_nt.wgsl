// y[m, n] = alpha * sum_k x[m, k] w[n, k] (+ bias[n]) (+ y or c)      X W^T, the forward product of a linear layer; needs nothing of the device.
// x [M, K], w [N, K] one part of a frozen weight, y and c [M, stride], bias [stride]; see lib/product_nt.wgsl.
// One thread = a tile of 4 rows x 4 columns of y, in registers.
// k runs upwards in one accumulator each: a row's bits do not depend on M. Constants: HAS_BIAS, ADD, SLICED.
fn inner(a: Unit, b0: Unit, b1: Unit, b2: Unit, b3: Unit) -> vec4<f32> {
  return vec4<f32>(unit_product(a, b0), unit_product(a, b1), unit_product(a, b2), unit_product(a, b3));
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let tile = linear_index(group, groups, local, 32u);
  let down = (rows + 3u) / 4u;
  let m = tile % down * 4u;
  let n = tile / down * 4u;
  if (n >= params.n) { return; }
  enter_column(n);
  let x0 = x_offset(m, rows);
  let x1 = x_offset(m + 1u, rows);
  let x2 = x_offset(m + 2u, rows);
  let x3 = x_offset(m + 3u, rows);
  let w0 = w_offset(n);
  let w1 = w_offset(n + 1u);
  let w2 = w_offset(n + 2u);
  let w3 = w_offset(n + 3u);
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var k = 0u; k < params.k; k += UNIT) {
    let b0 = weight_unit(w0 + k);
    let b1 = weight_unit(w1 + k);
    let b2 = weight_unit(w2 + k);
    let b3 = weight_unit(w3 + k);
    s0 += inner(left_unit(x0 + k), b0, b1, b2, b3);
    s1 += inner(left_unit(x1 + k), b0, b1, b2, b3);
    s2 += inner(left_unit(x2 + k), b0, b1, b2, b3);
    s3 += inner(left_unit(x3 + k), b0, b1, b2, b3);
  }
  for (var i = m; i < min(m + 4u, rows); i += 1u) {
    store4(i, n, s0);
    s0 = s1;
    s1 = s2;
    s2 = s3;
  }
}
