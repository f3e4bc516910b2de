/**
 * Measures on this device which kernel variant serves each operation of a program best, on the operation's own tensors. Owns the timing and the check
 * that a variant computes the same; what there is to choose from comes with the op (kernel.ts, Choice).
 * The caller remembers engine.variants under engine.info.key: a choice that changed between two runs would change their last bits.
 */
import type { Engine } from './device.ts';
import type { Choice, Op, StepDims } from './kernel.ts';
import { Profiler } from './profiler.ts';
import { buildProgram, StepUniform, type Program } from './program.ts';
import { readTensor, writeTensor, type Tensor } from './tensor.ts';

/** Elements of each candidate's output that are compared with the others'. */
const CHECKED = 1024;
/** A timed batch lasts at least this long, so that the clock's steps (browsers round it) and the queue's jitter do not decide. */
const BATCH_MS = 3;
/** Browsers round the GPU's clock to this. */
const CLOCK_STEP_MS = 0.1;
/** Candidates with more work than this are submitted one by one: a page's frames queue behind a submit. */
const AT_ONCE_FLOPS = 2e10;
/** Times each candidate is timed; the best counts. */
const ROUNDS = 5;
/** A candidate this much slower than the best in its first timing is out. */
const HOPELESS = 1.5;
/** By how much the default must be beaten to lose. */
const CLEARLY = 1.03;
/** How far an element may be from the first candidate's: a share of itself and one of the largest. */
interface Limits {
  relative: number;
  absolute: number;
}
/** Within rounding of sums in another order. */
const SOUND: Limits = { relative: 0, absolute: 1e-4 };
/** Matrix units are as exact as f32 if they round their sums as it does, which not all may: what kernels in f32 are tested to. */
const SOUND_MATRIX: Limits = { relative: 1e-5, absolute: 2e-6 };

export interface TuneOptions {
  /** Time after which operations not yet measured keep their default, ms; compiling not counted. */
  budgetMs?: number;
  /** Only these candidates, by name. */
  only?: readonly string[];
  /** Called for every operation that was measured. */
  onMeasured?: (measured: Measured) => void;
}

/** One line of the table: what an operation took in every variant, ms, and what was chosen. Null: it does not compile here, or its numbers are wrong. */
export interface Measured {
  key: string;
  /** How often the program does it. */
  count: number;
  flops: number;
  ms: Record<string, number | null>;
  chosen: string;
}

interface Task {
  choice: Choice;
  candidates: string[];
  count: number;
  flops: number;
}

/**
 * Chooses for every operation of `ops` that engine.variants does not name yet, the costliest first, and writes the choices there. What `ops` write is zero afterwards:
 * to be called before their program first runs. Ops made before keep their kernels; make them again.
 * @param dims the sizes to measure at
 * @returns the choices made
 */
export async function autotune(e: Engine, ops: readonly Op[], dims: StepDims, options: TuneOptions = {}): Promise<Record<string, string>> {
  const tasks = new Map<string, Task>();
  for (const op of ops) {
    const { choice } = op;
    if (!choice || e.variants[choice.key] !== undefined) continue;
    const task = tasks.get(choice.key);
    const candidates = choice.candidates.filter((c) => options.only?.includes(c) ?? true);
    if (task) task.count++;
    else if (candidates.length > 1) tasks.set(choice.key, { choice, candidates, count: 1, flops: op.flops(dims) });
  }
  const ordered = [...tasks.values()].filter((t) => t.flops > 0).sort((a, b) => b.count * b.flops - a.count * a.flops);
  if (ordered.length === 0) return {};
  // The driver compiles beside us: all that will be measured, before the clock runs. What this device refuses is no error of the page.
  e.device.pushErrorScope('validation');
  const compiling = ordered.flatMap(({ choice, candidates }) => candidates.flatMap((c) => choice.remake(viewOf(e, choice, c)).map((op) => op.pipeline)));
  await e.device.popErrorScope();
  await Promise.allSettled(compiling);
  const step = new StepUniform(e);
  const profiler = Profiler.create(e);
  const chosen: Record<string, string> = {};
  const touched = new Set<Tensor>();
  const sound = new WeakMap<GPUComputePipeline, boolean>();
  const deadline = performance.now() + (options.budgetMs ?? 3000);
  try {
    step.write({ ...dims, lossScale: 0 });
    for (const task of ordered) {
      if (performance.now() >= deadline) break;
      for (const tensor of [...task.choice.inputs, task.choice.output]) touched.add(tensor);
      // What cannot be measured keeps its default.
      const measured = await measure({ e, step, dims, profiler, sound, deadline }, task).catch(() => null);
      if (!measured) continue;
      chosen[measured.key] = e.variants[measured.key] = measured.chosen;
      options.onMeasured?.(measured);
    }
  } finally {
    clear(e, touched);
    step.destroy();
    profiler?.destroy();
  }
  e.onTuned?.(chosen);
  return chosen;
}

