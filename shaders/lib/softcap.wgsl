// Soft-capping of attention scores, s -> cap tanh(s / cap), compiled in where SOFTCAP is true.
fn capped(s: vec4<f32>, cap: f32) -> vec4<f32> {
  if (SOFTCAP) { return cap * tanh4(s / cap); }
  return s;
}
// The slope of capped() where it gave c.
fn cap_slope(c: vec4<f32>, cap: f32) -> vec4<f32> {
  if (SOFTCAP) { return 1.0 - (c / cap) * (c / cap); }
  return vec4<f32>(1.0);
}
