/**
 * Owns the tables of rows that a page looks at: views filtered and sorted in memory, searches that go on behind them, and
 * edits, splits and exports of the rows. Refuses to know what a report or a run makes of them.
 */
import { EtudeError } from '../../config/errors.ts';
import { displayRow } from '../../data/encodedRows.ts';
import type { EtudeDatabase } from '../../data/db.ts';
import { FixedRows } from '../../data/fixes.ts';
import { messagesOfRow } from '../../data/messages.ts';
import { factsOf, MARKS, qualityOf, qualityParts } from '../../data/quality.ts';
import { editSummary, NO_LINE, type EditedRows } from '../../data/table/edits.ts';
import { exportView } from '../../data/table/exportOrder.ts';
import { exportRows } from '../../data/table/exportRows.ts';
import { groupRows, heldRows } from '../../data/table/heldRows.ts';
import { openTable, writeEdits } from '../../data/table/openTable.ts';
import { makeSplit } from '../../data/table/rowSplit.ts';
import type { TableIndex } from '../../data/table/tableIndex.ts';
import { typedRow } from '../../data/table/typedRow.ts';
import type { EditSummary, RowView, ViewRow, ViewSummary } from '../../data/table/types.ts';
import type { Change } from '../../data/changes.ts';
import type { DatasetSummary, DisplayRow, Message, StoredRow } from '../../data/types.ts';
import type { Requests } from '../protocol.ts';
import type { Datasets } from './datasets.ts';
import type { RequestContext, SessionEnvironment } from './environment.ts';
import { refuse } from './refuse.ts';
import { RightOfWay } from './rightOfWay.ts';
import { RowSearch } from './rowSearch.ts';

/** Views kept at a time; the oldest goes first. */
const MOST_VIEWS = 8;

interface View {
  datasetId: string;
  view: RowView;
  /** In the view's order; of a search, in the order in which they are found until `sorted`. */
  rows: Int32Array;
  /** Rows the search has not put in order yet. */
  search: RowSearch | null;
  /** Edits whose deletions have left the view. */
  stamp: string;
}

interface OpenTable {
  id: string;
  key: string;
  table: TableIndex;
  dataset: DatasetSummary;
  stamp: string;
  edited: EditedRows | null;
  /** The rows as they are shown. */
  fixed: FixedRows;
  fixes: string;
  split: string;
}

const stampOf = (edited: EditedRows | null): string => edited?.head.stamp ?? '';

export class RowTables {
  readonly #db: EtudeDatabase;
  readonly #datasets: Datasets;
  readonly #emit: SessionEnvironment['emit'];
  readonly #views = new Map<string, View>();
  /** A search gives way to rows that are looked at. */
  readonly #looks = new RightOfWay();
  #open: OpenTable | null = null;
  /** One at a time: the table is brought up to date in steps. */
  #opening: Promise<unknown> = Promise.resolve();

  constructor(db: EtudeDatabase, datasets: Datasets, emit: SessionEnvironment['emit']) {
    this.#db = db;
    this.#datasets = datasets;
    this.#emit = emit;
  }

  async view(asked: Requests['data.view']['args'], context: RequestContext): Promise<ViewSummary> {
    const { finding } = asked.view.where;
    // Waits for the report, which gives way to what goes first: it comes before.
    const found = finding === undefined ? null : await this.#datasets.rowsOfFinding(asked.datasetId, finding);
    return this.#datasets.rightOfWay.first(() => this.#view(asked, found, context));
  }