const viewOf = (e: Engine, choice: Choice, variant: string): Engine => ({ ...e, variants: { ...e.variants, [choice.key]: variant } });

interface Tuning {
  e: Engine;
  step: StepUniform;
  dims: StepDims;
  profiler: Profiler | null;
  /** Whether a kernel computes what the others do. */
  sound: WeakMap<GPUComputePipeline, boolean>;
  deadline: number;
}

interface Candidate {
  variant: string;
  program: Program;
  /** Runs in a timed batch. */
  n: number;
  /** The best so far of one run. */
  ms: number;
}

async function measure(tuning: Tuning, task: Task): Promise<Measured | null> {
  const { e, step, deadline, sound } = tuning;
  const { choice } = task;
  const built = await Promise.all(task.candidates.map(async (variant) => ({
    variant, program: await buildProgram(e, `tune ${choice.key} ${variant}`, step, choice.remake(viewOf(e, choice, variant))).catch(() => null), n: 1, ms: Infinity,
  })));
  try {
    choice.inputs.forEach((tensor) => fill(e, tensor));
    const entries = built.filter((entry): entry is Candidate => entry.program !== null);
    await keepSound(tuning, choice.output, entries);
    const running = entries.filter(({ program }) => program.dispatches.every(({ pipeline }) => sound.get(pipeline)));
    for (const entry of entries) entry.ms = Infinity;
    // Some drivers compile at the first dispatch: the first time does not count, and the second tells how many runs make a batch.
    for (let i = 0; i < 2; i++) {
      for (const entry of running) entry.ms = Infinity;
      if (task.flops * running.length > AT_ONCE_FLOPS) for (const entry of running) await time(tuning, [entry]);
      else await time(tuning, running);
    }
    const fastest = (): Candidate | undefined => running.toSorted((a, b) => a.ms - b.ms)[0];
    const likely = running.filter(({ ms }) => ms <= fastest()!.ms * HOPELESS + CLOCK_STEP_MS);
    for (const entry of likely) entry.n = Math.min(256, Math.max(1, Math.ceil(BATCH_MS / entry.ms)));
    for (let round = 0; round < ROUNDS && likely.length > 1 && performance.now() < deadline; round++) {
      if (round === 0) for (const entry of likely) entry.ms = Infinity;
      await time(tuning, likely);
    }
    const best = fastest();
    if (!best) return null;
    const usual = running.find(({ variant }) => variant === choice.usual);
    const chosen = usual && usual.ms < best.ms * CLEARLY ? usual : best;
    return {
      key: choice.key, count: task.count, flops: task.flops, chosen: chosen.variant,
      ms: Object.fromEntries(built.map((entry) => [entry.variant, Number.isFinite(entry.ms) ? entry.ms : null])),
    };
  } finally {
    for (const { program } of built) program?.destroy();
  }
}

const byMatrix = ({ variant }: Candidate): boolean => variant.startsWith('matrix');

