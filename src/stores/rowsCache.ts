/** Pages of rows for the table: fetched when they scroll into view, the oldest forgotten. Refuses to know which rows they are. */
import type { UserMessage } from '../config/errors.ts';
import type { Message, Mapping, ViewRow } from './types.ts';
import { failure, request } from './worker.ts';

export const PAGE = 100;
const KEPT_PAGES = 40;
/** Requests under way at once: what is dragged past meanwhile is forgotten again, not fetched. */
const AT_ONCE = 2;
/** Pages that wait; of more, those asked for longest ago are out of sight. */
const WAITING = 3;

interface Page<Row> { rows: Row[]; stale: boolean }

export class RowsCache<Row> {
  readonly #fetch: (offset: number, limit: number) => Promise<Row[]>;
  readonly #changed: () => void;
  readonly #pages = new Map<number, Page<Row>>();
  /** Pages on their way; true once what comes is out of date already. */
  readonly #loading = new Map<number, boolean>();
  /** Pages to fetch, the one seen last at the end. */
  #waiting: number[] = [];
  #closed = false;
  error: UserMessage | null = null;

  constructor(fetch: (offset: number, limit: number) => Promise<Row[]>, changed: () => void) {
    this.#fetch = fetch;
    this.#changed = changed;
  }

  /** The row, or null while its page is on its way. A stale row stays until its page has come anew. */
  get(place: number): Row | null {
    const number = Math.floor(place / PAGE);
    const page = this.#pages.get(number);
    if ((!page || page.stale) && !this.#loading.has(number) && this.error === null) this.#want(number);
    return page?.rows[place % PAGE] ?? null;
  }

  /** Rows at `place` and behind it may be others now. */
  refresh(place = 0): void {
    const after = (number: number): boolean => (number + 1) * PAGE > place;
    for (const [number, page] of this.#pages) if (after(number)) page.stale = true;
    for (const number of this.#loading.keys()) if (after(number)) this.#loading.set(number, true);
    this.error = null;
  }

  /** Fetches again after a close: React takes a component away and puts it back in development. */
  open(): void {
    this.#closed = false;
  }

  /** Nothing is fetched any more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  #want(number: number): void {
    this.#waiting = [...this.#waiting.filter((n) => n !== number), number].slice(-WAITING);
    // Not while a table is being drawn: what it asks for in one go is one round.
    queueMicrotask(() => this.#next());
  }

  #next(): void {
    while (!this.#closed && this.#loading.size < AT_ONCE && this.#waiting.length > 0) void this.#load(this.#waiting.pop()!);
  }

  async #load(number: number): Promise<void> {
    this.#loading.set(number, false);
    try {
      const rows = await this.#fetch(number * PAGE, PAGE);
      // Deleting and setting puts the page last in the order of the map, so the first one is the oldest.
      this.#pages.delete(number);
      this.#pages.set(number, { rows, stale: this.#loading.get(number)! });
      for (const key of [...this.#pages.keys()].slice(0, Math.max(0, this.#pages.size - KEPT_PAGES))) this.#pages.delete(key);
    } catch (error) {
      this.error = failure(error);
    } finally {
      this.#loading.delete(number);
    }
    if (this.#closed) return;
    this.#changed();
    this.#next();
  }
}

/** The rows of a view the worker holds. */
export const viewRows = (viewId: string, changed: () => void): RowsCache<ViewRow> =>
  new RowsCache((offset, limit) => request('data.viewRows', { viewId, offset, limit }), changed);

/** A row as messages under a mapping that is only tried; the message of the failure where it does not fit. */
export async function previewRow(datasetId: string, index: number, mapping?: Mapping): Promise<Message[] | { error: UserMessage }> {
  try {
    return await request('data.preview', { datasetId, index, ...(mapping ? { mapping } : {}) });
  } catch (error) {
    return { error: failure(error) ?? { code: 'cancelled', what: 'Cancelled.' } };
  }
}

/** The rejected answer of a row under a mapping that is only tried; null where there is none. */
export const previewRejected = (datasetId: string, index: number, mapping: Mapping): Promise<string | null> =>
  (mapping.rejected === undefined ? Promise.resolve(null) : request('data.rejected', { datasetId, index, mapping }).catch(() => null));
