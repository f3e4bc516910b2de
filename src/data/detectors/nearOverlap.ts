/**
 * Owns near overlap of two datasets: rows of the one that ask nearly what a row of the other asks. Their prompts share 75 % of their
 * three-word shingles and every number; where both have answers, these share half of their words, since a task's frame around
 * another text is another task. Refuses to know what is exactly the same.
 */
import type { Message } from '../types.ts';
import { pause } from '../pause.ts';
import { BANDS, Signatures } from './minHash.ts';
import { compareText, isNear, rowWords, WordsCache } from './rowWords.ts';

/** A band hash and a row number share one double: 32 + 21 bits. */
const MAX_ROWS = 2 ** 21;
/** Pairs that are compared; sets with more candidates are told so. */
const MAX_PAIRS = 400_000;
/** Rows of the other set that one row is compared with in a band. */
const PER_BAND = 4;

type Read = (row: number) => Promise<readonly Message[] | null>;

export class NearOverlap {
  readonly #one: Signatures;
  readonly #other: Signatures;

  /** @param rows of the one and of the other set; those beyond 2 million are not compared */
  constructor(rows: number, otherRows: number) {
    this.#one = new Signatures(Math.min(rows, MAX_ROWS));
    this.#other = new Signatures(Math.min(otherRows, MAX_ROWS));
  }

  add(side: 'one' | 'other', row: number, messages: readonly Message[]): void {
    (side === 'one' ? this.#one : this.#other).add(row, compareText(asked(messages)));
  }

  /** @param skip rows of the one set that are not asked about */
  async find(read: { one: Read; other: Read }, skip: ReadonlySet<number>, signal?: AbortSignal): Promise<{ rows: Int32Array; otherRows: Int32Array; partial: boolean }> {
    const bands = Array.from({ length: BANDS }, (_, band) => sortedBand(this.#other, band));
    const words = (of: Read) => new WordsCache(async (row) => {
      const messages = await of(row);
      return messages && rowWords(asked(messages), answered(messages));
    });
    const [mine, theirs] = [words(read.one), words(read.other)];
    const found: [number, number][] = [];
    let compared = 0;
    let partial = this.#one.has.length === MAX_ROWS || this.#other.has.length === MAX_ROWS;
    for (let row = 0; row < this.#one.has.length; row++) {
      if (row % 1024 === 0) {
        signal?.throwIfAborted();
        await pause();
      }
      if (this.#one.has[row] === 0 || skip.has(row)) continue;
      if (compared >= MAX_PAIRS) {
        partial = true;
        break;
      }
      const candidates = new Set(bands.flatMap((keys, band) => bucket(keys, this.#one.bands[row * BANDS + band]!)));
      for (const other of candidates) {
        compared++;
        if (!isNear(await mine.of(row), await theirs.of(other), 'where both')) continue;
        found.push([row, other]);
        break;
      }
    }
    return { rows: Int32Array.from(found, ([row]) => row), otherRows: Int32Array.from(found, ([, other]) => other), partial };
  }
}

const lastAnswer = (messages: readonly Message[]): number => messages.findLastIndex((message) => message.role === 'assistant' && !message.plain);

/** What a row asks: everything before its last answer but the system text, which is every row's. */
function asked(messages: readonly Message[]): readonly Message[] {
  const last = lastAnswer(messages);
  return messages.slice(0, last < 0 ? messages.length : last).filter((message) => message.role !== 'system');
}

const answered = (messages: readonly Message[]): readonly Message[] => messages.slice(lastAnswer(messages)).filter((message) => message.role === 'assistant' && !message.plain);

/** hash x MAX_ROWS + row of every row that has a signature, ascending. */
function sortedBand({ has, bands }: Signatures, band: number): Float64Array {
  const keys = new Float64Array(has.reduce((sum, one) => sum + one, 0));
  let used = 0;
  for (let row = 0; row < has.length; row++) if (has[row]) keys[used++] = bands[row * BANDS + band]! * MAX_ROWS + row;
  return keys.sort();
}

function bucket(keys: Float64Array, hash: number): number[] {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < hash * MAX_ROWS) low = middle + 1;
    else high = middle;
  }
  const rows: number[] = [];
  for (let i = low; i < keys.length && rows.length < PER_BAND && Math.floor(keys[i]! / MAX_ROWS) === hash; i++) rows.push(keys[i]! % MAX_ROWS);
  return rows;
}
