// SiLU: u(g) = g, and g u'(g).
fn gate_u(g: Vec) -> Vec { return g; }
fn gate_slope(g: Vec) -> Vec { return g; }
