/**
 * Measures on this device which kernel variant serves each shape class best, in a fraction of a second. Owns the sample shapes and the timing;
 * what there is to choose from is in variants.ts. The caller puts the choices into engine.variants and remembers them under engine.info.key:
 * a choice that changed between two runs would change their last bits.
 */
import type { Engine } from './device.ts';
import { TOKENS, type Op } from './kernel.ts';
import { matmulNN, matmulNT, matmulTN } from './kernels/matmul.ts';
import { buildProgram, StepUniform, type Program } from './program.ts';
import { createTensor, createWeight, destroyTensor, destroyWeight, readTensor, writeTensor, writeWeightBytes, type Tensor } from './tensor.ts';
import { availableVariants, defaultVariant, SHAPE_CLASSES, type MatmulVariant, type ShapeClass } from './variants.ts';

/** Rows, and the two lengths of the weight [N, K] (of P and Q for TN). */
interface Sample {
  M: number;
  N: number;
  K: number;
}

const GPU_SAMPLES: Record<ShapeClass, Sample> = {
  'matmulNT.wide': { M: 512, N: 1024, K: 1024 },
  'matmulNN.wide': { M: 512, N: 1024, K: 1024 },
  'matmulNT.skinny': { M: 1024, N: 16, K: 1024 },
  'matmulNN.skinny': { M: 1024, N: 1024, K: 16 },
  'matmulTN.skinny': { M: 1024, N: 16, K: 1024 },
  'matmulNT.row': { M: 1, N: 2048, K: 1024 },
};

const SOFTWARE_SAMPLES: Record<ShapeClass, Sample> = {
  'matmulNT.wide': { M: 64, N: 128, K: 128 },
  'matmulNN.wide': { M: 64, N: 128, K: 128 },
  'matmulNT.skinny': { M: 128, N: 8, K: 128 },
  'matmulNN.skinny': { M: 128, N: 128, K: 8 },
  'matmulTN.skinny': { M: 128, N: 8, K: 128 },
  'matmulNT.row': { M: 1, N: 256, K: 128 },
};

/** Elements of each candidate's output that are compared with the others'. */
const CHECKED = 1024;
/** A timed batch lasts at least this long, so that the clock's and the queue's jitter do not decide. */
const BATCH_MS = 2;
/** Times each candidate is timed; the best counts. */
const ROUNDS = 5;
/** By how much the default must be beaten to lose. */
const CLEARLY = 1.15;

/** A sample's tensors and its op for any engine view (whose `variants` decide). */
interface Bench {
  M: number;
  out: Tensor;
  flops: number;
  op: (e: Engine) => Op[];
  destroy: () => void;
}

function makeBench(e: Engine, shape: ShapeClass, { M, N, K }: Sample): Bench {
  const label = `tune ${shape}`;
  const outOf = { NT: M * N, NN: M * K, TN: N * K };
  const kind = shape.slice('matmul'.length, 'matmul'.length + 2) as 'NT' | 'NN' | 'TN';
  const random = (tensor: Tensor): Tensor => {
    writeTensor(e, tensor, noise(tensor.byteLength / 4));
    return tensor;
  };
  const left = random(createTensor(e, `${label} left`, kind === 'NT' ? M * K : M * N));
  const out = createTensor(e, `${label} out`, outOf[kind]);
  const base = { M, out, flops: 2 * M * N * K };
  if (kind === 'TN') {
    const right = random(createTensor(e, `${label} right`, M * K));
    return {
      ...base,
      op: (view) => matmulTN(view, { label, rows: TOKENS, p: left, pCols: N, q: right, qCols: K, out, accumulate: false }),
      destroy: () => [left, right, out].forEach((t) => destroyTensor(e, t)),
    };
  }
  const w = createWeight(e, `${label} w`, 'f32', N, K);
  writeWeightBytes(e, w, 0, new Uint8Array(noise(N * K).buffer));
  return {
    ...base,
    op: (view) => (kind === 'NT' ? matmulNT(view, { label, rows: TOKENS, x: left, w, y: out }) : matmulNN(view, { label, rows: TOKENS, dy: left, w, dx: out })),
    destroy: () => {
      destroyTensor(e, left);
      destroyTensor(e, out);
      destroyWeight(e, w);
    },
  };
}

