// Dropout over [M, cols] where cols is a multiple of 4: a thread masks a vec4 with the four words of its hash.
alias Vec = vec4<f32>;
const WIDTH: u32 = 4u;
fn kept(v: Vec, words: vec4<u32>, i: u32, threshold: u32) -> Vec { return select(vec4<f32>(), v, words >= vec4<u32>(threshold)); }
