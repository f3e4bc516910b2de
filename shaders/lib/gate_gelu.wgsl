// GELU in its tanh form: u(g) = 2 sqrt(2/pi) (g + 0.044715 g^3), and g u'(g). Beyond +-32 the gate is open or shut to the last bit,
// and the bound keeps g^3 finite.
fn bounded(g: Vec) -> Vec { return min(max(g, Vec() - 32.0), Vec() + 32.0); }
fn gate_u(g: Vec) -> Vec {
  let b = bounded(g);
  return 1.59576912 * (b + 0.044715 * (b * b * b));
}
fn gate_slope(g: Vec) -> Vec {
  let b = bounded(g);
  return 1.59576912 * (b + 0.134145 * (b * b * b));
}
