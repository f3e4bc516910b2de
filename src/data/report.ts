/**
 * Owns the honest report before training: one pass over the stored rows, keeping a few small numbers a row and never
 * the rows. It also gives the index that split, packing and loader work from. Refuses to know how findings are shown.
 */
import { messagesOf } from './encodedRows.ts';
import { adviseOn } from './advice.ts';
import { ContentChecks } from './contentChecks.ts';
import type { NearDuplicateResult } from './detectors/nearDuplicates.ts';
import { placeholdersOf } from './detectors/placeholder.ts';
import { sharedPrompts } from './detectors/sharedPrompts.ts';
import { CALLS_TOOLS, describeFindings, type Tally } from './findings.ts';
import { pause } from './pause.ts';
import { hashText } from './random.ts';
import { clustersOf, histogram, RowShapes } from './reportCharts.ts';
import { promptHash } from './split.ts';
import { indexBound } from './table/edits.ts';
import { MaskRefusal } from './templates/rendered.ts';
import type { RowEncoder } from './template.ts';
import { IGNORE_INDEX } from './template.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { DataReport, DatasetSummary, FindingKind, Message, StoredRow } from './types.ts';

/** What split, packing and loader need of every row, by dataset index. */
export interface RowIndex {
  /** Tokens after truncation; 0 for a row that is dropped. */
  lengths: Int32Array;
  /** Labels that count; 0 for a row that must not reach the trainer. */
  targets: Int32Array;
  promptHashes: Float64Array;
  /** What each row asks for, a place in TASK_TYPES. */
  tasks: Uint8Array;
  /** Rows that can be trained, in file order. */
  usable: Int32Array;
}

export interface ReportOptions {
  rows: AsyncIterable<StoredRow>;
  dataset: Pick<DatasetSummary, 'rows' | 'skipped' | 'mapping' | 'edits'>;
  encoder: RowEncoder;
  tokenizer: Tokenizer;
  trainedTurns?: ReadonlyMap<number, Record<number, boolean>>;
  signal?: AbortSignal;
  onProgress?: (rows: number) => void;
  /** Rows again by index, for comparing near duplicates; without it they are not looked for. */
  read?: (indices: number[]) => Promise<StoredRow[]>;
  /** Rows that fixes leave out; `rows` does not give them. */
  leftOut?: ReadonlySet<number>;
}

/** Rows named for a finding; all are counted. */
const MAX_ROWS = 1000;
/** Rows between two looks at the clock, and how long messages wait at most, ms. */
const LOOK_EVERY = 16;
const LONGEST_TURN = 12;

/** Every row up to here is compared with its prompt, */
const PREFIX_ROWS = 500;
/** and every so many beyond. */
const PREFIX_EVERY = 100;

export interface BuiltReport {
  report: DataReport;
  index: RowIndex;
  /** All rows of a finding, where the report names a thousand. */
  rowsOf: (kind: FindingKind) => Int32Array;
}

export async function buildReport(options: ReportOptions): Promise<BuiltReport> {
  const { rows, dataset, encoder, tokenizer, trainedTurns, signal, onProgress } = options;
  const n = indexBound(dataset);
  const index = { lengths: new Int32Array(n), targets: new Int32Array(n), promptHashes: new Float64Array(n) };
  const fullLengths = new Int32Array(n);
  const contentHashes = new Float64Array(n);
  const tally = newTally(options);
  const checks = new ContentChecks(n, options.read !== undefined);
  const shapes = new RowShapes(n);
  let prefixesChecked = 0;
  let tokens = 0;
  let labelledTokens = 0;
  let seen = 0;
  let turnBegan = performance.now();

  for await (const row of rows) {
    signal?.throwIfAborted();
    const converted = messagesOf(row, dataset.mapping, encoder, trainedTurns?.get(row.index));
    if (!converted.ok) {
      tally.refuse(row.index, converted.kind, converted.reason);
    } else {
      const { messages } = converted;
      index.promptHashes[row.index] = promptHash(messages);
      contentHashes[row.index] = hashText(JSON.stringify(messages.map(({ role, content }) => [role, content])));
      noteContents(row.index, messages, tally);
      checks.see(row.index, messages, tally);
      const encoded = encoder.encode(messages, row.index, converted.tools);
      if (!encoded.ok) {
        tally.refuse(row.index, encoded.kind, encoded.reason);
        if (messages.some((message) => message.role === 'tool' || message.toolCalls?.length)) tally.words(encoded.kind, CALLS_TOOLS);
      } else {
        fullLengths[row.index] = encoded.row.fullLength;
        shapes.see(row.index, encoded.row.numTargets + encoded.labelsCut, encoded.row.inputIds.length, encoded.row.numTargets);
        for (const text of encoded.injected) tally.words('injected-text', text);
        if (encoded.injected.length > 0) tally.note(row.index, 'injected-text');
        if (encoded.cut) tally.note(row.index, 'cut');
        tally.labelsCut += encoded.labelsCut;
        if (seen < PREFIX_ROWS || seen % PREFIX_EVERY === 0) {
          const isPrefix = promptIsPrefix(messages, encoded.tokens.ids, encoder, converted.tools);
          if (isPrefix !== null) prefixesChecked++;
          if (isPrefix === false) tally.note(row.index, 'prompt-not-prefix');
        }
        if (encoded.doubleBos) tally.note(row.index, 'double-bos');
        if (encoded.row.numTargets === 0) {
          tally.refuse(row.index, 'no-target', encoded.cut ? 'the answer begins beyond the maximum length' : 'no turn is an answer that is trained');
        } else {
          if (encoded.endOfTurnMissing) {
            tally.note(row.index, 'no-end-of-turn');
            if (encoded.cut) tally.endsCut++;
          }
          index.lengths[row.index] = encoded.row.inputIds.length;
          index.targets[row.index] = encoded.row.numTargets;
          tokens += encoded.row.inputIds.length;
          for (const label of encoded.row.labels) if (label !== IGNORE_INDEX) labelledTokens++;
        }
      }
    }
    seen++;
    if (seen % LOOK_EVERY === 0 && performance.now() - turnBegan > LONGEST_TURN) {
      onProgress?.(seen);
      await pause();
      turnBegan = performance.now();
    }
  }
  onProgress?.(seen);

  const usable = Int32Array.from(index.targets.keys()).filter((i) => index.targets[i]! > 0);
  const copies = duplicates(contentHashes);
  for (const duplicate of copies) tally.note(duplicate, 'duplicate');
  const messagesAt = options.read && (async (rows: number[]) => (await options.read!(rows)).map((row) => {
    const converted = messagesOf(row, dataset.mapping, encoder);
    return converted.ok ? converted.messages : null;
  }));
  const content = await checks.end(tally, copies, messagesAt, signal);
  for (const row of sharedPrompts(index.promptHashes, new Set([...copies, ...(content.near?.rows ?? [])]))) tally.note(row, 'shared-prompt');
  joinNear(content.near, index.promptHashes);
  const longest = fullLengths.reduce((max, length) => Math.max(max, length), 0);
  const leftOutRows = options.leftOut?.size ?? 0;
  const { findings, checksPassed } = describeFindings(tally, {
    usable: usable.length, rows: dataset.rows - leftOutRows, maxLength: encoder.maxLength, tokenizer, encoder, content, prefixesChecked,
  });
  const counts = { rows: dataset.rows, usableRows: usable.length, leftOutRows, cutRows: tally.count('cut') };
  const advice = adviseOn({ report: counts, rowsOf: (kind) => tally.all(kind), tasks: content.tasks });
  const report: DataReport = {
    ...counts, advice, droppedRows: dataset.rows - leftOutRows - usable.length, languages: content.languages,
    charts: shapes.end(fullLengths, clustersOf(contentHashes, copies, content.near)),
    tokens, labelledTokens, longest, histogram: histogram(fullLengths), checksPassed, findings,
  };
  return { report, index: { ...index, tasks: content.taskOfRow, usable }, rowsOf: (kind) => tally.all(kind) };
}

