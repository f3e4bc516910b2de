// Dropout over [M, cols] of any cols: a thread masks one element, with its word of the hash that four neighbours share.
alias Vec = f32;
const WIDTH: u32 = 1u;
fn kept(v: Vec, words: vec4<u32>, i: u32, threshold: u32) -> Vec { return select(0.0, v, words[i % 4u] >= threshold); }
