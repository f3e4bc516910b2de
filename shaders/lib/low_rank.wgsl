// A low-rank branch that begins the sum of a tiled product, in the same accumulators: LoRA's B x A beside a frozen weight.
// Its steps are those of left [M, rank] (branch_row) and right, whose steps are columns ([N, rank]) or rows ([rank, K]).
@group(0) @binding(BRANCH) var<storage, read> branch_left: array<f32>;
@group(0) @binding(BRANCH + 1u) var<storage, read> branch_right: array<f32>;

fn branch_length() -> u32 { return params.rank; }

// Steps j .. j+3 of row m of left, scaled; zero beyond the rank.
fn branch_left4(m: u32, j: u32) -> vec4<f32> {
  let at = branch_row(m) + j;
  let v = vec4<f32>(branch_left[at], branch_left[at + 1u], branch_left[at + 2u], branch_left[at + 3u]);
  return select(vec4<f32>(), params.scale * v, vec4<u32>(j, j + 1u, j + 2u, j + 3u) < vec4<u32>(params.rank));
}

fn branch_left_block(m: u32, j: u32) -> Block {
  return Block(branch_left4(m, j), branch_left4(m + 1u, j), branch_left4(m + 2u, j), branch_left4(m + 3u, j));
}

fn branch_right4(at: u32) -> vec4<f32> { return vec4<f32>(branch_right[at], branch_right[at + 1u], branch_right[at + 2u], branch_right[at + 3u]); }