/** Rows that are nearly the same share a prompt for the split, so that nothing held out was nearly trained. */
function joinNear(near: NearDuplicateResult | null, promptHashes: Float64Array): void {
  near?.rows.forEach((row, i) => {
    promptHashes[row] = promptHashes[near.firstOf[i]!]!;
  });
}

/** Whether the tokens of the prompt alone begin the row; null where a row has no last answer to compare. */
function promptIsPrefix(messages: readonly Message[], ids: number[], encoder: RowEncoder, tools?: readonly unknown[]): boolean | null {
  const last = messages.length - 1;
  if (last < 1 || messages[last]!.role !== 'assistant') return null;
  try {
    return encoder.prompt(messages.slice(0, last), tools).ids.every((id, i) => ids[i] === id);
  } catch (error) {
    if (error instanceof MaskRefusal) return null;
    throw error;
  }
}

function noteContents(row: number, messages: readonly Message[], tally: Tally): void {
  const answers = messages.filter((message) => message.role === 'assistant');
  // A turn that calls a tool needs no words.
  if (answers.some((message) => message.content.trim() === '' && !message.toolCalls?.length)) tally.note(row, 'empty-answer');
  const placeholders = placeholdersOf(messages);
  for (const placeholder of new Set(placeholders)) tally.words('unfilled-placeholder', placeholder);
  if (placeholders.length > 0) tally.note(row, 'unfilled-placeholder');
}

function newTally({ dataset }: ReportOptions): Tally {
  const rowsOf = new Map<FindingKind, { count: number; rows: number[] }>();
  const wordsOf = new Map<FindingKind, Map<string, number>>();
  const reasons = new Map<FindingKind, string>();
  const tally: Tally = {
    skipped: dataset.skipped, labelsCut: 0, endsCut: 0,
    note(row, kind) {
      const noted = rowsOf.get(kind) ?? { count: 0, rows: [] };
      noted.count++;
      noted.rows.push(row);
      rowsOf.set(kind, noted);
    },
    refuse(row, kind, reason) {
      tally.note(row, kind);
      if (!reasons.has(kind)) reasons.set(kind, reason);
    },
    words(kind, text) {
      const words = wordsOf.get(kind) ?? new Map<string, number>();
      if (words.has(text) || words.size < MAX_ROWS) words.set(text, (words.get(text) ?? 0) + 1);
      wordsOf.set(kind, words);
    },
    count: (kind) => rowsOf.get(kind)?.count ?? 0,
    rows: (kind) => rowsOf.get(kind)?.rows.slice(0, MAX_ROWS) ?? [],
    all: (kind) => Int32Array.from(rowsOf.get(kind)?.rows ?? []).sort(),
    reason: (kind) => reasons.get(kind) ?? '',
    countOf: (kind, text) => wordsOf.get(kind)?.get(text) ?? 0,
    commonest: (kind) => [...(wordsOf.get(kind) ?? [])].sort((a, b) => b[1] - a[1]).map(([text]) => text),
  };
  return tally;
}

/** Rows whose content an earlier row has, in file order. A hash of 0 is a row without content. */
function duplicates(hashes: Float64Array): Int32Array {
  const order = Int32Array.from(hashes.keys()).sort((a, b) => hashes[a]! - hashes[b]! || a - b);
  return order.filter((row, i) => i > 0 && hashes[row] !== 0 && hashes[row] === hashes[order[i - 1]!]).sort();
}