  async #view({ datasetId, view }: Requests['data.view']['args'], found: { rows: Int32Array; stale: boolean } | null, context: RequestContext): Promise<ViewSummary> {
    const { table, stamp, dataset: { rows: total } } = await this.#table(datasetId, context);
    const candidates = table.filter(view, found?.rows ?? null);
    const viewId = crypto.randomUUID();
    const stale = found?.stale ? { stale: true as const } : {};
    if (view.search === '') {
      this.#keep(viewId, { datasetId, view, rows: table.sort(candidates, view.sort), search: null, stamp });
      return { viewId, count: candidates.length, total, searching: false, ...stale };
    }
    const snapshot = await this.#datasets.store.snapshot(datasetId);
    const rows = this.#looks.behind(snapshot.batches((from, to) => anyOf(candidates, from, to)));
    const search = new RowSearch({ search: view.search, candidates, bound: table.rows, rows }, (progress) => {
      this.#emit({ type: 'data.view', viewId, total, ...progress, searched: Math.min(total, progress.searched) });
    });
    this.#keep(viewId, { datasetId, view, rows: new Int32Array(), search, stamp });
    void this.#datasets.rightOfWay.first(() => search.run());
    return { viewId, count: 0, total, searching: true, ...stale };
  }

  async viewRows(asked: Requests['data.viewRows']['args'], context: RequestContext): Promise<ViewRow[]> {
    return this.#looks.first(() => this.#datasets.rightOfWay.first(() => this.#viewRows(asked, context)));
  }

  async #viewRows({ viewId, offset, limit }: Requests['data.viewRows']['args'], context: RequestContext): Promise<ViewRow[]> {
    const view = this.#needView(viewId);
    const { table, fixed, stamp, dataset } = await this.#table(view.datasetId, context);
    const rows = this.#rowsOf(view, table, stamp).subarray(offset, offset + limit);
    return (await fixed.rowsAt(view.datasetId, rows)).map((row) => shown(row, dataset, table));
  }

  close({ viewId, keep = false }: Requests['data.viewClose']['args']): void {
    this.#views.get(viewId)?.search?.cancel();
    if (!keep) this.#views.delete(viewId);
  }

  /** Whatever was shown of a dataset that is gone. */
  forget(datasetId: string): void {
    for (const [viewId, view] of this.#views) if (view.datasetId === datasetId) this.close({ viewId });
    if (this.#open?.id === datasetId) this.#open = null;
  }

  async editRow({ datasetId, index, messages }: Requests['data.editRow']['args']): Promise<DisplayRow> {
    const dataset = await this.#datasets.get(datasetId);
    const turns = typedRow(messages, dataset.mapping);
    const { store } = this.#datasets;
    const before = await this.#liveRow(datasetId, index);
    const was = messagesOfRow(before, dataset.mapping, 'model');
    if (!was.ok || !sameTurns(was.messages, turns)) {
      await store.edit(datasetId, async (rows) => {
        if (!rows.isLive(index)) throw noRow(index);
        return { kind: 'edit', rows: Int32Array.of(index), lines: Int32Array.of(before.line), messages: turns, otherTurns: !was.ok || !sameRoles(was.messages, turns) };
      });
      this.#datasets.touched();
    }
    return displayRow(await this.#liveRow(datasetId, index), dataset.mapping);
  }

  async addRow({ datasetId, messages }: Requests['data.addRow']['args']): Promise<DisplayRow> {
    const dataset = await this.#datasets.get(datasetId);
    const turns = typedRow(messages, dataset.mapping);
    const edit = await this.#datasets.store.edit(datasetId, async ({ next }) => ({ kind: 'add', rows: Int32Array.of(next), lines: Int32Array.of(NO_LINE), messages: turns }));
    this.#datasets.touched();
    return displayRow(await this.#liveRow(datasetId, edit.rows[0]!), dataset.mapping);
  }

  async deleteRows({ datasetId, viewId, indexes }: Requests['data.deleteRows']['args'], context: RequestContext): Promise<{ deleted: number }> {
    const wanted = viewId === undefined ? Int32Array.from(new Set(indexes ?? [])) : await this.#wholeView(viewId, datasetId, context);
    const sorted = wanted.slice().sort();
    const { table } = await this.#table(datasetId, context);
    for (const row of sorted) if (!(row >= 0 && row < table.rows)) throw noRow(row);
    let deleted = 0;
    await this.#datasets.store.edit(datasetId, async (edited) => {
      const rows = sorted.filter((row) => edited.isLive(row));
      if (rows.length === 0) throw refuse('data.noRows', 'No row was chosen that is still there.', 'Choose rows in the table.');
      deleted = rows.length;
      return { kind: 'delete', rows, lines: rows.map((row) => table.lineOf(row)) };
    });
    this.#datasets.touched();
    return { deleted };
  }

  async undoEdit({ datasetId, editId }: Requests['data.undoEdit']['args']): Promise<EditSummary[]> {
    await this.#datasets.get(datasetId);
    await this.#datasets.store.undoEdit(datasetId, editId);
    this.#datasets.touched();
    return this.edits(datasetId);
  }

  async edits(datasetId: string): Promise<EditSummary[]> {
    await this.#datasets.get(datasetId);
    return ((await this.#datasets.store.edited(datasetId))?.edits ?? []).map(editSummary);
  }

  async exportRows({ datasetId, viewId }: Requests['data.exportRows']['args'], context: RequestContext): Promise<Requests['data.exportRows']['result']> {
    const { name, mapping, rows: total } = await this.#datasets.get(datasetId);
    const order = viewId === undefined ? null : await this.#wholeView(viewId, datasetId, context);
    const table = order && (await this.#table(datasetId, context)).table;
    const { store, rightOfWay } = this.#datasets;
    const snapshot = await store.snapshot(datasetId);
    const fixed = new FixedRows(snapshot, datasetId, await store.fixes(datasetId));
    const heard = { signal: context.signal, onProgress: (done: number) => context.progress('Writing rows', done, order?.length ?? total, 'rows') };
    async function* batches(isWanted: (from: number, to: number) => boolean): AsyncGenerator<StoredRow[]> {
      for await (const batch of snapshot.batches(isWanted)) yield batch.map((row) => fixed.read(row));
    }
    const made = await rightOfWay.first(() => (table ? exportView({ order, batches, mapping, charsOf: (row) => table.charsOf(row), ...heard }) : exportRows(fixed.rows(), mapping, heard)));
    return { fileName: `${name.replace(/\.[A-Za-z0-9]{1,8}$/, '') || 'dataset'}-rows.jsonl`, ...made };
  }

  async setSplit({ datasetId, split }: Requests['data.setSplit']['args'], context: RequestContext): Promise<Requests['data.setSplit']['result']> {
    const dataset = await this.#datasets.get(datasetId);
    const { store } = this.#datasets;
    if (!split) {
      await store.setSplit(datasetId, null);
      return { train: dataset.rows, heldOut: 0, groups: 0 };
    }
    if (!(split.ratio > 0 && split.ratio < 1) || !Number.isSafeInteger(split.seed)) throw refuse('data.badSplit', `A share of ${split.ratio} with the seed ${split.seed} cannot be held out.`, 'Choose a share above 0 and below 1, and a whole number as seed.');
    const { groups, rows } = await groupRows({
      store, dataset, groupBy: split.groupBy, signal: context.signal, onProgress: (done) => context.progress('Reading rows', done, dataset.rows, 'rows'),
    });
    const made = makeSplit(split, groups, rows, { madeAt: Date.now(), written: (await store.edited(datasetId))?.written() ?? [] });
    const { train, heldOut, groups: count } = made.summary;
    if (heldOut === 0) {
      throw new EtudeError({
        code: 'data.badSplit', what: `No group of rows is small enough to hold out ${Math.round(split.ratio * 100)} % of ${dataset.rows.toLocaleString('en')} rows.`, expected: 'at least one group within the share',
        likelyCause: `The rows fall into ${count.toLocaleString('en')} group${count === 1 ? '' : 's'}, which are never divided.`, nextStep: 'Raise the share, or group by something else.',
      });
    }
    await store.setSplit(datasetId, made);
    return { train, heldOut, groups: count };
  }

  async create({ name }: Requests['data.create']['args']): Promise<DatasetSummary> {
    const writer = await this.#datasets.store.create(crypto.randomUUID());
    await writer.putRepeats(new Int32Array());
    return writer.finish({
      id: writer.id, name: name.trim().slice(0, 120) || 'Typed rows', source: 'file', bytes: 0, rows: 0, skipped: 0, skippedLines: [], changed: 0, notices: [],
      mapping: { shape: 'messages', messages: 'messages' }, detectedBecause: 'Its rows are typed here.', fields: ['messages'], createdAt: Date.now(),
    });
  }

  /** Every row the split holds out, for the record of changes. */
  async *heldOut(datasetId: string, context: RequestContext): AsyncGenerator<Change> {
    const { split } = await this.#datasets.get(datasetId);
    if (!split) return;
    const { table } = await this.#table(datasetId, context);
    const by = typeof split.groupBy === 'object' ? `the field "${split.groupBy.column}"` : split.groupBy;
    for (let row = 0; row < table.rows; row++) {
      const { live, held } = table.is(row);
      if (live && held) yield { line: table.lineOf(row), row, action: 'held out', by: 'split', reason: `validates, does not train${split.groupBy === 'none' ? '' : `; groups by ${by}`}` };
    }
  }

  async #liveRow(datasetId: string, index: number): Promise<StoredRow> {
    const { store } = this.#datasets;
    const [row] = await store.rowsAt(datasetId, [index]).catch((error: unknown) => {
      if (error instanceof RangeError) throw noRow(index);
      throw error;
    });
    if ((await store.edited(datasetId))?.isLive(index) === false) throw noRow(index);
    return row!;
  }

  #keep(viewId: string, view: View): void {
    this.#views.set(viewId, view);
    const [oldest] = this.#views.keys();
    if (this.#views.size > MOST_VIEWS) this.close({ viewId: oldest! });
  }

  #needView(viewId: string): View {
    const view = this.#views.get(viewId);
    if (!view) throw refuse('data.noView', 'This view of the rows is no longer kept.', 'Filter or sort the rows again.');
    return view;
  }

  /** Rows of a view in its order as far as it is known, without those deleted since. */
  #rowsOf(view: View, table: TableIndex, stamp: string): Int32Array {
    const { search } = view;
    if (search?.hasNews) view.rows = table.sort(search.takeHits(), view.view.sort);
    if (search?.ended && !search.hasNews) view.search = null;
    if (view.stamp !== stamp) {
      view.rows = view.rows.filter((row) => table.is(row).live);
      if (!view.search) view.stamp = stamp;
    }
    return view.rows;
  }

  async #wholeView(viewId: string, datasetId: string, context: RequestContext): Promise<Int32Array> {
    const view = this.#needView(viewId);
    if (view.datasetId !== datasetId) throw refuse('data.noView', 'This view is of another dataset.', 'Filter or sort the rows again.');
    if (view.search && !view.search.ended) throw refuse('data.searching', 'The search has not looked at all rows yet.', 'Wait for its end, or cancel it and take what was found.');
    const { table, stamp } = await this.#table(datasetId, context);
    return this.#rowsOf(view, table, stamp);
  }

  /** The table of a dataset as it is now. */
  #table(datasetId: string, context: RequestContext): Promise<OpenTable> {
    const next = this.#opening.then(() => this.#datasets.rightOfWay.first(() => this.#upToDate(datasetId, context)));
    this.#opening = next.catch(() => undefined);
    return next;
  }

  async #upToDate(id: string, context: RequestContext): Promise<OpenTable> {
    const dataset = await this.#datasets.get(id);
    const { store } = this.#datasets;
    const of = { db: this.#db, store, dataset };
    const key = [id, JSON.stringify(dataset.mapping)].join('\n');
    if (this.#open?.key !== key) {
      this.#open = null;
      const opened = await openTable({ ...of, signal: context.signal, onProgress: (rows) => context.progress('Reading rows', rows, dataset.rows, 'rows') });
      this.#open = { id, key, dataset, ...opened, stamp: stampOf(opened.edited), fixed: await this.#datasets.fixed(id), fixes: '', split: '' };
    }
    const open = Object.assign(this.#open, { dataset });
    const [edited, applied, split] = await Promise.all([store.edited(id), store.fixes(id), store.split(id)]);
    if (open.stamp !== stampOf(edited) && edited) {
      await writeEdits(of, open.table, changedEdits(open.edited, edited), edited);
      Object.assign(open, { edited, stamp: stampOf(edited) });
    }
    const fixes = [open.stamp, ...applied.map((fix) => `${fix.id} ${fix.rows.length} ${fix.appliedAt}`)].join();
    if (open.fixes !== fixes) {
      open.fixed = await this.#datasets.fixed(id);
      open.table.setLeftOut(open.fixed.leftOut);
      open.fixes = fixes;
    }
    const splitKey = split ? `${split.madeAt} ${open.stamp}` : '';
    if (open.split !== splitKey) {
      open.table.setHeld(split ? await heldRows(store, dataset, split) : []);
      open.split = splitKey;
    }
    return open;
  }
}

