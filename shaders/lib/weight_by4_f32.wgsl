// A weight in f32, whose rows are multiples of 4 long: read in units of four elements.
alias WeightUnit = vec4<f32>;
fn weight_unit(at: u32) -> vec4<f32> { return weight[at / 4u]; }
// As it is stored, and what that means: a load that nothing waits for yet.
fn weight_raw(at: u32) -> vec4<u32> { return bitcast<vec4<u32>>(weight[at / 4u]); }
fn widened(raw: vec4<u32>) -> vec4<f32> { return bitcast<vec4<f32>>(raw); }
fn weight4(at: u32) -> vec4<f32> { return weight[at / 4u]; }
