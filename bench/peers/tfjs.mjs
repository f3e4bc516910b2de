/**
 * The same training step written in TensorFlow.js on its WebGPU backend, as a person would write it there. Equal shape and arithmetic:
 * RMSNorm, rotary halves, causal attention with grouped heads, SwiGLU, tied head, Adam. `kind` 'lora' trains rank 16 on all seven
 * projections over frozen f32 weights, 'full' everything.
 */
export const kinds = ['lora', 'full'];
const RANK = 16;
const EPS = 1e-5;

export async function create({ peer: tf, shape, ids, kind }) {
  const { L, d, H, Hkv, ff, V, B, T } = shape;
  if (tf.getBackend() !== 'webgpu') {
    if (!(await tf.setBackend('webgpu'))) throw new Error('its webgpu backend does not start');
    await tf.ready();
  }
  const D = d / H;
  const made = [];
  const random = (rows, cols, std) => {
    const tensor = tf.randomNormal([rows, cols], 0, std);
    made.push(tensor);
    return tensor;
  };
  const trained = [];
  const variable = (tensor) => {
    const v = tf.variable(tensor);
    trained.push(v);
    return v;
  };
  const frozenOr = (tensor) => (kind === 'full' ? variable(tensor) : tensor);
  const linear = (n, m) => {
    const w = frozenOr(random(n, m, 0.02));
    if (kind === 'full') return (x) => tf.matMul(x, w);
    const a = variable(random(n, RANK, n ** -0.5));
    const b = variable(tf.zeros([RANK, m]));
    return (x) => tf.add(tf.matMul(x, w), tf.mul(tf.matMul(tf.matMul(x, a), b), 2));
  };
  const gain = () => {
    const ones = tf.ones([d]);
    made.push(ones);
    return frozenOr(ones);
  };
  const norm = (g) => (x) => tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), EPS))), g);
  const layers = Array.from({ length: L }, () => ({
    norm1: norm(gain()), norm2: norm(gain()),
    q: linear(d, d), k: linear(d, Hkv * D), v: linear(d, Hkv * D), o: linear(d, d), gate: linear(d, ff), up: linear(d, ff), down: linear(ff, d),
  }));
  const finalNorm = norm(gain());
  const embedding = frozenOr(random(V, d, 0.02));
  const angles = Float32Array.from({ length: T * D }, (_, i) => Math.floor(i / D) * 10_000 ** (-2 * (i % (D / 2)) / D));
  const cos = tf.tensor(angles.map(Math.cos), [1, 1, T, D]);
  const sin = tf.tensor(angles.map(Math.sin), [1, 1, T, D]);
  const mask = tf.tensor(Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? -1e9 : 0)), [1, 1, T, T]);
  const tokens = tf.tensor1d(Int32Array.from(ids), 'int32');
  const targets = tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d(Int32Array.from({ length: B * (T - 1) }, (_, i) => ids[Math.floor(i / (T - 1)) * T + (i % (T - 1)) + 1]), 'int32'), V), 'float32'));
  made.push(cos, sin, mask, tokens, targets);

  const heads = (x, n) => tf.transpose(tf.reshape(x, [B, T, n, D]), [0, 2, 1, 3]);
  const rotate = (x) => {
    const [x1, x2] = tf.split(x, 2, 3);
    return tf.add(tf.mul(x, cos), tf.mul(tf.concat([tf.neg(x2), x1], 3), sin));
  };
  const grouped = (x) => (H === Hkv ? x : tf.reshape(tf.tile(tf.reshape(x, [B * Hkv, 1, T, D]), [1, H / Hkv, 1, 1]), [B, H, T, D]));
  const layer = (x, w) => {
    const h = w.norm1(x);
    const q = rotate(heads(w.q(h), H));
    const k = grouped(rotate(heads(w.k(h), Hkv)));
    const v = grouped(heads(w.v(h), Hkv));
    const p = tf.softmax(tf.add(tf.mul(tf.matMul(q, k, false, true), D ** -0.5), mask));
    const after = tf.add(x, w.o(tf.reshape(tf.transpose(tf.matMul(p, v), [0, 2, 1, 3]), [B * T, d])));
    const g = w.norm2(after);
    const gate = w.gate(g);
    return tf.add(after, w.down(tf.mul(tf.mul(gate, tf.sigmoid(gate)), w.up(g))));
  };
  const loss = () => {
    let x = tf.gather(embedding, tokens);
    for (const w of layers) x = layer(x, w);
    const rows = tf.reshape(tf.slice(tf.reshape(finalNorm(x), [B, T, d]), [0, 0, 0], [B, T - 1, d]), [B * (T - 1), d]);
    return tf.losses.softmaxCrossEntropy(targets, tf.matMul(rows, embedding, false, true));
  };
  const optimizer = tf.train.adam(1e-4);
  const sync = async () => {
    if (tf.backend().commandEncoder) tf.backend().submitQueue();
    await tf.backend().queue.onSubmittedWorkDone();
  };
  return {
    async step() {
      const value = optimizer.minimize(loss, true, trained);
      const [first] = await value.data();
      value.dispose();
      await sync();
      return first;
    },
    async matmul(n, iters) {
      const [x, w] = [tf.randomUniform([n, n]), tf.randomUniform([n, n])];
      const run = async () => {
        const start = performance.now();
        let y;
        for (let i = 0; i < iters; i++) {
          y?.dispose();
          y = tf.matMul(x, w);
        }
        const corner = tf.slice(y, [0, 0], [1, 1]);
        const [one] = await corner.data();
        const ms = (performance.now() - start) / iters;
        tf.dispose([y, corner]);
        // The sum of n products of numbers from 0 to 1: a time in which nothing was computed is none.
        if (Math.abs(one / n - 0.25) > 0.1) throw new Error(`its product of ${n} is wrong: ${one}`);
        return ms;
      };
      await run();
      const ms = await run();
      tf.dispose([x, w]);
      return ms;
    },
    destroy() {
      optimizer.dispose();
      tf.dispose([...made, ...trained]);
    },
  };
}
