/**
 * Owns chance in the data room: a counter-based generator, so that any number of the sequence can be had again from
 * (seed, stream, counter) alone and a resumed run sees the same order.
 */

/** 32 well-mixed bits of a seed, a stream and a counter (murmur3's finaliser over their sum of odd multiples). */
export function hash32(seed: number, stream: number, counter: number): number {
  let h = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(stream + 1, 0xc2b2ae35) + Math.imul(counter + 1, 0x27d4eb2f)) >>> 0;
  for (let round = 0; round < 2; round++) {
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h = (h ^ (h >>> 16)) >>> 0;
  }
  return h;
}

/** A permutation of 0 .. n - 1 (Fisher-Yates), the same for the same seed and stream. */
export function permutation(n: number, seed: number, stream: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    // The product keeps the fraction of 2^32 exact in a double for any n below 2^21; beyond, bias stays under 2^-11 of a slot.
    const j = Math.floor((hash32(seed, stream, i) / 2 ** 32) * (i + 1));
    const t = order[i]!;
    order[i] = order[j]!;
    order[j] = t;
  }
  return order;
}
