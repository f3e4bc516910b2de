// cross_entropy.wgsl for GPUs: loss[start + r] = ln sum_v e^logits[r, v] - logits[r, labels[start + r]]
// With params.train = 1: logits[r, v] <- (softmax(logits[r])[v] - [v = label]) * step.loss_scale, in place; with SOFTCAP the
// logits are capped ones (softcap.wgsl) and the gradient is that of what was capped: times 1 - (logits[r, v] / cap)^2.
// Shapes: logits [R, cols], labels and loss [targets]. One workgroup = one row; each thread keeps to its own columns.
struct Params { rows_kind: u32, rows_start: u32, rows_cap: u32, vecs: u32, train: u32, cap: f32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> logits: array<Vec>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= row_count(params.rows_kind, params.rows_start, params.rows_cap)) { return; }
  let base = row * params.vecs;
  let label = labels[params.rows_start + row];

  var tops = Vec() + LOWEST;
  for (var c = local; c < params.vecs; c += WORKGROUP) { tops = max(tops, logits[base + c]); }
  let top = workgroup_max(local, largest(tops));

  // Only the thread that owns the label's column reads it: the others' columns are changing meanwhile.
  var mine = 0.0;
  if ((label / WIDTH) % WORKGROUP == local) { mine = element(logits[base + label / WIDTH], label % WIDTH); }
  let target_logit = workgroup_sum(local, mine);

  var part = Vec();
  for (var c = local; c < params.vecs; c += WORKGROUP) {
    let e = exp_each(logits[base + c] - top);
    part += e;
    if (params.train == 1u && !SOFTCAP) { logits[base + c] = e; }
  }
  let sum = workgroup_sum(local, total(part));
  if (local == 0u) { loss[params.rows_start + row] = log_accurate(sum) + (top - target_logit); }
  if (params.train == 0u) { return; }

  let scale = step.loss_scale / sum;
  for (var c = local; c < params.vecs; c += WORKGROUP) {
    let x = logits[base + c];
    if (SOFTCAP) {
      let t = x / params.cap;
      logits[base + c] = (exp_each(x - top) * scale - one_hot(label, c) * step.loss_scale) * (1.0 - t * t);
    } else {
      logits[base + c] = x * scale - one_hot(label, c) * step.loss_scale;
    }
  }
}
