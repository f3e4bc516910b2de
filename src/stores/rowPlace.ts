/** Which row of the view is looked at, and the way to the next. Refuses to know how a view is made. */
import { currentDataset, setDataView, setRow, useData } from './data.ts';
import { EVERYTHING, isNarrowed, openRows, useRows, type RowWhere } from './rowView.ts';
import type { Finding, ViewRow } from './types.ts';
import { failure, request } from './worker.ts';

/** The rows of a condition alone, the first of them in the inspector. */
export async function showRows(where: RowWhere): Promise<void> {
  if (await openRows({ ...EVERYTHING, where })) await lookAt(0);
}

/** Shows the rows of a finding. */
export const openFinding = ({ kind }: Pick<Finding, 'kind'>): Promise<void> => showRows({ finding: kind });

/** The table shows the rows of a condition and takes the focus. */
export function tableOf(where: RowWhere): void {
  setDataView('table');
  useRows.setState({ focus: true });
  void showRows(where);
}

async function rowAt(place: number): Promise<ViewRow | null> {
  const { shown } = useRows.getState();
  if (!shown || place < 0 || place >= shown.count) return null;
  try {
    return (await request('data.viewRows', { viewId: shown.viewId, offset: place, limit: 1 }))[0] ?? null;
  } catch (error) {
    useRows.setState({ error: failure(error) });
    return null;
  }
}

/** Looks at the row in this place of the view. */
export async function lookAt(place: number): Promise<void> {
  const { shown } = useRows.getState();
  if (!shown || place < 0 || place >= shown.count) return;
  useRows.setState({ place });
  const row = await rowAt(place);
  // Another place was asked for meanwhile.
  if (!row || useRows.getState().place !== place) return;
  useRows.setState({ looked: row });
  setRow(row.index);
}

/** Looks at a row by its number, wherever it is in the view. */
export function goToRow(index: number): void {
  useRows.setState({ place: null, looked: null });
  setRow(index);
}

/** First place whose row is `index` or behind it; asks a few times for one row. For a view in the order of the file. */
async function placeFrom(index: number): Promise<{ place: number; exact: boolean }> {
  let low = 0;
  let high = useRows.getState().shown?.count ?? 0;
  let exact = false;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const row = await rowAt(middle);
    if (!row) break;
    if (row.index === index) exact = true;
    if (row.index >= index) high = middle;
    else low = middle + 1;
  }
  return { place: low, exact };
}

/** Next or previous row of the view, where rows are narrowed, sorted or some are deleted; else of the file. */
export async function moveRow(by: 1 | -1): Promise<void> {
  const { row, currentId } = useData.getState();
  const gaps = (currentDataset(useData.getState())?.edits?.deleted ?? 0) > 0;
  const { shown, datasetId, view, place } = useRows.getState();
  const open = shown !== null && datasetId === currentId;
  const inOrder = view.sort.by === 'row' && !view.sort.descending;
  if (open && place !== null) return lookAt(place + by);
  if (!gaps && !(open && (isNarrowed(view) || !inOrder))) return goToRow(row + by);
  if (!open && !await openRows()) return;
  if (!inOrder) return lookAt(0);
  const from = await placeFrom(row);
  await lookAt(by > 0 ? from.place + (from.exact ? 1 : 0) : from.place - 1);
}
