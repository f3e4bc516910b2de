/** What a person does to rows by hand: edits, adds, deletes, takes back; holds out; carries them off as a file. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { refreshDatasets, selectDataset, setDataView, useData } from './data.ts';
import { lookAt } from './rowPlace.ts';
import { rowsEdited, useRows } from './rowView.ts';
import { announce } from './session.ts';
import type { EditSummary, Message, Progress, SplitChoice, SplitSummary, ViewRow } from './types.ts';
import { failure, request } from './worker.ts';

type Work = 'edit' | 'split' | 'export';

interface EditsState {
  /** The dataset `edits` belong to. */
  datasetId: string | null;
  /** In force, the oldest first. */
  edits: EditSummary[];
  busy: { what: Work; progress: Progress | null; startedAt: number } | null;
  error: UserMessage | null;
  /** The last thing done, to be taken back with one click; null once it was, or is old. */
  last: EditSummary | null;
  /** A row is being written. It stays open, whatever the table shows meanwhile. */
  writing: ViewRow | 'new' | null;
  /** What was typed of it, kept when the screen is left. */
  draft: Message[] | null;
}

export const useEdits = create<EditsState>(() => ({ datasetId: null, edits: [], busy: null, error: null, last: null, writing: null, draft: null }));

export const dismissEditError = (): void => useEdits.setState({ error: null });
export const dismissLastEdit = (): void => useEdits.setState({ last: null });
export const writeRow = (writing: ViewRow | 'new' | null): void => useEdits.setState({ writing, draft: null, error: null });
export const keepDraft = (draft: Message[]): void => useEdits.setState({ draft });

/** Lists what was done to the rows of a dataset. */
export async function loadEdits(datasetId: string): Promise<void> {
  if (useEdits.getState().datasetId !== datasetId) useEdits.setState({ datasetId, edits: [], error: null, last: null, writing: null, draft: null });
  try {
    const edits = await request('data.edits', { datasetId });
    if (useEdits.getState().datasetId === datasetId) useEdits.setState({ edits });
  } catch (error) {
    if (useEdits.getState().datasetId === datasetId) useEdits.setState({ error: failure(error) });
  }
}

let working: AbortController | null = null;
export const cancelRowWork = (): void => working?.abort();

/** One piece of work at a time; null where it failed or was cancelled, with the reason kept. */
async function work<T>(what: Work, ask: (datasetId: string, options: { signal: AbortSignal; onProgress: (progress: Progress) => void }) => Promise<T>): Promise<T | null> {
  const datasetId = useData.getState().currentId;
  if (datasetId === null || useEdits.getState().busy) return null;
  const controller = new AbortController();
  working = controller;
  useEdits.setState({ busy: { what, progress: null, startedAt: Date.now() }, error: null });
  try {
    return await ask(datasetId, { signal: controller.signal, onProgress: (progress) => useEdits.setState((s) => ({ busy: s.busy && { ...s.busy, progress } })) });
  } catch (error) {
    useEdits.setState({ error: failure(error) });
    return null;
  } finally {
    useEdits.setState({ busy: null });
  }
}

/** Makes a change to rows; then edits and summaries are listed anew, and everything that counts rows is asked for again. */
const changeRows = (ask: (datasetId: string) => Promise<unknown>, words: (last: EditSummary | undefined) => string): Promise<boolean> => work('edit', async (datasetId) => {
  await ask(datasetId);
  const before = new Set(useEdits.getState().edits.map((edit) => edit.id));
  const edits = await request('data.edits', { datasetId });
  const last = edits.findLast((edit) => !before.has(edit.id));
  useEdits.setState({ datasetId, edits, last: last ?? null });
  await refreshDatasets();
  announce(words(last));
  return true;
}).then((done) => done === true);

/** What is computed from rows is out of date. With `kept` the table stays as it is but for the rows that changed. */
function outOfDate(kept?: { deleted: number }): void {
  if (kept) rowsEdited(kept.deleted);
  useData.setState((s) => ({ version: s.version + 1 }));
}

/** What was written is in the set: the form closes. */
const written = (): void => useEdits.setState({ writing: null, draft: null });

/** Writes a row anew. */
export async function saveRow(index: number, messages: Message[]): Promise<boolean> {
  const done = await changeRows((datasetId) => request('data.editRow', { datasetId, index, messages }), (last) => `${last?.words ?? 'Saved'}.`);
  if (!done) return false;
  written();
  outOfDate({ deleted: 0 });
  await lookAt(useRows.getState().place ?? -1);
  return true;
}

/** Puts a row at the end and looks at it. */
export async function addRow(messages: Message[]): Promise<boolean> {
  let index = 0;
  const done = await changeRows(async (datasetId) => { ({ index } = await request('data.addRow', { datasetId, messages })); }, (last) => `${last?.words ?? 'Added'}.`);
  if (done) {
    written();
    outOfDate();
    useData.setState({ row: index });
  }
  return done;
}

/** Deletes one row, or all rows of the view that is shown. */
export async function deleteRows(which: { index: number } | { viewId: string }): Promise<boolean> {
  let deleted = 0;
  const { place } = useRows.getState();
  const done = await changeRows(async (datasetId) => {
    ({ deleted } = await request('data.deleteRows', { datasetId, ...('viewId' in which ? { viewId: which.viewId } : { indexes: [which.index] }) }));
  }, (last) => `${last?.words ?? `${deleted} deleted`}.`);
  if (!done) return false;
  outOfDate({ deleted });
  const count = useRows.getState().shown?.count ?? 0;
  if (count > 0) await lookAt(Math.min(place ?? 0, count - 1));
  else useRows.setState({ place: null, looked: null });
  return true;
}

export async function undoEdit(edit: EditSummary): Promise<boolean> {
  const done = await changeRows((datasetId) => request('data.undoEdit', { datasetId, editId: edit.id }), () => `Undone: ${edit.words}.`);
  if (done) {
    useEdits.setState({ last: null });
    outOfDate();
  }
  return done;
}

/** What is shown, in the order it is shown, as a file; all rows where no table is open. Null where it failed or was cancelled. */
export const exportRows = (): Promise<{ fileName: string; blob: Blob; rows: number } | null> => work('export', async (datasetId, options) => {
  const { shown, datasetId: of } = useRows.getState();
  const file = await request('data.exportRows', { datasetId, ...(shown && of === datasetId ? { viewId: shown.viewId } : {}) }, options);
  announce(`${file.fileName} has ${file.rows} ${file.rows === 1 ? 'row' : 'rows'}.`);
  return file;
});

/** Holds rows out for validation; null leaves it to the recipe again. */
export const setSplit = (split: SplitChoice | null): Promise<Pick<SplitSummary, 'train' | 'heldOut' | 'groups'> | null> => work('split', async (datasetId, options) => {
  const counts = await request('data.setSplit', { datasetId, split }, options);
  await refreshDatasets();
  outOfDate();
  announce(split ? `${counts.train} rows to train, ${counts.heldOut} held out.` : 'The recipe chooses the held-out rows again.');
  return counts;
});

/** An empty set to type rows into; the form for its first row opens. */
export async function createSet(name: string): Promise<boolean> {
  useEdits.setState({ error: null });
  try {
    const made = await request('data.create', { name });
    await refreshDatasets();
    selectDataset(made.id);
    setDataView('table');
    await loadEdits(made.id);
    writeRow('new');
    return true;
  } catch (error) {
    useEdits.setState({ error: failure(error) });
    return false;
  }
}
