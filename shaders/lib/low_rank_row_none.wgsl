// A row product without a low-rank branch (low_rank_row.wgsl).
fn keep_branch(local: u32, n: u32, rows: u32) {}
fn branch_total(at: u32) -> vec4<f32> { return vec4<f32>(); }
