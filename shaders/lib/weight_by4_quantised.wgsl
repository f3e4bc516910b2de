// A quantised weight, whose rows are multiples of 4 long: read in units of four elements (quantised.wgsl).
alias WeightUnit = u32;
fn weight_raw(at: u32) -> vec4<u32> { return quantised_raw(at); }
fn widened(raw: vec4<u32>) -> vec4<f32> { return dequantised(raw); }
fn weight4(at: u32) -> vec4<f32> { return quantised4(at); }
fn weight_unit(at: u32) -> vec4<f32> { return quantised4(at); }
