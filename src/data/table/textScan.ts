/**
 * Owns one pass over a row's texts that gathers what the table's columns need: a hash, signs that a detector is worth
 * running, and how much an answer repeats itself. It is run on every row of an import, so it looks at each byte once, in a
 * buffer: reading a text character by character takes twice as long.
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
const PIECE_BYTES = 2 ** 16;

/** What a byte is. Letters, digits and all beyond ASCII make words. */
const [OTHER, LETTER, BEYOND, CONTROL, BRACE] = [0, 1, 2, 3, 4];
const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte > 0x7e) return BEYOND;
  if (byte < 0x20) return byte === 0x0a || byte === 0x0d || byte === 0x09 ? OTHER : CONTROL;
  return byte === 0x7b ? BRACE : /[0-9A-Za-z]/.test(String.fromCharCode(byte)) ? LETTER : OTHER;
});

const START = 0x811c_9dc5 | 0;
const step = (hash: number, byte: number): number => Math.imul(hash ^ byte, 0x0100_0193);
const wordHash = (word: string): number => Array.from(word, (letter) => letter.charCodeAt(0)).reduce(step, START);
const SAID_BY_MODELS: ReadonlySet<number> = new Set(['ai', 'artificial', 'knowledge', 'training'].flatMap((word) => [word, word.toUpperCase(), word[0]!.toUpperCase() + word.slice(1)]).map(wordHash));
/** A cheap look before the set: by the lowest bits of a word's hash. */
const MAY_BE_SAID = new Uint8Array(1024);
for (const hash of SAID_BY_MODELS) MAY_BE_SAID[hash & 1023] = 1;

const encoder = new TextEncoder();
const buffer = new Uint8Array(PIECE_BYTES);

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
    let [before, last, previous] = [0, 0, 0];
    for (let from = 0; from < text.length;) {
      const { read, written } = encoder.encodeInto(from === 0 ? text : text.slice(from), buffer);
      from += read;
      for (let i = 0; i < written; i++) {
        const byte = buffer[i]!;
        high = (Math.imul(high, 0x0001_003f) + byte) | 0;
        const kind = CLASSES[byte]!;
        if (kind === LETTER || kind === BEYOND) {
          if (kind === BEYOND) signs |= ODD;
          word = Math.imul(word ^ byte, 0x0100_0193);
          previous = kind;
          continue;
        }
        if (kind === CONTROL) signs |= ODD;
        else if (kind === BRACE && previous === BRACE) signs |= BRACES;
        previous = kind;
        low = Math.imul(low ^ byte, 0x0100_0193);
        if (word === START) continue;
        low = Math.imul(low ^ word, 0x0100_0193);
        if (isAnswer) this.#triple(before, last, word);
        if (MAY_BE_SAID[word & 1023] === 1 && SAID_BY_MODELS.has(word)) signs |= MODEL_WORDS;
        before = last;
        last = word;
        word = START;
      }
    }
    if (word !== START && isAnswer) this.#triple(before, last, word);
    this.#low = Math.imul(low ^ word, 0x0100_0193);
    this.#high = high ^ (high >>> 15);
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
