// What attention_split leaves beside its output: what each head gives of out A^T, in a part of its own (low_rank_part.wgsl). There is no binding left for
// the log-sum-exp, which only a backward pass reads.
fn leave(local: u32, t: u32, value: f32) {
  let head = t % params.heads;
  store_part(local, head, t / params.heads, head * params.vecs, params.vecs, params.heads * params.vecs);
}
