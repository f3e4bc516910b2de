// The low-rank branch of a row product (low_rank.wgsl): left [M, rank] (branch_row) times rows of right [stride, rank], the rank dealt to the eight threads of a column.
// With PARTS left comes as params.parts matrices (low_rank_part.wgsl), params.part_size elements from one to the next: the threads of each of the eight columns
// add up every eighth of them, and the eighths are added in order.
@group(0) @binding(BRANCH) var<storage, read> branch_left: array<f32>;
@group(0) @binding(BRANCH + 1u) var<storage, read> branch_right: array<f32>;
var<workgroup> branch_sums: array<vec4<f32>, 64>;

// Column j of left, a component a row.
fn branch_left_column(start: u32, j: u32, rows: u32) -> vec4<f32> {
  let x = branch_left[start + branch_row(0u) + j];
  if (rows == 1u) { return vec4<f32>(x, 0.0, 0.0, 0.0); }
  return vec4<f32>(x, branch_left[start + branch_row(1u) + j], branch_left[start + branch_row(min(2u, rows - 1u)) + j], branch_left[start + branch_row(min(3u, rows - 1u)) + j]);
}

// The sum of eight, `step` apart.
fn branch_eight(at: u32, step: u32) -> vec4<f32> {
  return ((branch_sums[at] + branch_sums[at + step]) + (branch_sums[at + 2u * step] + branch_sums[at + 3u * step]))
    + ((branch_sums[at + 4u * step] + branch_sums[at + 5u * step]) + (branch_sums[at + 6u * step] + branch_sums[at + 7u * step]));
}

fn keep_branch(local: u32, n: u32, rows: u32) {
  let right = (params.col + min(n, params.n - 1u)) * params.rank;
  var sum = vec4<f32>();
  for (var first = 0u; first < params.rank; first += 8u) {
    let j = first + local % 8u;
    var low = vec4<f32>();
    if (PARTS) {
      if (j < params.rank) {
        for (var p = local / 8u; p < params.parts; p += 8u) { low += branch_left_column(p * params.part_size, j, rows); }
      }
      branch_sums[local] = low;
      workgroupBarrier();
      low = branch_eight(local % 8u, 8u);
      workgroupBarrier();
    } else if (j < params.rank) {
      low = branch_left_column(0u, j, rows);
    }
    if (j < params.rank) { sum += low * branch_right[right + j]; }
  }
  branch_sums[local] = sum;
}

fn branch_total(at: u32) -> vec4<f32> { return params.scale * branch_eight(at, 1u); }
