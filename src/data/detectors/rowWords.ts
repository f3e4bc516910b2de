/** Owns the comparison of two rows word by word: shingles, the answer's words, and every number. Refuses to know how the pair was found. */
import type { Message } from '../types.ts';
import { wordsOf } from './words.ts';

/** Share of three-word shingles from which two texts are nearly the same. */
const SHARED_SHINGLES = 0.75;
/** Share of their answers' words that two such rows have in common. */
const SHARED_ANSWER = 0.5;
/** A message is compared as far as this; a book on one line must not fill the memory. */
const MOST_CHARS = 200_000;
/** Rows whose words are kept at hand while pairs are compared. */
const CACHED_ROWS = 4000;

const NUMBER = /\d+(?:[.,]\d+)*/g;

export interface RowWords {
  shingles: Set<string>;
  answer: Set<string>;
  numbers: string;
}

export const compareText = (messages: readonly Message[]): string[] => messages.flatMap((message) => wordsOf(message.content.slice(0, MOST_CHARS)));

/** All numbers of a text, in one order. */
export const numbersOf = (text: readonly Message[]): string => text.flatMap(({ content }) => content.slice(0, MOST_CHARS).match(NUMBER) ?? []).sort().join(' ');

/** What of a row is compared: `text` for shingles and numbers, `answer` beside it. */
export function rowWords(text: readonly Message[], answer: readonly Message[]): RowWords {
  const words = compareText(text);
  const shingles = new Set<string>();
  for (let i = 0; i + 2 < words.length; i++) shingles.add(`${words[i]} ${words[i + 1]} ${words[i + 2]}`);
  return { shingles, answer: new Set(compareText(answer)), numbers: numbersOf(text) };
}

/** The same numbers, most shingles and half of the answer's words. Answers are passed over where either has none, with `answers` 'where both'. */
export function isNear(a: RowWords | null, b: RowWords | null, answers: 'always' | 'where both' = 'always'): boolean {
  if (a === null || b === null || a.numbers !== b.numbers) return false;
  const compareAnswers = answers === 'always' || (a.answer.size > 0 && b.answer.size > 0);
  return (!compareAnswers || jaccard(a.answer, b.answer) >= SHARED_ANSWER) && jaccard(a.shingles, b.shingles) >= SHARED_SHINGLES;
}

function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  let shared = 0;
  for (const item of small) if (large.has(item)) shared++;
  const union = a.size + b.size - shared;
  return union === 0 ? 1 : shared / union;
}

/** Words of rows by index, the ones asked for last kept at hand. */
export class WordsCache {
  readonly #read: (row: number) => Promise<RowWords | null>;
  readonly #held = new Map<number, RowWords | null>();

  constructor(read: (row: number) => Promise<RowWords | null>) {
    this.#read = read;
  }

  async of(row: number): Promise<RowWords | null> {
    const held = this.#held.get(row);
    if (held !== undefined) return held;
    const words = await this.#read(row);
    this.#held.set(row, words);
    if (this.#held.size > CACHED_ROWS) this.#held.delete(this.#held.keys().next().value!);
    return words;
  }
}
