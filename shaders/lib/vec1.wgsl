// Rows whose length is not a multiple of 4 are walked element by element. The counterpart of vec4.wgsl.
alias Vec = f32;
const WIDTH: u32 = 1u;
fn inner(a: Vec, b: Vec) -> f32 { return a * b; }
fn total(v: Vec) -> f32 { return v; }
fn largest(v: Vec) -> f32 { return v; }
fn exp_each(v: Vec) -> Vec { return exp_accurate(v); }
fn tanh_each(v: Vec) -> Vec { return tanh_accurate(v); }
fn element(v: Vec, i: u32) -> f32 { return v; }
// 1 where element `at` of the row falls into Vec `c`.
fn one_hot(at: u32, c: u32) -> Vec { return select(0.0, 1.0, at == c); }
