// The left operand of a product, whose rows are multiples of 4 long: read in units of four elements.
alias Unit = vec4<f32>;
const UNIT: u32 = 4u;
fn left_unit(at: u32) -> Unit { return left[at / 4u]; }
fn left4(at: u32, remaining: u32) -> vec4<f32> { return left[at / 4u]; }
fn unit_product(a: Unit, b: Unit) -> f32 { return dot(a, b); }
