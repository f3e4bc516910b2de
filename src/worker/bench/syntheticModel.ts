/**
 * Owns a checkpoint that exists nowhere: tensors of a model's true shapes, in bf16, whose bytes are made when they are read.
 * Norms are 1 and matrices small random numbers, so that a forward pass stays finite however deep the model is.
 */
import { checkRange, type ByteSource } from '../../formats/byteSource.ts';
import type { TensorEntry } from '../../formats/safetensors.ts';
import type { ModelConfig } from '../../model/config.ts';
import { expectedTensors } from '../../model/expectedTensors.ts';
import { uniformStream } from '../../model/lora.ts';

/** Elements that repeat; odd, so that rows of the usual lengths differ. */
const PERIOD = 65_521;

/** Uniform in +-0.035, which has the deviation 0.02 that models are initialised with, as bf16 by cutting the low half off. */
function noise(): Uint8Array {
  const random = uniformStream(1);
  const floats = Float32Array.from({ length: PERIOD }, () => (random() * 2 - 1) * 0.035);
  const halves = Uint16Array.from(new Uint32Array(floats.buffer), (bits) => bits >>> 16);
  return new Uint8Array(halves.buffer);
}

export function syntheticTensors(config: ModelConfig): Map<string, TensorEntry> {
  const pattern = noise();
  const one = Uint8Array.of(0x80, 0x3f);
  return new Map(expectedTensors(config).map(({ name, shape }) => {
    const bytes = shape.reduce((n, d) => n * d, 2);
    // Gemma's norms are stored less 1; 1 is as good a gain for either.
    const source = repeating(name, bytes, shape.length === 1 ? one : pattern);
    return [name, { name, dtype: 'BF16', shape, source, start: 0, end: bytes } satisfies TensorEntry];
  }));
}

function repeating(name: string, size: number, pattern: Uint8Array): ByteSource {
  return {
    name,
    size,
    async read(start, end) {
      checkRange(name, size, start, end);
      const out = new Uint8Array(end - start);
      for (let at = 0; at < out.length; ) {
        const from = (start + at) % pattern.length;
        const piece = pattern.subarray(from, from + out.length - at);
        out.set(piece, at);
        at += piece.length;
      }
      return out;
    },
  };
}
