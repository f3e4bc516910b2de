// Operands of A^T B, both with a multiple of 4 columns: read four at a time. The counterpart of columns_odd.wgsl.
alias Column = vec4<f32>;
fn a4(m: u32, p: u32) -> vec4<f32> { return a[(a_at(m) + min(p, columns_end() - 4u)) / 4u]; }
fn b4(m: u32, q: u32) -> vec4<f32> { return b[(slice_at(m, params.q) + min(q, params.q - 4u)) / 4u]; }
