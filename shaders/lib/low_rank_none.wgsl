// A product without a low-rank branch (low_rank.wgsl).
fn branch_start(length: u32) -> u32 { return length; }
fn whole_length(length: u32) -> u32 { return length; }
fn branch_left_rows(m: u32, j: u32, rows: u32) -> Block { return Block(); }
fn branch_right4(at: u32) -> vec4<f32> { return vec4<f32>(); }