/** Compares every kernel not seen before with the first candidate, which runs everywhere; those by matrix units at each size, since they may err with the length of the sum. */
async function keepSound(tuning: Tuning, output: Tensor, entries: Candidate[]): Promise<void> {
  const { e, sound } = tuning;
  const isNew = (entry: Candidate): boolean => byMatrix(entry) || entry.program.dispatches.some(({ pipeline }) => !sound.has(pipeline));
  const first = entries[0];
  if (!first || !entries.some(isNew)) return;
  let expected: Float32Array | null = null;
  for (const entry of entries) {
    const { program } = entry;
    if (entry !== first && !isNew(entry)) continue;
    clear(e, [output]);
    await time(tuning, [entry]);
    const got = await readTensor(e, output, Math.min(CHECKED, output.byteLength / 4));
    expected ??= got;
    for (const { pipeline } of program.dispatches) sound.set(pipeline, agree(expected, got, byMatrix(entry) ? SOUND_MATRIX : SOUND));
  }
}

function agree(a: Float32Array, b: Float32Array, { relative, absolute }: Limits): boolean {
  const largest = a.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return a.every((v, i) => Math.abs(v - b[i]!) <= relative * Math.abs(v) + absolute * largest);
}

/** Runs each candidate n times, by the GPU's own clock in one submit where it has one, else one after the other, and keeps the best times. */
async function time({ e, dims, profiler }: Tuning, entries: readonly Candidate[]): Promise<void> {
  const run = (pass: GPUComputePassEncoder, { program, n }: Candidate): void => {
    for (let i = 0; i < n; i++) {
      for (const d of program.dispatches) {
        pass.setPipeline(d.pipeline);
        pass.setBindGroup(0, d.bindGroup);
        pass.dispatchWorkgroups(...d.grid(dims));
      }
    }
    pass.end();
  };
  const keep = (entry: Candidate, ms: number): void => {
    entry.ms = Math.min(entry.ms, Math.max(ms, CLOCK_STEP_MS / 2) / entry.n);
  };
  if (profiler) {
    const encoder = e.device.createCommandEncoder({ label: 'tune' });
    profiler.times.clear();
    for (const entry of entries) run(encoder.beginComputePass({ label: entry.program.label, timestampWrites: profiler.next(entry.variant) }), entry);
    profiler.resolve(encoder);
    e.device.queue.submit([encoder.finish()]);
    await profiler.settle();
    for (const entry of entries) keep(entry, profiler.times.get(entry.variant)!.ms);
    return;
  }
  for (const entry of entries) {
    const encoder = e.device.createCommandEncoder({ label: 'tune' });
    run(encoder.beginComputePass({ label: entry.program.label }), entry);
    const start = performance.now();
    e.device.queue.submit([encoder.finish()]);
    await e.device.queue.onSubmittedWorkDone();
    keep(entry, performance.now() - start);
  }
}

function clear(e: Engine, tensors: Iterable<Tensor>): void {
  const encoder = e.device.createCommandEncoder({ label: 'tune clear' });
  for (const { buffer, offset, byteLength } of tensors) encoder.clearBuffer(buffer, offset, byteLength);
  e.device.queue.submit([encoder.finish()]);
}

/** Fixed values in [-1, 1) that repeat after 2^16. */
let pattern: Float32Array<ArrayBuffer> | null = null;

function noise(): Float32Array<ArrayBuffer> {
  if (pattern) return pattern;
  pattern = new Float32Array(2 ** 16);
  let state = 1;
  for (let i = 0; i < pattern.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    pattern[i] = state / 2 ** 31 - 1;
  }
  return pattern;
}

/** Numbers rather than zeros: multiplying zeros takes less power, and GPUs clock by it. */
function fill(e: Engine, tensor: Tensor): void {
  const values = noise();
  const elements = tensor.byteLength / 4;
  for (let at = 0; at < elements; at += values.length) writeTensor(e, tensor, values.subarray(0, Math.min(values.length, elements - at)), at);
}
