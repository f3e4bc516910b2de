// out[p, q] (+)= alpha * sum_m a[m, p] b[m, q]      A^T B, the gradients of LoRA's two factors; needs nothing of the device.
// a [M, P], b [M, Q], out [P, Q]. P x Q is small, M is not; see lib/product_tn.wgsl.
// One thread = a tile of 4 x 4 of out, in registers, over all m upwards. Overwrites or accumulates: constant ACCUMULATE.
@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rows = row_count(params.rows_kind, params.rows_start, params.rows_cap);
  let tile = linear_index(group, groups, local, 32u);
  let across = (params.q + 3u) / 4u;
  let p = tile / across * 4u;
  let q = tile % across * 4u;
  if (p >= params.p) { return; }
  enter_column(p);
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var m = 0u; m < rows; m += 1u) {
    let column = a4(m, p);
    let row = b4(m, q);
    s0 += column.x * row;
    s1 += column.y * row;
    s2 += column.z * row;
    s3 += column.w * row;
  }
  for (var i = p; i < min(p + 4u, params.p); i += 1u) {
    store4(i, q, s0);
    s0 = s1;
    s1 = s2;
    s2 = s3;
  }
}
