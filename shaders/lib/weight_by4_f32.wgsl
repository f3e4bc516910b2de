// A weight in f32, whose rows are multiples of 4 long: read in units of four elements.
alias WeightUnit = vec4<f32>;
fn weight_unit(at: u32) -> vec4<f32> { return weight[at / 4u]; }
fn weight4(at: u32) -> vec4<f32> { return weight[at / 4u]; }
