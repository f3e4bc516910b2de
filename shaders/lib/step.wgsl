// What changes from batch to batch, written once before a step's dispatches.
struct Step {
  tokens: u32,        // M: real tokens of the batch, all rows end to end
  targets: u32,       // positions that carry a label
  loss_scale: f32,    // 1 / labels of the whole accumulation window
  dropout_seed: u32,  // changes with every micro-batch
  kv_past: u32,       // tokens already in the key/value cache (generation)
  learning_rate: f32,
  bias1: f32,         // 1 - beta1^t
  bias2: f32,         // 1 - beta2^t
}
@group(0) @binding(0) var<uniform> step: Step;

// Rows of this dispatch. kind 0: tokens x cap, 1: a chunk of the targets, 2: cap.
fn row_count(kind: u32, start: u32, cap: u32) -> u32 {
  if (kind == 0u) { return step.tokens * cap; }
  if (kind == 1u) { return min(cap, max(step.targets, start) - start); }
  return cap;
}
