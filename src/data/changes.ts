/**
 * Owns the record of changes: every row that was dropped, cut or changed between the file and the training, by line, as
 * text or JSON to download. Rows that reach training as they are do not appear. Refuses to know where it is saved.
 */
import { encodeStoredRow, messagesOf } from './encodedRows.ts';
import type { RowEncoder } from './template.ts';
import type { DatasetSummary, RowNote, StoredRow } from './types.ts';

/** One row's fate. */
export interface Change {
  /** 1-based line or element of the file; 0 for a row that was typed. */
  line: number;
  /** 0-based row of the dataset; null for what never became one. */
  row: number | null;
  action: 'dropped' | 'cut' | 'changed' | 'reweighted' | 'added' | 'held out';
  /** Who did it: the import, a person, a fix, the split, the encoding for training, or the balance of tasks or files. */
  by: 'import' | 'hand' | 'fix' | 'split' | 'training' | 'balance';
  reason: string;
  file?: string;
}

/** How often a run draws its rows, where they are balanced. */
export interface Draws {
  /** Passes the run makes, a last part counted whole. */
  epochs: number;
  /** By dataset index; -1 for rows that are not drawn for training. */
  times: Int32Array;
}

export interface ChangesRequest {
  dataset: Pick<DatasetSummary, 'name' | 'rows' | 'skipped' | 'changed' | 'notices' | 'mapping'>;
  notes: AsyncIterable<RowNote>;
  /** With an encoder, what training drops and cuts is named too. */
  training?: { rows: AsyncIterable<StoredRow>; encoder: RowEncoder; trainedTurns?: ReadonlyMap<number, Record<number, boolean>>; balance?: Draws };
  /** What a person did to rows. */
  edits?: readonly Change[];
  /** What fixes did, by row. */
  fixes?: readonly Change[];
  /** Rows held out by hand. */
  split?: AsyncIterable<Change>;
  signal?: AbortSignal;
}

/** Every change, the import's first, each in file order. */
export async function* changes({ dataset, notes, training, edits = [], fixes = [], split, signal }: ChangesRequest): AsyncGenerator<Change> {
  for await (const { line, action, reason, file } of notes) {
    signal?.throwIfAborted();
    yield { line, row: null, action, by: 'import', reason, ...(file === undefined ? {} : { file }) };
  }
  yield* edits;
  yield* fixes;
  if (split) yield* split;
  if (!training) return;
  const gone = new Set(fixes.filter((fix) => fix.action === 'dropped').map((fix) => fix.row));
  const { encoder } = training;
  for await (const row of training.rows) {
    signal?.throwIfAborted();
    if (gone.has(row.index)) continue;
    const place = { line: row.line, row: row.index, by: 'training' as const };
    const turns = training.trainedTurns?.get(row.index);
    const converted = messagesOf(row, dataset.mapping, encoder, turns);
    const encoded = converted.ok ? encodeStoredRow(row, dataset.mapping, encoder, turns) : converted;
    if (!encoded.ok) yield { ...place, action: 'dropped', reason: encoded.reason };
    else if (encoded.row.numTargets === 0) yield { ...place, action: 'dropped', reason: encoded.cut ? `its answer begins beyond the maximum length of ${encoder.maxLength} tokens` : 'no turn is an answer that is trained' };
    else if (encoded.cut) {
      const { fullLength, inputIds } = encoded.row;
      yield { ...place, action: 'cut', reason: `${fullLength} tokens cut to ${inputIds.length}; ${encoded.labelsCut} trained tokens lost` };
    }
    const drawn = training.balance && ofBalance(training.balance, row.index);
    if (drawn) yield { ...place, by: 'balance', ...drawn };
  }
}

/** What balance does to a row, where that is anything. */
function ofBalance({ epochs, times }: Draws, row: number): Pick<Change, 'action' | 'reason'> | null {
  const drawn = times[row] ?? -1;
  if (drawn < 0 || drawn === epochs) return null;
  const inAll = epochs === 1 ? 'in the one epoch' : `in ${epochs} epochs`;
  return drawn === 0 ? { action: 'dropped', reason: `not drawn ${inAll}` } : { action: 'reweighted', reason: `trained ${drawn === 1 ? 'once' : `${drawn} times`} ${inAll}` };
}

/** The record as a file. `format` 'text' is one line a change, 'json' an object with all of them. */
export async function changesFile(request: ChangesRequest, format: 'text' | 'json'): Promise<{ fileName: string; blob: Blob; entries: number }> {
  const { dataset } = request;
  const parts: string[] = [];
  let held = '';
  let entries = 0;
  const write = (text: string) => {
    held += text;
    if (held.length < 64 * 1024) return;
    parts.push(held);
    held = '';
  };
  const notices = dataset.notices ?? [];
  write(format === 'json'
    ? `${JSON.stringify({ dataset: dataset.name, rows: dataset.rows, skipped: dataset.skipped, changed: dataset.changed ?? 0, notices }).slice(0, -1)},"changes":[`
    : [`Record of changes: ${dataset.name}`, `${dataset.rows} rows kept, ${dataset.skipped} not read, ${dataset.changed ?? 0} changed while they were read.`, ...notices.map((notice) => `The file: ${notice}`), '', ''].join('\n'));
  for await (const change of changes(request)) {
    write(format === 'json' ? `${entries > 0 ? ',' : ''}\n${JSON.stringify(change)}` : `${inWords(change)}\n`);
    entries++;
  }
  if (format === 'json') write('\n]}\n');
  else if (entries === 0) write('Every row reaches training as the file has it.\n');
  parts.push(held);
  const stem = dataset.name.replace(/\.[A-Za-z0-9]{1,8}$/, '') || 'dataset';
  return { fileName: `${stem}-changes.${format === 'json' ? 'json' : 'txt'}`, blob: new Blob(parts, { type: format === 'json' ? 'application/json' : 'text/plain' }), entries };
}

const inWords = ({ line, row, action, by, reason, file }: Change): string =>
  `${file === undefined ? '' : `${file}, `}${line === 0 ? 'typed' : `line ${line}`}${row === null ? '' : ` (row ${row + 1})`}: ${action} by ${WHO[by]}: ${reason}`;

const WHO: Record<Change['by'], string> = { import: 'the import', hand: 'hand', fix: 'a fix', split: 'the split', training: 'the training', balance: 'balance' };
