/** Owns what the device can do at best: the engine's own matrix products at their largest, and a copy between buffers. */
import { autotune } from '../../engine/autotune.ts';
import type { Engine } from '../../engine/device.ts';
import { TOKENS } from '../../engine/kernel.ts';
import { matmulNT } from '../../engine/kernels/matmul.ts';
import { buildProgram, StepUniform } from '../../engine/program.ts';
import { createTensor, createWeight, destroyTensor, destroyWeight, type StorageType } from '../../engine/tensor.ts';
import { availableVariants, type MatmulVariant } from '../../engine/variants.ts';

export interface MatmulFigure {
  n: number;
  variant: MatmulVariant;
  dtype: StorageType;
  gflops: number;
}

const SIDES = { software: [256], gpu: [2048, 4096] };
/** So long is a submit at least, so that its latency does not count. */
const SUBMIT_MS = 20;
const MOST_ITERS = 256;
/** One product that takes longer is not timed again. */
const SLOW_MS = 500;
/** Runs timed; the best counts, since a ceiling is asked for. */
const RUNS = 3;

/** y = x Wᵀ with squares of each side, in every variant that this device has; a processor is spared those with barriers, which lose there and compile for seconds. */
export async function measureMatmuls(engine: Engine, sides: readonly number[] = engine.info.software ? SIDES.software : SIDES.gpu): Promise<MatmulFigure[]> {
  const figures: MatmulFigure[] = [];
  const before = { ...engine.variants };
  // A model may hold a product of just this shape, whose choice would win over the one tried here.
  for (const key of Object.keys(before)) delete engine.variants[key];
  try {
    for (const n of sides) {
      for (const dtype of ['f32', 'bf16'] as const) {
        for (const variant of availableVariants(engine, 'matmulNT.wide').filter((v) => !(engine.info.software && /^(tiled|matrix)/.test(v)))) {
          engine.variants['matmulNT.wide'] = variant;
          figures.push({ n, variant, dtype, gflops: await measureOne(engine, n, dtype) });
        }
      }
    }
  } finally {
    delete engine.variants['matmulNT.wide'];
    Object.assign(engine.variants, before);
  }
  return figures;
}

async function measureOne(engine: Engine, n: number, dtype: StorageType): Promise<number> {
  const gflops = (ms: number): number => (2 * n ** 3) / ms / 1e6;
  const once = await timeMatmul(engine, n, dtype, 1);
  // Drivers end what takes two seconds; more of what is slow would tell nothing.
  if (once > SLOW_MS) return gflops(once);
  const iters = Math.min(MOST_ITERS, Math.max(1, Math.ceil(SUBMIT_MS / once)));
  return gflops(await timeMatmul(engine, n, dtype, iters, { runs: RUNS }));
}

/**
 * Milliseconds of one product of squares of n: the mean of `iters` in one submit, the best of `runs` after one to warm up; with the variant
 * in force, or with `tune` the fastest.
 */
export async function timeMatmul(engine: Engine, n: number, dtype: StorageType, iters: number, { runs = 1, tune = false } = {}): Promise<number> {
  const x = createTensor(engine, 'bench x', n * n);
  const y = createTensor(engine, 'bench y', n * n);
  const w = createWeight(engine, 'bench w', dtype, n, n);
  const step = new StepUniform(engine);
  const dims = { tokens: n, targets: 0 };
  const product = () => matmulNT(engine, { label: 'bench', rows: TOKENS, x, w, y });
  if (tune) await autotune(engine, product(), dims);
  const program = await buildProgram(engine, 'bench', step, product());
  step.write(dims);
  const submit = async (): Promise<number> => {
    const start = performance.now();
    const encoder = engine.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < iters; i++) {
      for (const d of program.dispatches) {
        pass.setPipeline(d.pipeline);
        pass.setBindGroup(0, d.bindGroup);
        pass.dispatchWorkgroups(...d.grid(dims));
      }
    }
    pass.end();
    engine.device.queue.submit([encoder.finish()]);
    await engine.device.queue.onSubmittedWorkDone();
    return (performance.now() - start) / iters;
  };
  try {
    await submit();
    let ms = Infinity;
    for (let i = 0; i < runs; i++) ms = Math.min(ms, await submit());
    return ms;
  } finally {
    program.destroy();
    for (const t of [x, y]) destroyTensor(engine, t);
    destroyWeight(engine, w);
    step.destroy();
  }
}

const COPY_BYTES = { software: 32 << 20, gpu: 256 << 20 };

/** GB/s read by a copy from buffer to buffer; as many are written. */
export async function measureCopy(engine: Engine): Promise<number> {
  const bytes = engine.info.software ? COPY_BYTES.software : COPY_BYTES.gpu;
  const usage = 0x04 | 0x08; // COPY_SRC | COPY_DST
  const [from, to] = ['from', 'to'].map((label) => engine.createBuffer(`bench copy ${label}`, bytes, usage)) as [GPUBuffer, GPUBuffer];
  const times = engine.info.software ? 1 : 8;
  try {
    let ms = Infinity;
    for (let i = 0; i <= RUNS; i++) {
      const start = performance.now();
      const encoder = engine.device.createCommandEncoder();
      for (let j = 0; j < times; j++) encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
      engine.device.queue.submit([encoder.finish()]);
      await engine.device.queue.onSubmittedWorkDone();
      if (i > 0) ms = Math.min(ms, performance.now() - start);
    }
    return (bytes * times) / ms / 1e6;
  } finally {
    for (const b of [from, to]) engine.destroyBuffer(b);
  }
}
