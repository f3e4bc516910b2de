/**
 * The same shape trained by webgpu-llm, which trains every parameter: rows go through one by one, gradients add up, then AdamW.
 * It shows no matrix product by itself.
 */
export const kinds = ['full'];

export async function create({ peer: { LLMEngine, Model }, shape, ids }) {
  const { L, d, H, Hkv, ff, V, B, T } = shape;
  const engine = await new LLMEngine().init();
  const model = new Model(engine, {
    d_model: d, n_heads: H, n_kv_heads: Hkv, n_layers: L, head_dim: d / H, kv_dim: (d / H) * Hkv, d_ff: ff, d_ff_mult: ff / d, activation: 'swiglu', vocab_size: V, seq_len: T, rms_eps: 1e-5,
  });
  model.allocate();
  model.allocActivations();
  model.allocBackward();
  const rows = Array.from({ length: B }, (_, b) => {
    const tokens = Uint32Array.from({ length: T }, (_, i) => ids[b * T + i]);
    // Beyond the vocabulary: no target.
    return { tokens, targets: Uint32Array.from({ length: T }, (_, i) => (i + 1 < T ? tokens[i + 1] : V)) };
  });
  return {
    async step() {
      let sum = 0;
      for (const [i, { tokens, targets }] of rows.entries()) {
        sum += await model.forwardLoss(tokens, targets);
        await model.backward(tokens, i > 0);
      }
      await model.step({ lr: 1e-4, beta1: 0.9, beta2: 0.999, weight_decay: 0, grad_clip: 1 }, B);
      await engine.device.queue.onSubmittedWorkDone();
      return sum / B;
    },
    matmul: null,
    destroy() {
      model.destroy();
      engine.device.destroy();
    },
  };
}
