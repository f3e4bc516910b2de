// AdamW as torch.optim.AdamW with gradients clipped by their norm:
//   g' = g * min(1, max_norm / (norm + 1e-6))      (no clipping where max_norm is 0)
//   w -= lr * decay * w;   m += (1 - beta1) (g' - m);   v = beta2 v + (1 - beta2) g'^2
//   w -= lr / bias1 * m / (sqrt(v) / sqrt(bias2) + eps)
// norm is stats[1]. Once a norm was not finite (stats[2] > 0) nothing moves any more, so that the steps which are already
// under way when the CPU hears of it do not change the last good weights.
// One thread = one parameter. Updates params, m and v in place; leaves grads zero in any case.
struct Params {
  elements: u32,
  beta2: f32,
  rest1: f32,   // 1 - beta1 and 1 - beta2, rounded once
  rest2: f32,
  eps: f32,
  decay: f32,
  max_norm: f32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> grads: array<f32>;
@group(0) @binding(4) var<storage, read_write> moment1: array<f32>;
@group(0) @binding(5) var<storage, read_write> moment2: array<f32>;
@group(0) @binding(6) var<storage, read> stats: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 64u);
  if (i >= params.elements) { return; }
  let norm = stats[1];
  let g = grads[i];
  grads[i] = 0.0;
  if (stats[2] > 0.0) { return; }
  var clip = 1.0;
  if (params.max_norm > 0.0) { clip = min(1.0, params.max_norm / (norm + 1e-6)); }
  let clipped = g * clip;
  let m = moment1[i] + params.rest1 * (clipped - moment1[i]);
  let v = params.beta2 * moment2[i] + params.rest2 * clipped * clipped;
  moment1[i] = m;
  moment2[i] = v;
  let w = weights[i] * (1.0 - step.learning_rate * params.decay);
  weights[i] = w - step.learning_rate / step.bias1 * m / (sqrt(v) / sqrt(step.bias2) + params.eps);
}
