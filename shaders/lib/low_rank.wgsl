// A low-rank branch that ends the sum of a product, in the same accumulators: LoRA's B x A on top of a frozen weight.
// The steps of the sum from branch_start on are those of left [M, rank] (branch_row) and right, whose steps are columns ([N, rank]) or rows ([rank, K]).
@group(0) @binding(BRANCH) var<storage, read> branch_left: array<f32>;
@group(0) @binding(BRANCH + 1u) var<storage, read> branch_right: array<f32>;

fn branch_start(length: u32) -> u32 { return (length + 3u) / 4u * 4u; }
fn whole_length(length: u32) -> u32 { return branch_start(length) + params.rank; }

// Steps j .. j+3 of row m of left, zero beyond the rank.
fn branch_left4(m: u32, j: u32, rows: u32) -> vec4<f32> {
  let at = branch_row(min(m, rows - 1u)) + j;
  let v = vec4<f32>(branch_left[at], branch_left[at + 1u], branch_left[at + 2u], branch_left[at + 3u]);
  return params.scale * select(vec4<f32>(), v, vec4<u32>(j, j + 1u, j + 2u, j + 3u) < vec4<u32>(params.rank));
}

fn branch_left_rows(m: u32, j: u32, rows: u32) -> Block {
  return transposed(branch_left4(m, j, rows), branch_left4(m + 1u, j, rows), branch_left4(m + 2u, j, rows), branch_left4(m + 3u, j, rows));
}

fn branch_right4(at: u32) -> vec4<f32> {
  return vec4<f32>(branch_right[at], branch_right[at + 1u], branch_right[at + 2u], branch_right[at + 3u]);
}
