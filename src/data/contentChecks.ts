/**
 * Owns the detectors that judge what rows say, one pass and a few numbers a row: those that look at one row, and those
 * that compare all (near duplicates, lengths, languages). Refuses to know tokens and words of findings.
 */
import { alternation } from './detectors/alternation.ts';
import { lengthOutliers, type LengthOutliers } from './detectors/answerLength.ts';
import { echo } from './detectors/echo.ts';
import { edgeSpace } from './detectors/edgeSpace.ts';
import { languageOfRow } from './detectors/language.ts';
import { mojibake } from './detectors/mojibake.ts';
import { NearDuplicates, type NearDuplicateResult } from './detectors/nearDuplicates.ts';
import { pii } from './detectors/pii.ts';
import { refusals } from './detectors/refusals.ts';
import type { RowLook } from './detectors/rowLook.ts';
import type { Tally } from './findings.ts';
import { taskOf, TASK_TYPES, type TaskType } from './taskTypes.ts';
import type { Message } from './types.ts';

export const ROW_LOOKS: readonly RowLook[] = [refusals, echo, mojibake, pii, alternation, edgeSpace];

/** A language with fewer rows than this share is named as foreign to the set. */
const MINORITY = 0.4;

export interface ContentResult {
  lengths: LengthOutliers;
  /** Rows by language, the commonest first; rows whose language is not known are left out. */
  languages: [language: string, rows: number][];
  near: NearDuplicateResult | null;
  /** Rows by what they ask for. */
  tasks: ReadonlyMap<TaskType, number>;
  /** The same of each row, a place in TASK_TYPES. */
  taskOfRow: Uint8Array;
}

export class ContentChecks {
  readonly #near: NearDuplicates | null;
  readonly #answerChars: Int32Array;
  /** 0 for unknown, else 1 + index into #languages. */
  readonly #languageOf: Uint8Array;
  readonly #languages: string[] = [];
  readonly #tasks = new Map<TaskType, number>();
  readonly #taskOf: Uint8Array;

  /** `compare`: also find near duplicates, for which `end` must be able to read rows again. */
  constructor(rows: number, compare: boolean) {
    this.#near = compare ? new NearDuplicates(rows) : null;
    this.#answerChars = new Int32Array(rows);
    this.#languageOf = new Uint8Array(rows);
    this.#taskOf = new Uint8Array(rows).fill(TASK_TYPES.indexOf('other'));
  }

  see(row: number, messages: readonly Message[], tally: Tally): void {
    for (const { kind, look } of ROW_LOOKS) {
      const found = look(messages);
      if (found === null) continue;
      tally.note(row, kind);
      tally.words(kind, found);
    }
    const task = taskOf(messages);
    this.#taskOf[row] = TASK_TYPES.indexOf(task);
    this.#tasks.set(task, (this.#tasks.get(task) ?? 0) + 1);
    let chars = 0;
    for (const { role, content, plain } of messages) if (role === 'assistant' && !plain) chars += content.trim().length;
    this.#answerChars[row] = chars;
    const language = languageOfRow(messages);
    if (language !== null) {
      if (!this.#languages.includes(language)) this.#languages.push(language);
      this.#languageOf[row] = 1 + this.#languages.indexOf(language);
    }
    this.#near?.add(row, messages);
  }

  /** `copies`: rows that repeat an earlier one exactly; they are no near duplicates. */
  async end(tally: Tally, copies: Int32Array, read: ((rows: number[]) => Promise<(readonly Message[] | null)[]>) | undefined, signal?: AbortSignal): Promise<ContentResult> {
    const lengths = lengthOutliers(this.#answerChars);
    for (const row of lengths.short) tally.note(row, 'short-answer');
    for (const row of lengths.long) tally.note(row, 'long-answer');
    const counts = this.#languages.map((language, i) => [language, this.#languageOf.reduce((n, at) => n + (at === i + 1 ? 1 : 0), 0)] as [string, number]);
    const known = counts.reduce((sum, [, count]) => sum + count, 0);
    const foreign = new Set(this.#languages.flatMap((_, i) => (counts[i]![1] < MINORITY * known ? [i + 1] : [])));
    for (const [row, at] of this.#languageOf.entries()) if (foreign.has(at)) tally.note(row, 'language-mix');
    this.#near?.leaveOut(copies);
    const near = this.#near && read ? await this.#near.find(read, signal) : null;
    for (const row of near?.rows ?? []) tally.note(row, 'near-duplicate');
    return { lengths, languages: counts.sort((a, b) => b[1] - a[1]), near, tasks: this.#tasks, taskOfRow: this.#taskOf };
  }
}
