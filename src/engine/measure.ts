/** Owns a quick answer to how fast this device computes: one large product, timed. */
import type { Engine } from './device.ts';
import { matmulNT } from './kernels/matmul.ts';
import { buildProgram, StepUniform, Submitter } from './program.ts';
import { createTensor, createWeight, destroyTensor, destroyWeight } from './tensor.ts';

/** Side of the square product: large enough to fill a device of its kind, small enough to stay well under a second. */
const SIDE = { software: 256, gpu: 1024 };
const RUNS = { software: 1, gpu: 8 };

/** GFLOP/s of y = x Wᵀ in f32 with the engine's own kernel, after one run to warm up. */
export async function measureGflops(engine: Engine): Promise<number> {
  const kind = engine.info.software ? 'software' : 'gpu';
  const n = SIDE[kind];
  const step = new StepUniform(engine);
  const x = createTensor(engine, 'measure x', n * n);
  const y = createTensor(engine, 'measure y', n * n);
  const w = createWeight(engine, 'measure w', 'f32', n, n);
  const dims = { tokens: n, targets: 0 };
  const program = await buildProgram(engine, 'measure', step, Array.from({ length: RUNS[kind] }, () => matmulNT(engine, { label: 'measure', rows: { kind: 'tokens' }, x, w, y })).flat());
  try {
    const submitter = new Submitter(engine);
    step.write(dims);
    await submitter.run([program], dims);
    await submitter.idle();
    const started = performance.now();
    await submitter.run([program], dims);
    await engine.device.queue.onSubmittedWorkDone();
    return (2 * n ** 3 * RUNS[kind]) / ((performance.now() - started) * 1e6);
  } finally {
    program.destroy();
    for (const t of [x, y]) destroyTensor(engine, t);
    destroyWeight(engine, w);
    step.destroy();
  }
}
