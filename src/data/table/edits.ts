/**
 * Owns what edits make of a dataset's rows: some read otherwise, some are gone, some were added behind the file's own. The
 * stored rows stay as they are, and an index is never used again, so that whatever names a row by it stays right.
 * Refuses to know where edits are kept.
 */
import type { Change } from '../changes.ts';
import type { DatasetSummary, Message, StoredRow } from '../types.ts';
import type { EditSummary } from './types.ts';

/** An edit as it is kept, in force until it is taken back. */
export interface StoredEdit {
  id: string;
  /** Its place in the order of edits. */
  number: number;
  kind: EditSummary['kind'];
  /** Milliseconds since 1970. */
  at: number;
  rows: Int32Array;
  /** Lines of those rows; 0 for one that was added. */
  lines: Int32Array;
  /** What the row says now (edit, add). */
  messages?: Message[];
  /** Switches of the row's turns that meant other turns than it has now. */
  turnsBefore?: Record<number, boolean>;
}

/** What is known of a dataset's edits without reading them. */
export interface EditHead {
  /** Changes with every edit, and tells two tabs apart. */
  stamp: string;
  /** Of the next edit. */
  number: number;
  /** Index of the next row that is added. */
  next: number;
  edited: number;
  added: number;
  deleted: number;
}

/** Line of a row that no file has. */
export const NO_LINE = 0;

export class EditedRows {
  /** Rows the import stored; those behind were added. */
  readonly base: number;
  /** Indices are below. */
  readonly next: number;
  /** In force, oldest first. */
  readonly edits: readonly StoredEdit[];
  readonly head: EditHead;
  /** The last edit that wrote a row. */
  readonly #written = new Map<number, StoredEdit>();
  readonly #deletedAt = new Map<number, number>();
  readonly #added = new Set<number>();

  constructor(base: number, head: EditHead, edits: readonly StoredEdit[]) {
    this.base = base;
    this.next = head.next;
    this.head = head;
    this.edits = edits;
    for (const edit of edits) {
      for (const row of edit.rows) {
        if (edit.kind === 'delete') {
          this.#deletedAt.set(row, edit.at);
          continue;
        }
        this.#written.set(row, edit);
        if (edit.kind === 'add') this.#added.add(row);
      }
    }
  }

  /** The row is there: not deleted, and no added row that was taken back. */
  isLive(row: number): boolean {
    return row >= 0 && row < this.next && !this.#deletedAt.has(row) && (row < this.base || this.#added.has(row));
  }

  /** Written by hand: edited or added. */
  isWritten(row: number): boolean {
    return this.#written.has(row);
  }

  /** Rows written by hand that are there, in order. */
  written(): number[] {
    return [...this.#written.keys()].filter((row) => this.isLive(row)).sort((a, b) => a - b);
  }

  /** Rows that were deleted. */
  deleted(): number[] {
    return [...this.#deletedAt.keys()].sort((a, b) => a - b);
  }

  /** Rows that were added and are there, in order. */
  added(): number[] {
    return [...this.#added].filter((row) => this.isLive(row)).sort((a, b) => a - b);
  }

  /** The row is there, and nobody has written it since. */
  isUntouchedSince(row: number, at: number): boolean {
    return this.isLive(row) && (this.#written.get(row)?.at ?? 0) <= at;
  }

  /** A stored row as it reads now. */
  read(row: StoredRow): StoredRow {
    const messages = this.#written.get(row.index)?.messages;
    return messages ? { ...row, edited: messages } : row;
  }

  /** A row that was added, deleted ones included; null for what never was one or was taken back. */
  addedRow(index: number): StoredRow | null {
    if (!this.#added.has(index)) return null;
    const { messages } = this.#written.get(index)!;
    return { index, line: NO_LINE, value: {}, edited: messages! };
  }

  /** Edits that are left without one of them. An added row that is taken back takes its later edits with it. */
  without(edit: StoredEdit): StoredEdit[] {
    const [row] = edit.rows;
    return this.edits.filter((other) => other !== edit && !(edit.kind === 'add' && other.kind === 'edit' && other.rows[0] === row));
  }

  counts(): Pick<EditHead, 'edited' | 'added' | 'deleted'> {
    const added = this.added().length;
    return { edited: this.written().length - added, added, deleted: this.deleted().filter((row) => row < this.base).length };
  }
}

/** A summary of stored rows as their edits leave them. */
export function summaryAfter(summary: DatasetSummary, head: EditHead | undefined): DatasetSummary {
  if (!head) return summary;
  const { edited, added, deleted, next } = head;
  return { ...summary, rows: summary.rows + added - deleted, edits: { edited, added, deleted, next } };
}

/** One beyond the largest index of a dataset's rows: what a list by index must have room for. */
export const indexBound = ({ rows, edits }: Pick<DatasetSummary, 'rows' | 'edits'>): number => edits?.next ?? rows;

const LISTED = 12;
const count = (n: number): string => (n === 1 ? '1 row' : `${n.toLocaleString('en')} rows`);
const placeOf = (row: number, line: number): string => `Row ${(row + 1).toLocaleString('en')}${line === NO_LINE ? '' : ` (line ${line.toLocaleString('en')})`}`;

export function editSummary({ id, kind, rows, lines, at }: StoredEdit): EditSummary {
  const done = { edit: 'edited', add: 'added', delete: 'deleted' }[kind];
  if (rows.length === 1) return { id, kind, rows: 1, at, words: `${placeOf(rows[0]!, lines[0]!)} was ${done}` };
  const named = [...rows.subarray(0, LISTED)].map((row) => (row + 1).toLocaleString('en'));
  return { id, kind, rows: rows.length, at, words: `${count(rows.length)} were ${done}: ${named.join(', ')}${rows.length > LISTED ? ', …' : ''}` };
}

/** What was done by hand, for the record of changes. `fileOf` names the file of a row, where there are several. */
export function changesOfEdits(edits: readonly StoredEdit[], fileOf: (row: number) => string | undefined = () => undefined): Change[] {
  const action = { edit: 'changed', add: 'added', delete: 'dropped' } as const;
  return edits.flatMap(({ kind, rows, lines, at }) => Array.from(rows, (row, i): Change => {
    const file = fileOf(row);
    return { line: lines[i]!, row, action: action[kind], by: 'hand', reason: `${{ edit: 'edited', add: 'typed', delete: 'deleted' }[kind]} on ${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`, ...(file === undefined ? {} : { file }) };
  }));
}

/** The file a row was read from, where a dataset has several. */
export function fileOfRow(files: DatasetSummary['files'], row: number): string | undefined {
  let from = 0;
  for (const { name, rows } of files ?? []) {
    from += rows;
    if (row < from) return name;
  }
  return undefined;
}
