/**
 * Owns MinHash signatures over three-word shingles: 8 bands of 4 hashes, 32 bytes a text. Two texts that share most of their
 * shingles share a band; those that do are candidates, to be compared word by word. Refuses to know which texts those are.
 */
export const BANDS = 8;
const HASHES_PER_BAND = 4;
const HASHES = BANDS * HASHES_PER_BAND;

const MULTIPLIERS = Uint32Array.from({ length: HASHES }, (_, i) => (Math.imul(i + 1, 0x9e37_79b1) | 1) >>> 0);
const ADDENDS = Uint32Array.from({ length: HASHES }, (_, i) => Math.imul(i + 1, 0x85eb_ca6b) >>> 0);

export class Signatures {
  /** [n, BANDS] */
  readonly bands: Uint32Array;
  /** 1 where a text has a signature. */
  readonly has: Uint8Array;
  readonly #mins = new Uint32Array(HASHES);

  constructor(n: number) {
    this.bands = new Uint32Array(n * BANDS);
    this.has = new Uint8Array(n);
  }

  /** Nothing for a text of fewer than three words, or an index beyond the end. */
  add(index: number, words: readonly string[]): void {
    if (words.length < 3 || index >= this.has.length) return;
    const mins = this.#mins.fill(0xffff_ffff);
    let [a, b] = [hashWord(words[0]!), hashWord(words[1]!)];
    for (let i = 2; i < words.length; i++) {
      const c = hashWord(words[i]!);
      const shingle = mix(Math.imul(a, 3) + Math.imul(b, 5) + c);
      a = b;
      b = c;
      for (let h = 0; h < HASHES; h++) {
        const value = (Math.imul(shingle, MULTIPLIERS[h]!) + ADDENDS[h]!) >>> 0;
        if (value < mins[h]!) mins[h] = value;
      }
    }
    this.has[index] = 1;
    for (let band = 0; band < BANDS; band++) {
      let hash = band + 1;
      for (let h = 0; h < HASHES_PER_BAND; h++) hash = mix(Math.imul(hash, 31) ^ mins[band * HASHES_PER_BAND + h]!);
      this.bands[index * BANDS + band] = hash;
    }
  }
}

function hashWord(word: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x0100_0193);
  return hash;
}

function mix(word: number): number {
  let x = word | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
