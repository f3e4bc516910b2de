/**
 * Owns activation memory: tensors are taken and given back while a program is being planned, and given-back buffers are
 * used again. One buffer a tensor, because WebGPU forbids reading and writing one buffer in the same dispatch.
 */
import type { Engine } from './device.ts';
import { createTensor, type Tensor } from './tensor.ts';

export class Arena {
  readonly #engine: Engine;
  readonly #free: Tensor[] = [];
  readonly #all: Tensor[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Bytes that one binding holds. */
  get maxBinding(): number {
    return this.#engine.maxBinding;
  }

  /** A tensor of n 4-byte elements; its content is whatever was there. */
  take(label: string, elements: number): Tensor {
    const bytes = Math.max(16, elements * 4);
    let best = -1;
    for (let i = 0; i < this.#free.length; i++) {
      const size = this.#free[i]!.byteLength;
      // A buffer more than twice as large is kept for something that needs it.
      if (size >= bytes && size <= 2 * bytes && (best < 0 || size < this.#free[best]!.byteLength)) best = i;
    }
    if (best >= 0) return this.#free.splice(best, 1)[0]!;
    const tensor = createTensor(this.#engine, label, Math.ceil(bytes / 4));
    this.#all.push(tensor);
    return tensor;
  }

  give(...tensors: Tensor[]): void {
    this.#free.push(...tensors);
  }

  get bytes(): number {
    return this.#all.reduce((sum, t) => sum + t.byteLength, 0);
  }

  destroy(): void {
    for (const tensor of this.#all) this.#engine.destroyBuffer(tensor.buffer);
    this.#all.length = 0;
    this.#free.length = 0;
  }
}
