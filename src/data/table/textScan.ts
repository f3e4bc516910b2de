/**
 * Owns one pass over a row's texts that gathers what the table's columns need: a hash, signs that a detector is worth
 * running, and how much an answer repeats itself. It is run on every row of an import, so it looks at each character once.
 */

/** A character that plain ASCII text has not: only such text can be in a wrong encoding. */
export const ODD = 1;
/** Two opening braces: only such text can hold a placeholder. */
export const BRACES = 2;
/** One of the words an AI model says of itself. */
export const MODEL_WORDS = 4;

/** Slots for word triples; a power of two. */
const SLOTS = 4096;
/** An answer with fewer triples of words says too little to repeat itself. */
const FEWEST_TRIPLES = 20;

const START = 0x811c_9dc5;
const step = (hash: number, unit: number): number => Math.imul(hash ^ unit, 0x0100_0193);
const wordHash = (word: string): number => Array.from(word, (letter) => letter.charCodeAt(0)).reduce(step, START);
const SAID_BY_MODELS = ['ai', 'artificial', 'knowledge', 'training'].map(wordHash);
const [AI, ARTIFICIAL, KNOWLEDGE, TRAINING] = SAID_BY_MODELS as [number, number, number, number];

export class TextScan {
  /** ODD, BRACES and MODEL_WORDS, of all texts since `begin`. */
  signs = 0;
  #low = 0;
  #high = 0;
  #triples = 0;
  #repeated = 0;
  /** Of each slot, the triple seen last, mixed with the number of the row. */
  readonly #seen = new Int32Array(SLOTS);
  #row = 0;

  /** Forgets the row before. */
  begin(): void {
    this.signs = 0;
    this.#low = START;
    this.#high = 0x6a09_e667;
    this.#triples = 0;
    this.#repeated = 0;
    this.#row = Math.imul(this.#row + 1, 0x9e37_79b1) | 1;
  }

  /** `mark` tells texts apart that come after one another (a role); `isAnswer` also counts repeated triples of words. */
  add(text: string, mark: number, isAnswer: boolean): void {
    let low = step(this.#low, mark + 0x1_0000);
    let high = Math.imul(this.#high + text.length, 0x9e37_79b1);
    let signs = this.signs;
    let word = START;
    let [before, last] = [0, 0];
    let braces = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      low = Math.imul(low ^ unit, 0x0100_0193);
      high = Math.imul(high + unit, 0x9e37_79b1) ^ (high >>> 15);
      // Letters without case, digits, and all beyond ASCII make words.
      const letter = unit | 0x20;
      if ((letter >= 0x61 && letter <= 0x7a) || (unit >= 0x30 && unit <= 0x39) || unit > 0x7e) {
        if (unit > 0x7e) signs |= ODD;
        word = Math.imul(word ^ (unit >= 0x41 && unit <= 0x5a ? letter : unit), 0x0100_0193);
        continue;
      }
      if (unit < 0x20) {
        if (unit !== 0x0a && unit !== 0x0d && unit !== 0x09) signs |= ODD;
      } else if (unit === 0x7b && ++braces > 1 && text.charCodeAt(i - 1) === 0x7b) {
        signs |= BRACES;
      }
      if (word === START) continue;
      if (isAnswer) this.#triple(before, last, word);
      if (word === AI || word === ARTIFICIAL || word === KNOWLEDGE || word === TRAINING) signs |= MODEL_WORDS;
      before = last;
      last = word;
      word = START;
    }
    if (word !== START && isAnswer) this.#triple(before, last, word);
    this.#low = low;
    this.#high = high;
    this.signs = signs;
  }

  /** Share of an answer's word triples that it has said before; 0 for a short one. About: a triple may be forgotten. */
  get repeatedShare(): number {
    return this.#triples < FEWEST_TRIPLES ? 0 : this.#repeated / this.#triples;
  }

  /** A 53-bit hash of all texts and marks, never 0. */
  get hash(): number {
    return (mix(this.#high) & 0x1f_ffff) * 2 ** 32 + mix(this.#low ^ this.#high) || 1;
  }

  #triple(before: number, last: number, word: number): void {
    if (before === 0) return;
    const triple = (Math.imul(before, 3) + Math.imul(last, 5) + word) ^ this.#row;
    const slot = (triple ^ (triple >>> 15)) & (SLOTS - 1);
    this.#triples++;
    if (this.#seen[slot] === triple) this.#repeated++;
    else this.#seen[slot] = triple;
  }
}

function mix(word: number): number {
  let x = word | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
