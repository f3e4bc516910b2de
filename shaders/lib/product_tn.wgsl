// What the variants of out = A^T B share: bindings and the way sums become elements of out.
struct Params {
  rows_kind: u32, rows_start: u32, rows_cap: u32,
  p: u32, q: u32,                // columns of a and of b
  alpha: f32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

fn store(p: u32, q: u32, sum: f32) {
  let at = p * params.q + q;
  if (ACCUMULATE) { out[at] += params.alpha * sum; } else { out[at] = params.alpha * sum; }
}

// Four elements of out from (p, q) on along q, as many as there are.
fn store4(p: u32, q: u32, sums: vec4<f32>) {
  if (q < params.q) { store(p, q, sums.x); }
  if (q + 1u < params.q) { store(p, q + 1u, sums.y); }
  if (q + 2u < params.q) { store(p, q + 2u, sums.z); }
  if (q + 3u < params.q) { store(p, q + 3u, sums.w); }
}

// Columns p .. p+3 of row m of a; beyond the last column it repeats and is never stored.
fn a4(m: u32, p: u32) -> vec4<f32> {
  let at = m * params.p;
  let last = params.p - 1u;
  return vec4<f32>(a[at + min(p, last)], a[at + min(p + 1u, last)], a[at + min(p + 2u, last)], a[at + min(p + 3u, last)]);
}

fn b4(m: u32, q: u32) -> vec4<f32> {
  let at = m * params.q;
  let last = params.q - 1u;
  return vec4<f32>(b[at + min(q, last)], b[at + min(q + 1u, last)], b[at + min(q + 2u, last)], b[at + min(q + 3u, last)]);
}
