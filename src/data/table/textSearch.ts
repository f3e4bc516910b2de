/**
 * Owns the search for a text in rows: in every field's text, whatever its case, and in what JSON text in a field says.
 * Refuses to know where rows come from and who shows the hits.
 */
import type { StoredRow } from '../types.ts';

export type Matches = (row: StoredRow) => boolean;

/** A row matches where one of its texts holds `search`; a row edited by hand by what it says now. */
export function matcher(search: string): Matches {
  const pattern = new RegExp(search.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'), 'i');
  const has = (value: unknown): boolean => {
    if (typeof value === 'string') return pattern.test(value) || (isJson(value) && has(parsed(value)));
    if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return pattern.test(String(value));
    if (typeof value !== 'object' || value === null) return false;
    if (Array.isArray(value)) return value.some(has);
    for (const name in value) if (has((value as Record<string, unknown>)[name])) return true;
    return false;
  };
  return ({ value, edited }) => (edited ? edited.some(({ content, toolCalls }) => has(content) || has(toolCalls)) : has(value));
}

/** Lists and objects as text, whose quotes and letters may be written otherwise there. */
const isJson = (text: string): boolean => (text.startsWith('[') || text.startsWith('{')) && text.includes('\\');

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export interface SearchProgress {
  /** Rows looked at. */
  searched: number;
  /** Hits so far. */
  hits: number;
}

/** Looks through batches of rows and hands on the indices that match; `isCandidate` leaves others out unseen. */
export async function searchRows(
  batches: AsyncIterable<readonly StoredRow[]>, matches: Matches, isCandidate: (row: number) => boolean,
  found: (rows: number[], lastSeen: number) => void, signal: AbortSignal,
): Promise<void> {
  for await (const batch of batches) {
    if (signal.aborted) return;
    const hits: number[] = [];
    for (const row of batch) if (isCandidate(row.index) && matches(row)) hits.push(row.index);
    const last = batch.at(-1);
    if (last) found(hits, last.index);
  }
}
