// A product without a low-rank branch (low_rank.wgsl).
fn branch_length() -> u32 { return 0u; }
fn branch_left_block(m: u32, j: u32) -> Block { return Block(); }
fn branch_right4(at: u32) -> vec4<f32> { return vec4<f32>(); }