/** Fixed values in [-1, 1) that repeat nowhere near. */
function noise(n: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(n);
  let state = 1;
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

/** Runs a program n times in one submit and waits. Returns ms. */
async function time(e: Engine, program: Program, M: number, n: number): Promise<number> {
  const encoder = e.device.createCommandEncoder({ label: program.label });
  const pass = encoder.beginComputePass({ label: program.label });
  for (let i = 0; i < n; i++) {
    for (const d of program.dispatches) {
      pass.setPipeline(d.pipeline);
      pass.setBindGroup(0, d.bindGroup);
      pass.dispatchWorkgroups(...d.grid({ tokens: M, targets: 0 }));
    }
  }
  pass.end();
  const start = performance.now();
  e.device.queue.submit([encoder.finish()]);
  await e.device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}

/** Runs that together last long enough to be timed. */
async function batchSize(e: Engine, program: Program, M: number): Promise<number> {
  for (let n = 1; ; n *= 2) if ((await time(e, program, M, n)) >= BATCH_MS || n >= 256) return n;
}

/** Within rounding of sums in another order. */
function agree(a: Float32Array, b: Float32Array): boolean {
  const largest = a.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return a.every((v, i) => Math.abs(v - b[i]!) <= 1e-4 * largest);
}

export interface TuneOptions {
  /** Time after which classes not yet measured keep their default, ms. By default 300, not counting compilation; on software adapters 1500 with it. */
  budgetMs?: number;
}

/** On software adapters barriers always lose and take seconds to compile. */
const candidatesFor = (e: Engine, shape: ShapeClass): MatmulVariant[] =>
  availableVariants(e, shape).filter((v) => !e.info.software || v === 'direct' || v === 'subgroup');

const withVariant = (e: Engine, shape: ShapeClass, variant: MatmulVariant): Engine => ({ ...e, variants: { ...e.variants, [shape]: variant } });

/**
 * The fastest variant of each shape class on this device, the default where none beats it clearly. A variant that does not compile here, or whose numbers are not those of `direct`, is never chosen.
 */
export async function autotune(e: Engine, options: TuneOptions = {}): Promise<Record<ShapeClass, MatmulVariant>> {
  const { software } = e.info;
  const samples = Object.entries(software ? SOFTWARE_SAMPLES : GPU_SAMPLES) as [ShapeClass, Sample][];
  const choices = Object.fromEntries(SHAPE_CLASSES.map((shape) => [shape, defaultVariant(e, shape)])) as Record<ShapeClass, MatmulVariant>;
  const step = new StepUniform(e);
  const benches = samples.map(([shape, sample]) => ({ shape, bench: makeBench(e, shape, sample) }));
  try {
    // A GPU's driver compiles beside us; a software adapter would compile what the budget then has no time to measure.
    if (!software) {
      await Promise.allSettled(benches.flatMap(({ shape, bench }) =>
        candidatesFor(e, shape).flatMap((variant) => bench.op(withVariant(e, shape, variant)).map((op) => op.pipeline))));
    }
    const deadline = performance.now() + (options.budgetMs ?? (software ? 1500 : 300));
    for (const { shape, bench } of benches) {
      if (performance.now() >= deadline) break;
      step.write({ tokens: bench.M, targets: 0 });
      choices[shape] = (await fastest(e, step, bench, shape, deadline)) ?? choices[shape];
    }
  } finally {
    for (const { bench } of benches) bench.destroy();
    step.destroy();
  }
  return choices;
}

async function fastest(e: Engine, step: StepUniform, bench: Bench, shape: ShapeClass, deadline: number): Promise<MatmulVariant | null> {
  const built = await Promise.all(candidatesFor(e, shape).map(async (variant) => {
    const program = await buildProgram(e, `tune ${shape} ${variant}`, step, bench.op(withVariant(e, shape, variant))).catch(() => null);
    return program && { variant, program, n: 1, ms: Infinity };
  }));
  const entries = built.filter((entry) => entry !== null);
  let expected: Float32Array | null = null;
  const sound: typeof entries = [];
  for (const entry of entries) {
    await time(e, entry.program, bench.M, 1); // some drivers compile at the first dispatch
    const got = await readTensor(e, bench.out, Math.min(CHECKED, bench.out.byteLength / 4));
    // `direct` comes first everywhere and is what the others are held against.
    expected ??= got;
    if (!agree(expected, got)) continue;
    entry.n = await batchSize(e, entry.program, bench.M);
    sound.push(entry);
  }
  // In turns, so that whatever else the machine does meets all of them.
  for (let round = 0; round < ROUNDS && performance.now() < deadline; round++) {
    for (const entry of sound) entry.ms = Math.min(entry.ms, (await time(e, entry.program, bench.M, entry.n)) / entry.n);
  }
  for (const { program } of entries) program.destroy();
  const usual = sound.find(({ variant }) => variant === defaultVariant(e, shape));
  const best = sound.reduce<(typeof sound)[number] | undefined>((a, b) => (a && a.ms <= b.ms ? a : b), undefined);
  if (!best || best.ms === Infinity) return null;
  return usual && usual.ms < best.ms * CLEARLY ? usual.variant : best.variant;
}
