/**
 * Owns near duplicates: MinHash over three-word shingles finds candidates (8 bands of 4 hashes; 32 bytes a row are kept),
 * and each candidate pair is then compared word by word. Two rows are near duplicates when they share 75 % of their
 * shingles, half of their answers' words, and every number: sums that differ in their figures are different tasks.
 */
import type { Message } from '../types.ts';
import { wordsOf } from './words.ts';

const BANDS = 8;
const HASHES_PER_BAND = 4;
const HASHES = BANDS * HASHES_PER_BAND;
const SHARED_SHINGLES = 0.75;
const SHARED_ANSWER = 0.5;
/** A message is compared as far as this; a book on one line must not fill the memory. */
const MOST_CHARS = 200_000;
/** Pairs that are compared; a set with more candidates is told so. */
const MAX_PAIRS = 400_000;
/** A band hash and a row number share one double: 32 + 21 bits. */
const MAX_ROWS = 2 ** 21;
/** Rows whose words are kept at hand while pairs are compared. */
const CACHED_ROWS = 4000;

const MULTIPLIERS = Uint32Array.from({ length: HASHES }, (_, i) => (Math.imul(i + 1, 0x9e37_79b1) | 1) >>> 0);
const ADDENDS = Uint32Array.from({ length: HASHES }, (_, i) => Math.imul(i + 1, 0x85eb_ca6b) >>> 0);

export interface NearDuplicateResult {
  /** Rows that are close to an earlier one, in file order; the first of each cluster is not among them. */
  rows: Int32Array;
  /** For each of them the first row of its cluster. */
  firstOf: Int32Array;
  clusters: number;
  /** Candidates were too many, so not all were compared. */
  partial: boolean;
}

export class NearDuplicates {
  readonly #bands: Uint32Array;
  readonly #seen: Uint8Array;
  readonly #mins = new Uint32Array(HASHES);

  constructor(rows: number) {
    const n = Math.min(rows, MAX_ROWS);
    this.#bands = new Uint32Array(n * BANDS);
    this.#seen = new Uint8Array(n);
  }

  /** Takes rows out of the comparison: exact copies are found, and dropped, by themselves. */
  leaveOut(rows: Int32Array): void {
    for (const row of rows) this.#seen[row] = 0;
  }

  add(row: number, messages: readonly Message[]): void {
    if (row >= this.#seen.length) return;
    const words = messages.flatMap((message) => wordsOf(message.content.slice(0, MOST_CHARS)));
    if (words.length < 3) return;
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
    this.#seen[row] = 1;
    for (let band = 0; band < BANDS; band++) {
      let hash = band + 1;
      for (let h = 0; h < HASHES_PER_BAND; h++) hash = mix(Math.imul(hash, 31) ^ mins[band * HASHES_PER_BAND + h]!);
      this.#bands[row * BANDS + band] = hash;
    }
  }

  /** `read` gives rows' messages, null for a row that has none, in any order asked for. */
  async find(read: (rows: number[]) => Promise<(readonly Message[] | null)[]>, signal?: AbortSignal): Promise<NearDuplicateResult> {
    const { pairs, partial } = this.#candidates();
    const parent = Int32Array.from({ length: this.#seen.length }, (_, i) => i);
    const root = (row: number): number => {
      while (parent[row] !== row) row = parent[row] = parent[parent[row]!]!;
      return row;
    };
    const words = new Words(read);
    for (let i = 0; i < pairs.length; i += 2) {
      const [a, b] = [pairs[i]!, pairs[i + 1]!];
      if (i % 512 === 0) signal?.throwIfAborted();
      const [first, second] = [root(a), root(b)];
      if (first === second || !isNear(await words.of(a), await words.of(b))) continue;
      // The earliest row of a cluster is its root.
      parent[Math.max(first, second)] = Math.min(first, second);
    }
    const rows = Int32Array.from(parent.keys()).filter((row) => root(row) !== row);
    const firstOf = rows.map((row) => root(row));
    return { rows, firstOf, clusters: new Set(firstOf).size, partial };
  }

  /** Pairs of rows that share a band, each once, the nearer ones in the file first. */
  #candidates(): { pairs: number[]; partial: boolean } {
    const n = this.#seen.length;
    const pairs: number[] = [];
    const known = new Set<number>();
    const keys = new Float64Array(n);
    for (let band = 0; band < BANDS; band++) {
      let used = 0;
      for (let row = 0; row < n; row++) if (this.#seen[row]) keys[used++] = this.#bands[row * BANDS + band]! * MAX_ROWS + row;
      const sorted = keys.subarray(0, used).sort();
      let first = 0;
      for (let i = 1; i < used; i++) {
        if (Math.floor(sorted[i]! / MAX_ROWS) !== Math.floor(sorted[first]! / MAX_ROWS)) {
          first = i;
          continue;
        }
        const row = sorted[i]! % MAX_ROWS;
        // A bucket's rows are compared with its first and with their neighbour: enough to join a cluster.
        for (const other of new Set([sorted[first]! % MAX_ROWS, sorted[i - 1]! % MAX_ROWS])) {
          const key = other * MAX_ROWS + row;
          if (known.has(key)) continue;
          known.add(key);
          pairs.push(other, row);
          if (known.size >= MAX_PAIRS) return { pairs, partial: true };
        }
      }
    }
    return { pairs, partial: false };
  }
}

interface RowWords {
  shingles: Set<string>;
  answer: Set<string>;
  numbers: string;
}

class Words {
  readonly #read: (rows: number[]) => Promise<(readonly Message[] | null)[]>;
  readonly #held = new Map<number, RowWords | null>();

  constructor(read: (rows: number[]) => Promise<(readonly Message[] | null)[]>) {
    this.#read = read;
  }

  async of(row: number): Promise<RowWords | null> {
    const held = this.#held.get(row);
    if (held !== undefined) return held;
    const [messages] = await this.#read([row]);
    const words = messages ? compared(messages) : null;
    this.#held.set(row, words);
    if (this.#held.size > CACHED_ROWS) this.#held.delete(this.#held.keys().next().value!);
    return words;
  }
}

function compared(messages: readonly Message[]): RowWords {
  const words = messages.flatMap((message) => wordsOf(message.content.slice(0, MOST_CHARS)));
  const shingles = new Set<string>();
  for (let i = 0; i + 2 < words.length; i++) shingles.add(`${words[i]} ${words[i + 1]} ${words[i + 2]}`);
  const numbers = messages.flatMap((message) => message.content.slice(0, MOST_CHARS).match(/\d+(?:[.,]\d+)*/g) ?? []).sort().join(' ');
  const answer = new Set(messages.filter((message) => message.role === 'assistant').flatMap((message) => wordsOf(message.content.slice(0, MOST_CHARS))));
  return { shingles, answer, numbers };
}

function isNear(a: RowWords | null, b: RowWords | null): boolean {
  return a !== null && b !== null && a.numbers === b.numbers && jaccard(a.answer, b.answer) >= SHARED_ANSWER && jaccard(a.shingles, b.shingles) >= SHARED_SHINGLES;
}

function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  let shared = 0;
  for (const item of small) if (large.has(item)) shared++;
  const union = a.size + b.size - shared;
  return union === 0 ? 1 : shared / union;
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
