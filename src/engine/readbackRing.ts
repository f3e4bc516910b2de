/**
 * Owns small readbacks that nobody waits for: a ring of staging buffers, mapped when the GPU gets there.
 */
import type { Engine } from './device.ts';
import type { Tensor } from './tensor.ts';

interface Slot {
  buffer: GPUBuffer;
  pending: Promise<void> | null;
}

export class ReadbackRing {
  readonly #engine: Engine;
  readonly #slots: Slot[];
  readonly #bytes: number;
  #next = 0;

  constructor(engine: Engine, label: string, elements: number, depth: number) {
    this.#engine = engine;
    this.#bytes = elements * 4;
    this.#slots = Array.from({ length: depth }, (_, i) => ({
      buffer: engine.createBuffer(`${label} readback ${i}`, this.#bytes, 0x01 | 0x08), // MAP_READ | COPY_DST
      pending: null,
    }));
  }

  /**
   * Copies the tensor as it will be after everything submitted so far. Waits only when all slots are under way, which
   * also bounds how far the CPU runs ahead. `onData` is called in order.
   */
  async push(tensor: Tensor, onData: (data: Float32Array) => void): Promise<void> {
    const slot = this.#slots[this.#next]!;
    this.#next = (this.#next + 1) % this.#slots.length;
    if (slot.pending) await slot.pending;
    const { device } = this.#engine;
    const encoder = device.createCommandEncoder({ label: 'readback' });
    encoder.copyBufferToBuffer(tensor.buffer, tensor.offset, slot.buffer, 0, this.#bytes);
    device.queue.submit([encoder.finish()]);
    slot.pending = slot.buffer.mapAsync(0x01).then(() => {
      const data = new Float32Array(slot.buffer.getMappedRange().slice(0));
      slot.buffer.unmap();
      onData(data);
    });
    // Awaited by push or drain; a device lost in between must not become an unhandled rejection.
    slot.pending.catch(() => {});
  }

  /** Waits until every copy asked for has arrived. */
  async drain(): Promise<void> {
    for (const slot of this.#slots) await slot.pending;
  }

  destroy(): void {
    for (const s of this.#slots) this.#engine.destroyBuffer(s.buffer);
  }
}
