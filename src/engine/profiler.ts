/**
 * Owns the timing of single dispatches by the GPU's own clock. Timestamps stand at the borders of passes, so each dispatch
 * gets a pass, which costs time between them: a profiled run is slower than a normal one, and the sum of its parts says by how much.
 */
import type { Engine } from './device.ts';

/** Queries of one set; the most that WebGPU allows. */
const CAPACITY = 4096;

export class Profiler {
  readonly #engine: Engine;
  readonly #set: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  #labels: string[] = [];
  readonly #reads: Promise<void>[] = [];
  /** Milliseconds by label, and how often it ran. */
  readonly times = new Map<string, { ms: number; count: number }>();

  /** Null where the device has no timestamps. */
  static create(engine: Engine): Profiler | null {
    return engine.device.features.has('timestamp-query') ? new Profiler(engine) : null;
  }

  private constructor(engine: Engine) {
    this.#engine = engine;
    this.#set = engine.device.createQuerySet({ label: 'profiler', type: 'timestamp', count: CAPACITY });
    this.#resolved = engine.createBuffer('profiler', CAPACITY * 8, 0x0200 | 0x04); // QUERY_RESOLVE | COPY_SRC
  }

  /** True when the next dispatch needs a submit first. */
  get full(): boolean {
    return this.#labels.length * 2 >= CAPACITY;
  }

  next(label: string): GPUComputePassTimestampWrites {
    const at = this.#labels.push(label) * 2;
    return { querySet: this.#set, beginningOfPassWriteIndex: at - 2, endOfPassWriteIndex: at - 1 };
  }

  /** Reads the clock of every pass since the last call, with the submit that follows. */
  resolve(encoder: GPUCommandEncoder): void {
    const labels = this.#labels;
    if (labels.length === 0) return;
    this.#labels = [];
    const bytes = labels.length * 16;
    const staging = this.#engine.createBuffer('profiler staging', bytes, 0x01 | 0x08); // MAP_READ | COPY_DST
    encoder.resolveQuerySet(this.#set, 0, labels.length * 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, bytes);
    // After the submit that this call belongs to.
    this.#reads.push(Promise.resolve().then(() => staging.mapAsync(0x01)).then(() => {
      const ticks = new BigInt64Array(staging.getMappedRange().slice(0));
      labels.forEach((label, i) => {
        const time = this.times.get(label) ?? { ms: 0, count: 0 };
        time.ms += Number(ticks[2 * i + 1]! - ticks[2 * i]!) / 1e6;
        time.count++;
        this.times.set(label, time);
      });
      this.#engine.destroyBuffer(staging);
    }));
  }

  /** Waits for every time asked for. */
  async settle(): Promise<void> {
    await Promise.all(this.#reads.splice(0));
  }

  destroy(): void {
    this.#set.destroy();
    this.#engine.destroyBuffer(this.#resolved);
  }
}
