/**
 * Owns a prebuilt list of dispatches: bind groups and params are made once, a run only encodes and submits.
 * Submits are cut to a time budget, so that a page's frames are never stuck behind a long one.
 */
import type { Engine } from './device.ts';
import { F32, type Op, type StepDims } from './kernel.ts';
import type { Profiler } from './profiler.ts';

/** Values of the Step uniform in shaders/lib/step.wgsl. */
export interface StepValues extends StepDims {
  lossScale: number;
  dropoutSeed: number;
  kvPast: number;
  learningRate: number;
  bias1: number;
  bias2: number;
}

export const STEP_BYTES = 32;
const SLOT = 256; // minUniformBufferOffsetAlignment is at most this

/** The uniform that all programs of one model share. Writes are ordered with the submits around them. */
export class StepUniform {
  readonly buffer: GPUBuffer;
  readonly #engine: Engine;
  readonly #bytes = new ArrayBuffer(STEP_BYTES);

  constructor(engine: Engine) {
    this.#engine = engine;
    this.buffer = engine.createBuffer('step', STEP_BYTES, 0x40 | 0x08); // UNIFORM | COPY_DST
  }

  write(v: Partial<StepValues> & StepDims): void {
    const u = new Uint32Array(this.#bytes);
    const f = new Float32Array(this.#bytes);
    u[0] = v.tokens;
    u[1] = v.targets;
    f[2] = v.lossScale ?? 0;
    u[3] = v.dropoutSeed ?? 0;
    u[4] = v.kvPast ?? 0;
    f[5] = v.learningRate ?? 0;
    f[6] = v.bias1 ?? 1;
    f[7] = v.bias2 ?? 1;
    this.#engine.device.queue.writeBuffer(this.buffer, 0, this.#bytes);
  }

  destroy(): void {
    this.#engine.destroyBuffer(this.buffer);
  }
}

interface Dispatch {
  label: string;
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  grid: Op['grid'];
  flops: Op['flops'];
}

export class Program {
  readonly label: string;
  readonly dispatches: readonly Dispatch[];
  readonly #engine: Engine;
  readonly #params: GPUBuffer;

  constructor(engine: Engine, label: string, dispatches: Dispatch[], params: GPUBuffer) {
    this.#engine = engine;
    this.label = label;
    this.dispatches = dispatches;
    this.#params = params;
  }

  destroy(): void {
    this.#engine.destroyBuffer(this.#params);
  }
}

/** Compiles what the ops need and makes their bind groups. Errors name the op. */
export async function buildProgram(engine: Engine, label: string, step: StepUniform, ops: Op[]): Promise<Program> {
  const params = engine.createBuffer(`${label} params`, Math.max(1, ops.length) * SLOT, 0x40 | 0x08);
  const bytes = new ArrayBuffer(Math.max(1, ops.length) * SLOT);
  const view = new DataView(bytes);
  ops.forEach((op, i) => {
    op.params.forEach((value, j) => {
      if (value instanceof F32) view.setFloat32(i * SLOT + j * 4, value.value, true);
      else view.setUint32(i * SLOT + j * 4, value, true);
    });
  });
  engine.device.queue.writeBuffer(params, 0, bytes);
  try {
    return new Program(engine, label, await Promise.all(ops.map((op, i) => makeDispatch(engine, op, step.buffer, params, i * SLOT))), params);
  } catch (error) {
    engine.destroyBuffer(params);
    throw error;
  }
}

async function makeDispatch(engine: Engine, op: Op, step: GPUBuffer, params: GPUBuffer, offset: number): Promise<Dispatch> {
  for (const t of op.tensors) {
    if (t.byteLength > engine.maxBinding) {
      throw new Error(`${op.label}: ${t.label} has ${t.byteLength} bytes, more than one binding of this device holds (${engine.maxBinding})`);
    }
  }
  let pipeline: GPUComputePipeline;
  try {
    pipeline = await op.pipeline;
  } catch (cause) {
    throw new Error(`kernel ${op.label} does not compile: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return {
    label: op.label,
    pipeline,
    grid: op.grid,
    flops: op.flops,
    bindGroup: engine.device.createBindGroup({
      label: op.label,
      layout: op.layout,
      entries: [
        { binding: 0, resource: { buffer: step } },
        { binding: 1, resource: { buffer: params, offset, size: Math.max(16, Math.ceil((op.params.length * 4) / 16) * 16) } },
        ...op.tensors.map((t, j) => ({ binding: j + 2, resource: { buffer: t.buffer, offset: t.offset, size: t.byteLength } })),
      ],
    }),
  };
}

/**
 * Encodes programs and submits them in pieces of about the engine's `submitBudgetMs`, judged by the speed measured so far.
 * At most `MAX_IN_FLIGHT` pieces are queued: beyond that `run` waits, so that nothing else on the GPU starves.
 */
export class Submitter {
  readonly #engine: Engine;
  readonly #inFlight = new Set<Promise<void>>();
  /** FLOP per ms, learned from finished submits. */
  #speed: number;
  /** When the last submit was seen to end. */
  #lastEnd = 0;
  /** What was handed to the queue so far, and the time of the calling thread that it took. */
  readonly counted = { submits: 0, dispatches: 0, encodeMs: 0 };
  /** Times every dispatch while set; slower, since each then has a pass of its own. */
  profiler: Profiler | null = null;

  static readonly MAX_IN_FLIGHT = 2;
  /** The longest submit while none is in flight. */
  static readonly FIRST_MS = 2;
  /** What a dispatch costs beside its arithmetic, as FLOP. */
  static readonly DISPATCH_FLOPS = 50_000;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#speed = engine.info.software ? 1e6 : 2e8;
  }

  /** Everything given to one call runs in order; later calls run after it. */
  async run(programs: readonly Program[], dims: StepDims): Promise<void> {
    const { device } = this.#engine;
    let encoder: GPUCommandEncoder | null = null;
    let pass: GPUComputePassEncoder | null = null;
    let flops = 0;
    const { profiler, counted } = this;
    let busySince = performance.now();
    const flush = async (): Promise<void> => {
      if (!encoder) return;
      pass?.end();
      profiler?.resolve(encoder);
      device.queue.submit([encoder.finish()]);
      encoder = pass = null;
      counted.submits++;
      const work = flops;
      flops = 0;
      const start = performance.now();
      const done: Promise<void> = device.queue.onSubmittedWorkDone().then(() => {
        this.#inFlight.delete(done);
        // What was queued behind another submit began when that one ended. Twice as fast as thought at most: the news of both may have come late and at once.
        const end = performance.now();
        const ms = end - Math.max(start, this.#lastEnd);
        this.#lastEnd = end;
        if (ms > 0.2) this.#speed = 0.8 * this.#speed + 0.2 * Math.min(work / ms, 2 * Math.max(this.#speed, work / (end - start)));
      });
      this.#inFlight.add(done);
      counted.encodeMs += performance.now() - busySince;
      while (this.#inFlight.size >= Submitter.MAX_IN_FLIGHT) await [...this.#inFlight][0];
      busySince = performance.now();
    };
    for (const program of programs) {
      for (const d of program.dispatches) {
        const [x, y, z] = d.grid(dims);
        if (x === 0 || y === 0 || z === 0) continue;
        encoder ??= device.createCommandEncoder({ label: program.label });
        pass ??= encoder.beginComputePass(profiler ? { label: d.label, timestampWrites: profiler.next(d.label) } : { label: program.label });
        pass.setPipeline(d.pipeline);
        pass.setBindGroup(0, d.bindGroup);
        pass.dispatchWorkgroups(x, y, z);
        counted.dispatches++;
        if (profiler) {
          pass.end();
          pass = null;
        }
        flops += d.flops(dims) + Submitter.DISPATCH_FLOPS;
        // With nothing queued the GPU waits for what is being encoded: a short piece first.
        const budget = this.#inFlight.size === 0 ? Math.min(Submitter.FIRST_MS, this.#engine.submitBudgetMs) : this.#engine.submitBudgetMs;
        if (flops > this.#speed * budget || profiler?.full) await flush();
      }
    }
    await flush();
    counted.encodeMs += performance.now() - busySince;
  }

  async idle(): Promise<void> {
    await Promise.all(this.#inFlight);
  }
}
