/**
 * Owns the columns by which the table filters and sorts: 16 bytes a row in typed arrays, and 8 more of hashes that are
 * read only where rows are compared. Made while a file is imported, or from the stored rows of an older import.
 * Refuses to know where they are kept.
 */
import { factsOf, MARKS, qualityOf, type RowFacts } from '../quality.ts';
import { TASK_TYPES } from '../taskTypes.ts';
import type { Message } from '../types.ts';

/** Rows of a chunk of columns; every chunk but the last is full. */
export const COLUMN_ROWS = 65_536;

/** Columns of rows [0, rows). */
export interface Columns {
  rows: number;
  /** Characters of the answers, and of all other turns. */
  answer: Uint32Array;
  prompt: Uint32Array;
  /** In the file, from 1; 0 for a row that was added. */
  line: Uint32Array;
  /** Place in TASK_TYPES. */
  task: Uint8Array;
  /** 0 to 100. Chunks do not know which rows repeat others: `setRepeats` says it. */
  quality: Uint8Array;
  /** Of MARKS. */
  marks: Uint16Array;
}

/** Hashes of rows [0, rows), equal for equal conversations; 0 for a row without one. */
export interface Hashes {
  content: Float64Array;
}

/** Where columns go while they are made. */
export interface ColumnTarget {
  putColumns(chunk: number, columns: Columns, hashes: Hashes): Promise<void>;
  /** Behind the last chunk: rows that repeat an earlier one. */
  putRepeats(rows: Int32Array): Promise<void>;
}

export const newColumns = (rows: number): Columns => ({
  rows, answer: new Uint32Array(rows), prompt: new Uint32Array(rows), line: new Uint32Array(rows),
  task: new Uint8Array(rows), quality: new Uint8Array(rows), marks: new Uint16Array(rows),
});

/** Writes what is known of a row at its place. */
export function setRow(columns: Columns, at: number, line: number, facts: RowFacts): void {
  columns.answer[at] = facts.answerChars;
  columns.prompt[at] = facts.promptChars;
  columns.line[at] = line;
  columns.task[at] = TASK_TYPES.indexOf(facts.task);
  columns.quality[at] = qualityOf(facts);
  columns.marks[at] = facts.marks;
}

/** Takes rows in order and hands full chunks on. */
export class ColumnWriter {
  readonly #target: ColumnTarget;
  readonly #columns = newColumns(COLUMN_ROWS);
  readonly #content = new Float64Array(COLUMN_ROWS);
  #at = 0;
  readonly #contents: Float64Array[] = [];

  constructor(target: ColumnTarget) {
    this.#target = target;
  }

  /** True when `flush` must be awaited before the next row. */
  get full(): boolean {
    return this.#at === COLUMN_ROWS;
  }

  /** `messages` null where the row makes no conversation. */
  add(line: number, messages: readonly Message[] | null): void {
    const facts = factsOf(messages);
    setRow(this.#columns, this.#at, line, facts);
    this.#content[this.#at++] = facts.hash;
  }

  /** Hands the last rows on, and which rows repeat an earlier one. */
  async finish(): Promise<void> {
    if (this.#at > 0) await this.flush();
    await this.#target.putRepeats(repeatsOf(joinHashes(this.#contents)));
  }

  async flush(): Promise<void> {
    const rows = this.#at;
    const { answer, prompt, line, task, quality, marks } = this.#columns;
    const columns: Columns = {
      rows, answer: answer.slice(0, rows), prompt: prompt.slice(0, rows), line: line.slice(0, rows),
      task: task.slice(0, rows), quality: quality.slice(0, rows), marks: marks.slice(0, rows),
    };
    const hashes: Hashes = { content: this.#content.slice(0, rows) };
    this.#at = 0;
    this.#contents.push(hashes.content);
    await this.#target.putColumns(this.#contents.length - 1, columns, hashes);
  }
}

const NAMES = ['answer', 'prompt', 'line', 'task', 'quality', 'marks'] as const;

/** One set of columns of chunks in order, with room for rows up to `most`. */
export function joinColumns(chunks: readonly Columns[], most = 0): Columns {
  const rows = chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
  const joined = newColumns(Math.max(rows, most));
  let at = 0;
  for (const chunk of chunks) {
    for (const name of NAMES) joined[name].set(chunk[name].subarray(0, chunk.rows), at);
    at += chunk.rows;
  }
  return { ...joined, rows };
}

export function joinHashes(chunks: readonly Float64Array[], most = 0): Float64Array {
  const joined = new Float64Array(Math.max(most, chunks.reduce((sum, { length }) => sum + length, 0)));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}

/** What 'Told once' adds to a row's quality. */
const ONCE = qualityOf({ ...factsOf(null), marks: 0 }) - qualityOf({ ...factsOf(null), marks: MARKS.repeats });

/** A row repeats an earlier one, or no longer does. */
export function setRepeats(columns: Columns, row: number, repeats: boolean): void {
  if (((columns.marks[row]! & MARKS.repeats) !== 0) === repeats) return;
  columns.marks[row] = columns.marks[row]! ^ MARKS.repeats;
  columns.quality[row] = columns.quality[row]! + (repeats ? -ONCE : ONCE);
}

/** Slots for a first look at hashes: only those that share one are compared. */
const SLOTS = 2 ** 22;

/** Rows whose hash an earlier one has, in order; hashes of 0 are no rows. */
export function repeatsOf(content: Float64Array): Int32Array {
  const slots = new Uint8Array(SLOTS);
  const slotOf = (hash: number): number => (hash >>> 0) & (SLOTS - 1);
  for (const hash of content) if (hash !== 0 && slots[slotOf(hash)]! < 2) slots[slotOf(hash)]!++;
  const seen = new Set<number>();
  const repeats: number[] = [];
  for (let row = 0; row < content.length; row++) {
    const hash = content[row]!;
    if (hash === 0 || slots[slotOf(hash)]! < 2) continue;
    if (seen.has(hash)) repeats.push(row);
    else seen.add(hash);
  }
  return Int32Array.from(repeats);
}
