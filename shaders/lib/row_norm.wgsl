// The row product of a normed row: x is scaled by its RMS and by the norm's gain while it is read (rms_norm.wgsl has the equation).
@group(0) @binding(7) var<storage, read> gain: array<Unit>;
fn gained(x: Unit, k: u32) -> Unit { return x * gain[k / UNIT]; }
fn norm_scale(squares: vec4<f32>) -> vec4<f32> { return 1.0 / sqrt(squares / f32(params.k) + params.eps); }
