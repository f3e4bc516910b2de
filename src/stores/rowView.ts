/**
 * The rows as the table shows them: searched, filtered and sorted by the worker. Knows which view the worker holds and how far
 * its search is; refuses to hold rows.
 */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { useData } from './data.ts';
import { announce } from './session.ts';
import type { Progress, RowView, ViewRow, WorkerEvent } from './types.ts';
import { failure, request } from './worker.ts';

export type RowWhere = RowView['where'];
export type SortColumn = RowView['sort']['by'];

export const EVERYTHING: RowView = { search: '', where: {}, sort: { by: 'row', descending: false } };

export interface ShownView { viewId: string; count: number; total: number; /** Findings are those of before the last edits. */ stale?: boolean }

interface RowViewState {
  /** Dataset the view is of; null until rows are looked at. */
  datasetId: string | null;
  /** What is asked for. */
  view: RowView;
  /** What the worker holds of it; of the view before, while the next is on its way. */
  shown: ShownView | null;
  /** The view is on its way; what is shown is that before. */
  busy: boolean;
  startedAt: number;
  /** Columns are made of every row the first time. */
  progress: Progress | null;
  /** A text search that goes on, or was cancelled after so many rows. */
  search: { searched: number; total: number; state: 'searching' | 'cancelled' } | null;
  error: UserMessage | null;
  /** Place in the view of the row that is looked at; null where it is not known. */
  place: number | null;
  /** That row, once it has come. */
  looked: ViewRow | null;
  /** The table takes the focus once it is drawn: rows were asked for from elsewhere on the screen. */
  focus: boolean;
  /** Rises when rows that are shown may read otherwise: from `changedFrom` on. */
  revision: number;
  changedFrom: number;
}

export const useRows = create<RowViewState>(() => ({
  datasetId: null, view: EVERYTHING, shown: null, busy: false, startedAt: 0, progress: null, search: null, error: null, place: null, looked: null, focus: false, revision: 0, changedFrom: 0,
}));

/** Rows are searched or filtered. Pure. */
export const isNarrowed = ({ search, where }: RowView): boolean => search.trim() !== '' || Object.values(where).some((value) => value !== undefined);
/** Typing settles for this long (ms) before the worker is asked: short of a pause between keys, so that a first hit is there within 200 ms. */
const SETTLE = 80;
let settling: ReturnType<typeof setTimeout> | undefined;
let asking: AbortController | null = null;

const close = (viewId: string | undefined): void => {
  if (viewId !== undefined) void request('data.viewClose', { viewId }).catch(() => undefined);
};

type ViewEvent = Extract<WorkerEvent, { type: 'data.view' }>;

/** An event of a view whose answer is still on its way. */
let early: ViewEvent | null = null;

function progressed({ viewId, count, searched, total, done }: ViewEvent): void {
  useRows.setState((s) => ({
    shown: { ...s.shown, viewId, count, total }, search: done ? null : { searched, total, state: 'searching' },
    // With a page half full, more rows of it have been found; and only the end tells the order of a sorted search.
    revision: s.revision + 1, changedFrom: done ? 0 : s.shown?.count ?? 0,
  }));
  if (done) announce(countWords(count, total));
}

/** "142 of 52,002 rows", without units a screen reader would stumble over. Pure. */
const countWords = (count: number, total: number): string => `${count} of ${total} ${total === 1 ? 'row matches' : 'rows match'}.`;

export function handleRowsEvent(event: WorkerEvent): void {
  if (event.type !== 'data.view') return;
  const { shown, search } = useRows.getState();
  if (shown?.viewId !== event.viewId) early = event;
  else if (search?.state !== 'cancelled') progressed(event);
}

