// exp, log and tanh to 1 to 3 ulp. The built-in exp may be off by 2 |x| + 3 ulp and tanh by 1e-5, and on software adapters they are: too
// coarse for softmax, soft-capping and their gradients. Coefficients: least squares at Chebyshev nodes of the reduced range.
const LOWEST: f32 = -3.0e38; // below every score; finite, since fast-math may assume that infinities never occur

// e^x. Zero below -87.3, the largest power it can hold above 88; NaN stays NaN.
fn exp_accurate(x: f32) -> f32 {
  let n = clamp(round(x * 1.44269504), -126.0, 127.0);
  let r = (x - n * 0.693359375) - n * -2.12194440e-4; // ln 2 in two pieces, the first exact in a product with n
  var q = 0.00139336882;
  q = q * r + 0.00836320501;
  q = q * r + 0.041666463;
  q = q * r + 0.166665763;
  q = q * r + 0.5;
  let y = ((q * r) * r + r) + 1.0;
  let scaled = y * bitcast<f32>(u32(i32(n) + 127) << 23u);
  return select(select(scaled, 1.6516363e38, x > 88.0), 0.0, x < -87.3);
}

// ln x of a normal, positive x.
fn log_accurate(x: f32) -> f32 {
  // x = m 2^n with m in [sqrt(1/2), sqrt(2)).
  let bits = bitcast<u32>(x) - 0x3f3504f3u;
  let n = f32(bitcast<i32>(bits) >> 23u);
  let m = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u);
  let f = m - 1.0;
  let s = f / (m + 1.0);
  let z = s * s;
  var q = 0.295809984;
  q = q * z + 0.399887502;
  q = q * z + 0.666666865;
  // 2 s = f - s f keeps the leading term exact where x is near 1.
  let tail = s * (z * q - f);
  return n * 0.693359375 + (f + (tail + n * -2.12194440e-4));
}

// tanh x: an odd polynomial where |x| < 0.625, above it 1 - 2 / (e^(2 |x|) + 1) with the sign of x.
fn tanh_accurate(x: f32) -> f32 {
  let z = x * x;
  var q = -0.00570404250;
  q = q * z + 0.0206378624;
  q = q * z - 0.0537391566;
  q = q * z + 0.133314312;
  q = q * z - 0.333332807;
  let far = 1.0 - 2.0 / (exp_accurate(2.0 * abs(x)) + 1.0);
  return select(select(far, -far, x < 0.0), (q * z) * x + x, abs(x) < 0.625);
}

// exp_accurate of each.
fn exp4(x: vec4<f32>) -> vec4<f32> {
  let n = clamp(round(x * 1.44269504), vec4<f32>(-126.0), vec4<f32>(127.0));
  let r = (x - n * 0.693359375) - n * -2.12194440e-4;
  var q = vec4<f32>(0.00139336882);
  q = q * r + 0.00836320501;
  q = q * r + 0.041666463;
  q = q * r + 0.166665763;
  q = q * r + 0.5;
  let y = ((q * r) * r + r) + 1.0;
  let scaled = y * bitcast<vec4<f32>>(vec4<u32>(vec4<i32>(n) + 127) << vec4<u32>(23u));
  return select(select(scaled, vec4<f32>(1.6516363e38), x > vec4<f32>(88.0)), vec4<f32>(), x < vec4<f32>(-87.3));
}
// tanh_accurate of each.
fn tanh4(x: vec4<f32>) -> vec4<f32> {
  let z = x * x;
  var q = vec4<f32>(-0.00570404250);
  q = q * z + 0.0206378624;
  q = q * z - 0.0537391566;
  q = q * z + 0.133314312;
  q = q * z - 0.333332807;
  let far = 1.0 - 2.0 / (exp4(2.0 * abs(x)) + 1.0);
  return select(select(far, -far, x < vec4<f32>()), (q * z) * x + x, abs(x) < vec4<f32>(0.625));
}
fn largest4(x: vec4<f32>) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }
fn total4(x: vec4<f32>) -> f32 { return (x.x + x.y) + (x.z + x.w); }
