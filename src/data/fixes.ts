/**
 * Owns what applied fixes do to stored rows: rows left out, contents trimmed. The stored rows stay as they are, so that
 * undoing a fix is forgetting it. Refuses to know why a fix was made.
 */
import type { Change } from './changes.ts';
import type { Snapshot } from './store.ts';
import type { AppliedFix, StoredRow } from './types.ts';

/** A dataset as its fixes leave it. Indices stay those of the stored rows. */
export class FixedRows {
  readonly #store: Pick<Snapshot, 'rows' | 'rowsAt'>;
  readonly #id: string;
  readonly #trimmed = new Set<number>();
  /** Rows that must not reach the trainer. */
  readonly leftOut = new Set<number>();

  constructor(store: Pick<Snapshot, 'rows' | 'rowsAt'>, id: string, fixes: readonly AppliedFix[]) {
    this.#store = store;
    this.#id = id;
    for (const fix of fixes) for (const row of fix.rows) (fix.action === 'drop' ? this.leftOut : this.#trimmed).add(row);
  }

  /** Rows that are left, in file order. */
  async *rows(): AsyncGenerator<StoredRow> {
    for await (const row of this.#store.rows(this.#id)) if (!this.leftOut.has(row.index)) yield this.read(row);
  }

  /** Rows by index, those left out included: the inspector shows them too. */
  async rowsAt(_id: string, indices: ArrayLike<number>): Promise<StoredRow[]> {
    return (await this.#store.rowsAt(this.#id, indices)).map((row) => this.read(row));
  }

  /** A row as fixes leave it. */
  read(row: StoredRow): StoredRow {
    if (!this.#trimmed.has(row.index)) return row;
    const edited = row.edited?.map((message) => ({ ...message, content: message.content.trim() }));
    return { ...row, value: trimmed(row.value), ...(edited ? { edited } : {}) };
  }
}

/** Every text of a row without white space at its ends. */
function trimmed(value: unknown): unknown {
  if (typeof value === 'string') return value.trim();
  if (Array.isArray(value)) return value.map(trimmed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, trimmed(item)]));
}

/** What fixes did, for the record of changes; a row that one fix leaves out is not named by later ones. */
export function changesOfFixes(fixes: readonly AppliedFix[]): Change[] {
  const gone = new Set<number>();
  return fixes.flatMap((fix) => Array.from(fix.rows, (row, i): Change | null => {
    if (gone.has(row)) return null;
    if (fix.action === 'drop') gone.add(row);
    return { line: fix.lines[i]!, row, action: fix.action === 'drop' ? 'dropped' : 'changed', by: 'fix', reason: fix.title };
  }).filter((change) => change !== null));
}
