/** Pages of rows for the table: fetched when they scroll into view, the oldest forgotten. */
import type { UserMessage } from '../config/errors.ts';
import type { DisplayRow, Message, Mapping } from './types.ts';
import { failure, request } from './worker.ts';

export const PAGE = 100;
const KEPT_PAGES = 40;

export class RowsCache {
  readonly #datasetId: string;
  readonly #changed: () => void;
  readonly #pages = new Map<number, DisplayRow[] | 'loading'>();
  error: UserMessage | null = null;

  constructor(datasetId: string, changed: () => void) {
    this.#datasetId = datasetId;
    this.#changed = changed;
  }

  /** The row, or null while its page is on its way. */
  get(index: number): DisplayRow | null {
    const page = Math.floor(index / PAGE);
    const rows = this.#pages.get(page);
    if (rows === undefined) void this.#load(page);
    return Array.isArray(rows) ? rows[index % PAGE] ?? null : null;
  }

  async #load(page: number): Promise<void> {
    this.#pages.set(page, 'loading');
    try {
      const rows = await request('data.rows', { datasetId: this.#datasetId, offset: page * PAGE, limit: PAGE });
      // Deleting and setting puts the page last in the order of the map, so the first one is the oldest.
      this.#pages.delete(page);
      this.#pages.set(page, rows);
      for (const key of [...this.#pages.keys()].slice(0, Math.max(0, this.#pages.size - KEPT_PAGES))) this.#pages.delete(key);
    } catch (error) {
      this.error = failure(error);
    }
    this.#changed();
  }
}

/** A row as messages under a mapping that is only tried; the message of the failure where it does not fit. */
export async function previewRow(datasetId: string, index: number, mapping: Mapping): Promise<Message[] | { error: UserMessage }> {
  try {
    return await request('data.preview', { datasetId, index, mapping });
  } catch (error) {
    return { error: failure(error) ?? { code: 'cancelled', what: 'Cancelled.' } };
  }
}