/** Edits that one has and the other has not. */
function changedEdits(before: EditedRows | null, now: EditedRows) {
  const [old, fresh] = [new Set(before?.edits.map(({ id }) => id)), new Set(now.edits.map(({ id }) => id))];
  return [...(before?.edits ?? []).filter(({ id }) => !fresh.has(id)), ...now.edits.filter(({ id }) => !old.has(id))];
}

/** Whether any of the rows, which are in order, lies in [from, to). */
function anyOf(rows: Int32Array, from: number, to: number): boolean {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]! < from) low = middle + 1;
    else high = middle;
  }
  return low < rows.length && rows[low]! < to;
}

const roles = (messages: readonly Message[]): string => messages.map(({ role }) => role).join();
const sameRoles = (one: readonly Message[], other: readonly Message[]): boolean => roles(one) === roles(other);
const sameTurns = (one: readonly Message[], other: readonly Message[]): boolean => JSON.stringify(one) === JSON.stringify(other);

const noRow = (index: number): EtudeError => refuse('data.noRow', `There is no row ${(index + 1).toLocaleString('en')} any more.`, 'Look at the rows again: it may have been deleted, here or in another tab.');

function shown(row: StoredRow, dataset: DatasetSummary, table: TableIndex): ViewRow {
  const converted = messagesOfRow(row, dataset.mapping, 'model');
  const facts = factsOf(converted.ok ? converted.messages : null);
  const { written, held, leftOut, repeats } = table.is(row.index);
  const all = repeats ? { ...facts, marks: facts.marks | MARKS.repeats } : facts;
  return {
    ...displayRow(row, dataset.mapping), task: facts.task, quality: qualityOf(all), parts: qualityParts(all),
    promptChars: facts.promptChars, answerChars: facts.answerChars, totalChars: facts.promptChars + facts.answerChars, edited: written, held, leftOut,
  };
}
