// Eight rows of four sums in registers. They are stored by moving up one by one: a loop over registers stays short
// where it is compiled; an array of them would be unrolled.
struct Sums { s0: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, s3: vec4<f32>, s4: vec4<f32>, s5: vec4<f32>, s6: vec4<f32>, s7: vec4<f32> }

fn move_up(s: ptr<function, Sums>) {
  (*s).s0 = (*s).s1;
  (*s).s1 = (*s).s2;
  (*s).s2 = (*s).s3;
  (*s).s3 = (*s).s4;
  (*s).s4 = (*s).s5;
  (*s).s5 = (*s).s6;
  (*s).s6 = (*s).s7;
}
