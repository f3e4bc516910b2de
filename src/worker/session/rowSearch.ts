/** Owns one search under way: looks through rows batch by batch, tells how far it is, and can be cancelled. Refuses to know the order of its hits. */
import { toUserMessage } from '../../config/errors.ts';
import { matcher, searchRows } from '../../data/table/textSearch.ts';
import type { StoredRow } from '../../data/types.ts';
import type { ViewEvent } from '../protocolRows.ts';

/** Milliseconds between two words of a search; the first hit is told at once. */
const TELL_EVERY = 100;

export interface SearchParts {
  search: string;
  /** Rows that may match, in order. */
  candidates: Int32Array;
  /** Indices are below. */
  bound: number;
  /** In order; those that are not candidates may be among them. */
  rows: AsyncIterable<readonly StoredRow[]>;
}

type Tell = (progress: Pick<ViewEvent, 'count' | 'searched' | 'done' | 'problem'>) => void;

export class RowSearch {
  readonly #parts: SearchParts;
  readonly #tell: Tell;
  readonly #abort = new AbortController();
  #hits = new Int32Array(256);
  #count = 0;
  #taken = 0;
  #searched = 0;
  ended = false;

  constructor(parts: SearchParts, tell: Tell) {
    this.#parts = parts;
    this.#tell = tell;
  }

  /** There are hits that `takeHits` has not given. */
  get hasNews(): boolean {
    return this.#count > this.#taken;
  }

  /** All hits so far, in the order of rows. */
  takeHits(): Int32Array {
    this.#taken = this.#count;
    return this.#hits.slice(0, this.#count);
  }

  cancel(): void {
    this.#abort.abort();
    this.ended = true;
  }

  /** Never rejects: what cannot be read ends the search where it is, and is told. */
  async run(): Promise<void> {
    const { search, candidates, bound, rows } = this.#parts;
    const wanted = new Uint8Array(bound);
    for (const row of candidates) wanted[row] = 1;
    let told = 0;
    const found = (hits: number[], last: number): void => {
      const isFirst = this.#count === 0 && hits.length > 0;
      this.#add(hits);
      this.#searched = last + 1;
      if (!isFirst && performance.now() - told < TELL_EVERY) return;
      told = performance.now();
      this.#tell({ count: this.#count, searched: this.#searched, done: false });
    };
    const problem = await searchRows(rows, matcher(search), (row) => wanted[row] === 1, found, this.#abort.signal).then(() => null, toUserMessage);
    if (this.#abort.signal.aborted) return;
    this.ended = true;
    this.#tell({ count: this.#count, searched: problem ? this.#searched : bound, done: true, ...(problem ? { problem } : {}) });
  }

  #add(hits: readonly number[]): void {
    if (this.#count + hits.length > this.#hits.length) {
      const grown = new Int32Array(Math.max(this.#hits.length * 2, this.#count + hits.length));
      grown.set(this.#hits);
      this.#hits = grown;
    }
    this.#hits.set(hits, this.#count);
    this.#count += hits.length;
  }
}
