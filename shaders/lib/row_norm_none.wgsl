// A row product of x as it is (row_norm.wgsl).
fn gained(x: Unit, k: u32) -> Unit { return x; }
fn norm_scale(squares: vec4<f32>) -> vec4<f32> { return vec4<f32>(1.0); }
