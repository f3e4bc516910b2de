// stats[0] += step.loss_scale * sum(loss[0 .. targets]): accumulates over micro-batches.
// One workgroup; each thread sums every 256th loss, then a tree: the order depends on the number of targets alone.
@group(0) @binding(2) var<storage, read> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> stats: array<f32>;

var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var i = local; i < step.targets; i += 256u) { sum += loss[i]; }
  partial[local] = sum;
  for (var half = 128u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) { partial[local] += partial[local + half]; }
  }
  if (local == 0u) { stats[0] += partial[0] * step.loss_scale; }
}
