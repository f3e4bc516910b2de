// What attention_split leaves beside its output: the log-sum-exp of a query's scores (split_part.wgsl has the other).
@group(0) @binding(8) var<storage, read_write> lse: array<f32>;
fn leave(local: u32, t: u32, value: f32) {
  if (local == 0u) { lse[t] = value; }
}
