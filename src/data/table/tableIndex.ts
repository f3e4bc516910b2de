/**
 * Owns the table of one dataset in memory: its columns with edits, fixes and split laid over them, and the answer which rows
 * a view has and in which order. About 17 bytes a row. Refuses to read rows.
 */
import { factsOf, MARKS } from '../quality.ts';
import { TASK_TYPES } from '../taskTypes.ts';
import type { Message } from '../types.ts';
import { joinColumns, repeatsOf, setRepeats, setRow, type Columns } from './columns.ts';
import { sortRows } from './sortRows.ts';
import type { Range, RowView } from './types.ts';

const LIVE = 1;
const WRITTEN = 2;
const HELD = 4;
const LEFT_OUT = 8;

/** Room for rows that are added, made in steps. */
const ROOM = 1024;

export class TableIndex {
  #columns: Columns;
  #flags: Uint8Array;
  /** Hashes of contents by row, 0 for rows that are not there; read only once rows change. */
  #contents: Float64Array | null = null;

  constructor(chunks: readonly Columns[], repeats: Int32Array) {
    this.#columns = joinColumns(chunks);
    this.#flags = new Uint8Array(this.#columns.rows).fill(LIVE);
    for (const row of repeats) setRepeats(this.#columns, row, true);
  }

  /** Indices are below. */
  get rows(): number {
    return this.#columns.rows;
  }

  get knowsContents(): boolean {
    return this.#contents !== null;
  }

  /** Needed before the first `write`. */
  setContents(contents: Float64Array): void {
    this.#contents = contents;
  }

  /** Takes over what a row says now: null for one that is gone. `mark`: also which rows are copies now. */
  write(row: number, now: { line: number; messages: readonly Message[] | null; byHand: boolean } | null, mark = true): void {
    this.#makeRoom(row + 1);
    const contents = this.#contents!;
    const before = contents[row] ?? 0;
    const facts = factsOf(now?.messages ?? null);
    this.#flags[row] = (this.#flags[row]! & HELD) | (now ? LIVE : 0) | (now?.byHand ? WRITTEN : 0);
    setRow(this.#columns, row, now?.line ?? 0, facts);
    contents[row] = now ? facts.hash : 0;
    if (mark) for (const hash of new Set([before, facts.hash])) this.#markCopies(hash);
  }

  /** Looks for copies among all rows: after many were written without. */
  remark(): void {
    const contents = this.#contents!;
    const repeats = new Set(repeatsOf(contents.subarray(0, this.rows)));
    for (let row = 0; row < this.rows; row++) setRepeats(this.#columns, row, repeats.has(row));
  }

  setLeftOut(rows: Iterable<number>): void {
    this.#setFlag(LEFT_OUT, rows);
  }

  setHeld(rows: Iterable<number>): void {
    this.#setFlag(HELD, rows);
  }

  is(row: number): { live: boolean; written: boolean; held: boolean; leftOut: boolean; repeats: boolean } {
    const flags = this.#flags[row]!;
    return { live: (flags & LIVE) !== 0, written: (flags & WRITTEN) !== 0, held: (flags & HELD) !== 0, leftOut: (flags & LEFT_OUT) !== 0, repeats: (this.#columns.marks[row]! & MARKS.repeats) !== 0 };
  }

  /** Characters of all turns. */
  charsOf(row: number): number {
    return this.#columns.answer[row]! + this.#columns.prompt[row]!;
  }

  lineOf(row: number): number {
    return this.#columns.line[row]!;
  }

  /** Rows that meet every condition but the search, in order. @param found rows of the finding, where one is asked for */
  filter({ where }: RowView, found: Int32Array | null): Int32Array {
    const { answer, prompt, task, quality, rows } = this.#columns;
    const tasks = where.task && new Uint8Array(TASK_TYPES.length).map((_, i) => (where.task!.includes(TASK_TYPES[i]!) ? 1 : 0));
    const inFinding = found && new Uint8Array(rows);
    if (inFinding) for (const row of found) inFinding[row] = 1;
    // Flags that must be set, of those that are looked at.
    const looked = LIVE | LEFT_OUT | (where.edited === undefined ? 0 : WRITTEN) | (where.held === undefined ? 0 : HELD);
    const wanted = LIVE | (where.leftOut ? LEFT_OUT : 0) | (where.edited ? WRITTEN : 0) | (where.held ? HELD : 0);
    const isIn = (value: number, range: Range | undefined): boolean => !range || (value >= range[0] && value <= range[1]);
    const byFlagsAlone = !tasks && !inFinding && !where.quality && !where.answer && !where.prompt;
    const kept = new Int32Array(rows);
    let count = 0;
    for (let row = 0; row < rows; row++) {
      if ((this.#flags[row]! & looked) !== wanted) continue;
      if (byFlagsAlone) {
        kept[count++] = row;
        continue;
      }
      if (tasks && tasks[task[row]!] === 0) continue;
      if (inFinding && inFinding[row] === 0) continue;
      if (!isIn(quality[row]!, where.quality) || !isIn(answer[row]!, where.answer) || !isIn(prompt[row]!, where.prompt)) continue;
      kept[count++] = row;
    }
    return kept.slice(0, count);
  }

  /** Rows in the view's order; the array given may be overwritten. */
  sort(rows: Int32Array, { by, descending }: RowView['sort']): Int32Array {
    const columns = this.#columns;
    if (by === 'row') return descending ? rows.reverse() : rows;
    const keys = new Uint32Array(rows.length);
    if (by === 'total') for (let i = 0; i < keys.length; i++) keys[i] = this.charsOf(rows[i]!);
    else if (by === 'task') for (let i = 0; i < keys.length; i++) keys[i] = BY_NAME[columns.task[rows[i]!]!]!;
    else for (let i = 0; i < keys.length; i++) keys[i] = columns[by][rows[i]!]!;
    return sortRows(rows, keys, descending);
  }

  #setFlag(flag: number, rows: Iterable<number>): void {
    for (let row = 0; row < this.rows; row++) this.#flags[row] = this.#flags[row]! & ~flag;
    for (const row of rows) if (row < this.rows) this.#flags[row] = this.#flags[row]! | flag;
  }

  /** The first live row of a content is told once, the others repeat it. */
  #markCopies(hash: number): void {
    if (hash === 0) return;
    const contents = this.#contents!;
    for (let row = contents.indexOf(hash), first = true; row >= 0; row = contents.indexOf(hash, row + 1), first = false) setRepeats(this.#columns, row, !first);
  }

  #makeRoom(rows: number): void {
    const columns = this.#columns;
    if (rows <= columns.rows) return;
    if (rows > this.#flags.length) {
      this.#columns = joinColumns([columns], rows + ROOM);
      const [flags, contents] = [new Uint8Array(rows + ROOM), new Float64Array(rows + ROOM)];
      flags.set(this.#flags);
      contents.set(this.#contents!.subarray(0, flags.length));
      this.#flags = flags;
      this.#contents = contents;
    }
    this.#columns = { ...this.#columns, rows };
  }
}

/** Place of each task in the order of names, which is how a person looks for them. */
const BY_NAME = TASK_TYPES.map((task) => [...TASK_TYPES].sort().indexOf(task));
