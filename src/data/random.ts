/**
 * Owns the data side's randomness: a counter-based generator, so that any draw can be made again from its numbers alone
 * and no state has to be kept. `draw(seed, stream, counter)` mixes the three words with two multiply-xorshift rounds
 * each (the finaliser of MurmurHash3); one stream a use keeps shuffling, splitting and hashing apart.
 */

export const STREAMS = { shuffle: 0x5348_5546, split: 0x5350_4c49, balance: 0x4241_4c41 } as const;

function mix(word: number): number {
  let x = word | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** A 32-bit draw; the arguments are read modulo 2^32. */
export function draw(seed: number, stream: number, counter: number): number {
  return mix(mix(mix(seed + 0x9e37_79b9) ^ stream) + Math.imul(counter, 0x9e37_79b1));
}

/** The numbers 0..n-1 in the order of an epoch: Fisher-Yates, drawing by (seed, epoch, place). */
export function permutation(n: number, seed: number, epoch: number): Int32Array {
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  const stream = draw(seed, STREAMS.shuffle, epoch);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor((draw(seed, stream, i) / 2 ** 32) * (i + 1));
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  return order;
}

/** A 53-bit hash of a text: for telling texts apart, not for safety. */
export function hashText(text: string): number {
  let low = 0x1f12_3bb5;
  let high = 0x6a09_e667;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x0100_0193);
    high = Math.imul(high + unit, 0x9e37_79b1) ^ (high >>> 15);
  }
  return (mix(high ^ text.length) & 0x1f_ffff) * 2 ** 32 + mix(low ^ high);
}
