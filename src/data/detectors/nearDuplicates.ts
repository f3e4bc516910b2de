/**
 * Owns near duplicates inside a dataset: signatures find candidates, and each candidate pair is then compared word by word. Two rows
 * are near duplicates when they share 75 % of their shingles, half of their answers' words, and every number: sums that differ in
 * their figures are different tasks.
 */
import { hashText } from '../random.ts';
import type { Message } from '../types.ts';
import { BANDS, Signatures } from './minHash.ts';
import { compareText, isNear, numbersOf, rowWords, WordsCache } from './rowWords.ts';

/** Pairs that are compared; a set with more candidates is told so. */
const MAX_PAIRS = 400_000;
/** A band hash and a row number share one double: 32 + 21 bits. A set with more rows is told that not all were compared. */
const MAX_ROWS = 2 ** 21;

export interface NearDuplicateResult {
  /** Rows that are close to an earlier one, in file order; the first of each cluster is not among them. */
  rows: Int32Array;
  /** For each of them the first row of its cluster. */
  firstOf: Int32Array;
  clusters: number;
  /** Rows or candidates were too many, so not all were compared. */
  partial: boolean;
}

export class NearDuplicates {
  readonly #signatures: Signatures;
  /** A hash of each row's numbers: rows whose numbers differ are not read to be compared. */
  readonly #numbers: Int32Array;
  readonly #isCut: boolean;

  constructor(rows: number) {
    this.#isCut = rows > MAX_ROWS;
    this.#signatures = new Signatures(Math.min(rows, MAX_ROWS));
    this.#numbers = new Int32Array(Math.min(rows, MAX_ROWS));
  }

  /** Takes rows out of the comparison: exact copies are found, and dropped, by themselves. */
  leaveOut(rows: Int32Array): void {
    for (const row of rows) this.#signatures.has[row] = 0;
  }

  add(row: number, messages: readonly Message[]): void {
    this.#signatures.add(row, compareText(messages));
    if (row < this.#numbers.length) this.#numbers[row] = hashText(numbersOf(messages)) | 0;
  }

  /** `read` gives rows' messages, null for a row that has none, in any order asked for. */
  async find(read: (rows: number[]) => Promise<(readonly Message[] | null)[]>, signal?: AbortSignal): Promise<NearDuplicateResult> {
    const { pairs, partial } = this.#candidates();
    const parent = Int32Array.from({ length: this.#signatures.has.length }, (_, i) => i);
    const root = (row: number): number => {
      while (parent[row] !== row) row = parent[row] = parent[parent[row]!]!;
      return row;
    };
    const words = new WordsCache(async (row) => {
      const [messages] = await read([row]);
      return messages ? rowWords(messages, messages.filter((message) => message.role === 'assistant')) : null;
    });
    for (let i = 0; i < pairs.length; i += 2) {
      const [a, b] = [pairs[i]!, pairs[i + 1]!];
      if (i % 512 === 0) signal?.throwIfAborted();
      const [first, second] = [root(a), root(b)];
      if (first === second || this.#numbers[a] !== this.#numbers[b] || !isNear(await words.of(a), await words.of(b))) continue;
      // The earliest row of a cluster is its root.
      parent[Math.max(first, second)] = Math.min(first, second);
    }
    const rows = Int32Array.from(parent.keys()).filter((row) => root(row) !== row);
    const firstOf = rows.map((row) => root(row));
    return { rows, firstOf, clusters: new Set(firstOf).size, partial: partial || this.#isCut };
  }

  /** Pairs of rows that share a band, each once, the nearer ones in the file first. */
  #candidates(): { pairs: number[]; partial: boolean } {
    const { has, bands } = this.#signatures;
    const n = has.length;
    const pairs: number[] = [];
    const known = new Set<number>();
    const keys = new Float64Array(n);
    for (let band = 0; band < BANDS; band++) {
      let used = 0;
      for (let row = 0; row < n; row++) if (has[row]) keys[used++] = bands[row * BANDS + band]! * MAX_ROWS + row;
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