/** Asks for a view of the dataset in use. What is shown stays until the answer comes; a newer question makes it void. True once it is there. */
export async function openRows(view: RowView = useRows.getState().view): Promise<boolean> {
  const datasetId = useData.getState().currentId;
  if (datasetId === null) return false;
  clearTimeout(settling);
  const controller = new AbortController();
  asking = controller;
  const before = useRows.getState();
  const other = before.datasetId !== datasetId;
  if (other) close(before.shown?.viewId);
  useRows.setState({ datasetId, view, busy: true, startedAt: Date.now(), progress: null, error: null, ...(other ? { shown: null, search: null, place: null, looked: null } : {}) });
  try {
    const { viewId, count, total, searching, stale } = await request('data.view', { datasetId, view: { ...view, search: view.search.trim() === '' ? '' : view.search } }, {
      signal: controller.signal,
      onProgress: (progress) => { if (asking === controller) useRows.setState({ progress }); },
    });
    if (asking !== controller) {
      close(viewId);
      return false;
    }
    asking = null;
    close(useRows.getState().shown?.viewId);
    useRows.setState({
      shown: { viewId, count, total, ...(stale ? { stale } : {}) }, search: searching ? { searched: 0, total, state: 'searching' } : null, busy: false, progress: null, place: null, looked: null,
    });
    if (early?.viewId === viewId) progressed(early);
    early = null;
    if (!searching && isNarrowed(view)) announce(countWords(count, total));
    return true;
  } catch (error) {
    if (asking !== controller) return false;
    asking = null;
    useRows.setState({ busy: false, progress: null, error: failure(error) });
    return false;
  }
}


/** Takes a view over at once and asks for it once changes have settled. */
function change(view: RowView, settle = 0): void {
  useRows.setState({ view });
  clearTimeout(settling);
  if (settle > 0) settling = setTimeout(() => void openRows(), settle);
  else void openRows();
}

export const typeSearch = (search: string): void => change({ ...useRows.getState().view, search }, SETTLE);

/** Narrows the rows further; undefined takes a condition away. */
export function setWhere(part: RowWhere, settle = false): void {
  const { view } = useRows.getState();
  const where = Object.fromEntries(Object.entries({ ...view.where, ...part }).filter(([, value]) => value !== undefined)) as RowWhere;
  change({ ...view, where }, settle ? SETTLE : 0);
}

/** Numbers begin with the largest, which is what one looks for first. */
const DESCENDING_FIRST: ReadonlySet<SortColumn> = new Set(['prompt', 'answer', 'total']);

/** Sorts by a column; a second time the other way round. */
export function sortBy(by: SortColumn, descending?: boolean): void {
  const { view } = useRows.getState();
  const turned = view.sort.by === by ? !view.sort.descending : DESCENDING_FIRST.has(by);
  change({ ...view, sort: { by, descending: descending ?? turned } });
}

/** All rows again, in the order they are in. */
export const showAllRows = (): void => change({ ...EVERYTHING, sort: useRows.getState().view.sort });

/** Gives up on columns that are being made for the view, or on the search: what was found stays. */
export function cancelRows(): void {
  const { busy, shown, search } = useRows.getState();
  if (busy) return asking?.abort();
  if (!shown || search?.state !== 'searching') return;
  useRows.setState({ search: { ...search, state: 'cancelled' } });
  void request('data.viewClose', { viewId: shown.viewId, keep: true }).catch(() => undefined);
  announce(`Search cancelled after ${search.searched} rows.`);
}

/** Edits of single rows leave the view as it is: the change of version that follows them is no reason to make it anew. */
let kept = false;

/** Rows that are shown read otherwise now; `deleted` of them are gone. The view keeps the others where they were. */
export function rowsEdited(deleted: number): void {
  const { shown } = useRows.getState();
  kept = shown !== null;
  if (shown) useRows.setState((s) => ({ shown: { ...shown, count: shown.count - deleted, total: shown.total - deleted }, revision: s.revision + 1, changedFrom: 0 }));
}

/** Rows were changed, by a mapping or a fix: the view is made anew. */
export function rowsChanged(): void {
  if (!kept && useRows.getState().shown) void openRows();
  kept = false;
}

/** A row is looked at that was chosen elsewhere: its place in the view is not known. */
export function rowMoved(row: number): void {
  const { looked, place } = useRows.getState();
  if (place !== null && looked?.index !== row) useRows.setState({ place: null, looked: null });
}

/** Another dataset is in use: its view is another, and the conditions of the one before mean nothing to it. */
export function leaveRows(): void {
  clearTimeout(settling);
  asking = null;
  close(useRows.getState().shown?.viewId);
  useRows.setState({ datasetId: null, view: EVERYTHING, shown: null, busy: false, progress: null, search: null, error: null, place: null, looked: null });
}
