// loss[start + r] = ln sum_v e^logits[r, v] - logits[r, labels[start + r]]
// With params.train = 1: logits[r, v] <- (softmax(logits[r])[v] - [v = label]) * step.loss_scale, in place; with SOFTCAP the
// logits are capped ones (softcap.wgsl) and the gradient is that of what was capped: times 1 - (logits[r, v] / cap)^2.
// Shapes: logits [R, cols], labels and loss [targets]. One thread = one row.
struct Params { rows_kind: u32, rows_start: u32, rows_cap: u32, vecs: u32, train: u32, cap: f32 } // vecs = cols / WIDTH
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> logits: array<Vec>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;

const BLOCK: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = linear_index(group, groups, local, WORKGROUP);
  if (row >= row_count(params.rows_kind, params.rows_start, params.rows_cap)) { return; }
  let base = row * params.vecs;
  let label = labels[params.rows_start + row];

  var tops = logits[base];
  for (var c = 1u; c < params.vecs; c++) { tops = max(tops, logits[base + c]); }
  let top = largest(tops);

  // Blocks are added up apart, so that the rounding error does not grow with the vocabulary.
  let target_logit = element(logits[base + label / WIDTH], label % WIDTH);
  var sum = 0.0;
  for (var i = 0u; i < params.vecs; i += BLOCK) {
    var part = Vec();
    for (var c = i; c < min(i + BLOCK, params.vecs); c++) {
      let e = exp_each(logits[base + c] - top);
      part += e;
      if (params.train == 1u && !SOFTCAP) { logits[base + c] = e; }
    }
    sum += total(part);
  }
  loss[params.rows_start + row] = log_accurate(sum) + (top - target_logit);
  if (params.train == 0u) { return; }

  let scale = step.loss_scale / sum;
  for (var c = 0u; c < params.vecs; c++) {
    let x = logits[base + c];
    if (SOFTCAP) {
      let t = x / params.cap;
      logits[base + c] = (exp_each(x - top) * scale - one_hot(label, c) * step.loss_scale) * (1.0 - t * t);
    } else {
      logits[base + c] = x * scale - one_hot(label, c) * step.loss_scale;
    }
  }
}
