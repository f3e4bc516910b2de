// The low-rank branch of a row product (low_rank.wgsl): left [M, rank] (branch_row) times rows of right [stride, rank], the rank dealt to the eight threads of a column.
@group(0) @binding(BRANCH) var<storage, read> branch_left: array<f32>;
@group(0) @binding(BRANCH + 1u) var<storage, read> branch_right: array<f32>;
var<workgroup> branch_sums: array<vec4<f32>, 64>;

fn keep_branch(local: u32, n: u32, rows: u32) {
  let right = (params.col + min(n, params.n - 1u)) * params.rank;
  var sum = vec4<f32>();
  for (var j = local % 8u; j < params.rank; j += 8u) {
    let b = branch_right[right + j];
    sum.x += branch_left[branch_row(0u) + j] * b;
    if (rows > 1u) {
      sum += vec4<f32>(0.0, branch_left[branch_row(1u) + j], branch_left[branch_row(min(2u, rows - 1u)) + j], branch_left[branch_row(min(3u, rows - 1u)) + j]) * b;
    }
  }
  branch_sums[local] = sum;
}

fn branch_total(at: u32) -> vec4<f32> {
  return params.scale * (((branch_sums[at] + branch_sums[at + 1u]) + (branch_sums[at + 2u] + branch_sums[at + 3u]))
    + ((branch_sums[at + 4u] + branch_sums[at + 5u]) + (branch_sums[at + 6u] + branch_sums[at + 7u])));
}
