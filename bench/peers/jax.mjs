/**
 * The same training step written in jax-js, in one jit with its gradients and Adam. Equal shape and arithmetic: RMSNorm, rotary halves,
 * causal attention with grouped heads, SwiGLU, tied head. `kind` 'lora' trains rank 16 on all seven projections over frozen f32 weights,
 * 'full' everything. Arrays are moved, not shared: `.ref` is what keeps one that is used again.
 */
export const kinds = ['lora', 'full'];
const RANK = 16;
const EPS = 1e-5;
const [LR, B1, B2, ADAM_EPS] = [1e-4, 0.9, 0.999, 1e-8];

export async function create({ peer: jax, shape, ids, kind }) {
  const { numpy: np, nn, random, tree, jit, valueAndGrad } = jax;
  const { L, d, H, Hkv, ff, V, B, T } = shape;
  const devices = await jax.init('webgpu');
  if (!devices.includes('webgpu')) throw new Error('its webgpu device does not start');
  jax.defaultDevice('webgpu');
  const D = d / H;
  let seed = 0;
  const normal = (rows, cols, std) => random.normal(random.key(seed++), [rows, cols]).mul(std);
  const SIZES = { q: [d, d], k: [d, Hkv * D], v: [d, Hkv * D], o: [d, d], gate: [d, ff], up: [d, ff], down: [ff, d] };
  const each = (make) => Object.fromEntries(Object.entries(SIZES).map(([name, [n, m]]) => [name, make(n, m)]));
  const base = {
    embedding: normal(V, d, 0.02), norm: np.ones([d]),
    layers: Array.from({ length: L }, () => ({ ...each((n, m) => normal(n, m, 0.02)), norm1: np.ones([d]), norm2: np.ones([d]) })),
  };
  const adapter = Array.from({ length: L }, () => each((n, m) => ({ a: normal(n, RANK, n ** -0.5), b: np.zeros([RANK, m]) })));
  const full = kind === 'full';
  if (full) tree.dispose(adapter);
  const angles = Float32Array.from({ length: T * D }, (_, i) => Math.floor(i / D) * 10_000 ** (-2 * (i % (D / 2)) / D));
  const constants = {
    cos: np.array(angles.map(Math.cos), { shape: [1, 1, T, D] }), sin: np.array(angles.map(Math.sin), { shape: [1, 1, T, D] }),
    mask: np.array(Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? -1e9 : 0)), { shape: [1, 1, T, T] }),
    tokens: np.array(Int32Array.from(ids), { dtype: np.int32 }),
    targets: np.array(Int32Array.from({ length: B * (T - 1) }, (_, i) => ids[Math.floor(i / (T - 1)) * T + (i % (T - 1)) + 1]), { dtype: np.int32 }),
  };

  const norm = (x, g) => x.ref.mul(np.reciprocal(np.sqrt(np.square(x).mean(-1, { keepdims: true }).add(EPS)))).mul(g);
  const heads = (x, n) => x.reshape([B, T, n, D]).transpose([0, 2, 1, 3]);
  const rotate = (x, { cos, sin }) => {
    const x1 = x.ref.slice([], [], [], [0, D / 2]);
    const x2 = x.ref.slice([], [], [], [D / 2, D]);
    return x.mul(cos.ref).add(np.concatenate([x2.neg(), x1], 3).mul(sin.ref));
  };
  const grouped = (x) => (H === Hkv ? x : np.repeat(x, H / Hkv, 1));
  const loss = (trained, frozen, c) => {
    const w = full ? trained : frozen;
    const linear = (x, l, name) => {
      const y = np.matmul(x.ref, w.layers[l][name].ref);
      if (full) {
        x.dispose();
        return y;
      }
      const { a, b } = trained[l][name];
      return y.add(np.matmul(np.matmul(x, a.ref), b.ref).mul(2));
    };
    let x = np.take(w.embedding.ref, c.tokens.ref, 0);
    for (let l = 0; l < L; l++) {
      const h = norm(x.ref, w.layers[l].norm1.ref);
      const q = rotate(heads(linear(h.ref, l, 'q'), H), c);
      const k = grouped(rotate(heads(linear(h.ref, l, 'k'), Hkv), c));
      const v = grouped(heads(linear(h, l, 'v'), Hkv));
      const p = nn.softmax(np.matmul(q, k.transpose([0, 1, 3, 2])).mul(D ** -0.5).add(c.mask.ref), -1);
      x = x.add(linear(np.matmul(p, v).transpose([0, 2, 1, 3]).reshape([B * T, d]), l, 'o'));
      const g = norm(x.ref, w.layers[l].norm2.ref);
      x = x.add(linear(nn.silu(linear(g.ref, l, 'gate')).mul(linear(g, l, 'up')), l, 'down'));
    }
    const rows = norm(x, w.norm.ref).reshape([B, T, d]).slice([], [0, T - 1], []).reshape([B * (T - 1), d]);
    const logits = np.matmul(rows, w.embedding.ref.transpose());
    const picked = nn.logSoftmax(logits, -1).mul(nn.oneHot(c.targets.ref, V)).sum();
    tree.dispose([trained, frozen, c]);
    return picked.mul(-1 / (B * (T - 1)));
  };
  const step = jit((trained, m, v, bias, frozen, c) => {
    const [value, grads] = valueAndGrad(loss)(tree.ref(trained), frozen, c);
    const m2 = tree.map((x, g) => x.mul(B1).add(g.ref.mul(1 - B1)), m, tree.ref(grads));
    const v2 = tree.map((x, g) => x.mul(B2).add(np.square(g).mul(1 - B2)), v, grads);
    const [b1, b2] = [bias.ref.slice(0), bias.slice(1)];
    const next = tree.map((p, x, y) => p.sub(x.mul(LR).div(b1.ref).div(np.sqrt(y.div(b2.ref)).add(ADAM_EPS))), trained, tree.ref(m2), tree.ref(v2));
    tree.dispose([b1, b2]);
    return [value, next, m2, v2];
  });
  const frozen = full ? { none: np.zeros([1]) } : base;
  let trained = full ? base : adapter;
  let m = tree.map((x) => np.zeros(x.shape), tree.ref(trained));
  let v = tree.map((x) => np.zeros(x.shape), tree.ref(trained));
  let t = 0;
  return {
    async step() {
      t++;
      let value;
      [value, trained, m, v] = step(trained, m, v, np.array([1 - B1 ** t, 1 - B2 ** t]), tree.ref(frozen), tree.ref(constants));
      const [first] = await value.data();
      await jax.blockUntilReady(trained);
      return first;
    },
    async matmul(n, iters) {
      const [x, w] = [random.uniform(random.key(1), [n, n]), random.uniform(random.key(2), [n, n])];
      const product = jit((a, b) => np.matmul(a, b));
      const run = async () => {
        const start = performance.now();
        // All are kept until they are done: a result that is let go of before is never computed.
        const all = Array.from({ length: iters }, () => product(x.ref, w.ref));
        await jax.blockUntilReady(all);
        const ms = (performance.now() - start) / iters;
        const [one] = await all.pop().slice([0, 1], [0, 1]).data();
        tree.dispose(all);
        // The sum of n products of numbers from 0 to 1: a time in which nothing was computed is none.
        if (Math.abs(one / n - 0.25) > 0.1) throw new Error(`its product of ${n} is wrong: ${one}`);
        return ms;
      };
      await run();
      const ms = await run();
      tree.dispose([x, w]);
      return ms;
    },
    destroy() {
      tree.dispose([trained, m, v, frozen, constants]);
      step.dispose();
    },
  };
}
