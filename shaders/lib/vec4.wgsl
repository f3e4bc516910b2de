// Rows whose length is a multiple of 4 are walked four elements at a time. The counterpart of vec1.wgsl.
alias Vec = vec4<f32>;
const WIDTH: u32 = 4u;
fn inner(a: Vec, b: Vec) -> f32 { return dot(a, b); }
fn total(v: Vec) -> f32 { return total4(v); }
fn largest(v: Vec) -> f32 { return largest4(v); }
fn exp_each(v: Vec) -> Vec { return exp4(v); }
fn tanh_each(v: Vec) -> Vec { return tanh4(v); }
fn element(v: Vec, i: u32) -> f32 { return v[i]; }
// 1 where element `at` of the row falls into Vec `c`.
fn one_hot(at: u32, c: u32) -> Vec { return select(vec4<f32>(0.0), vec4<f32>(1.0), vec4<u32>(at) == 4u * c + vec4<u32>(0u, 1u, 2u, 3u)); }
