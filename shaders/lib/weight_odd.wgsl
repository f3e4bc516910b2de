// A weight of any storage type and row length: read element by element (packed.wgsl). weight4 runs on into the next row.
alias WeightUnit = u32;
fn weight_unit(at: u32) -> f32 { return weight_at(at); }
fn weight_raw(at: u32) -> vec4<u32> { return bitcast<vec4<u32>>(weight4(at)); }
fn widened(raw: vec4<u32>) -> vec4<f32> { return bitcast<vec4<f32>>(raw); }
fn weight4(at: u32) -> vec4<f32> { return vec4<f32>(weight_at(at), weight_at(at + 1u), weight_at(at + 2u), weight_at(at + 3u)); }
