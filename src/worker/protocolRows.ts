/** Owns the requests about single rows: views of the table, edits, the split, export. */
import type { UserMessage } from '../config/errors.ts';
import type { EditSummary, RowView, SplitChoice, ViewRow, ViewSummary } from '../data/table/types.ts';
import type { DatasetSummary, DisplayRow, Message } from '../data/types.ts';

export type { EditSummary, QualityPart, RowView, SplitChoice, SplitSummary, ViewRow, ViewSummary } from '../data/table/types.ts';

export interface RowRequests {
  /**
   * Filters and sorts. The first view of a dataset of an earlier Etude reads its rows once (progress in rows). A search goes
   * on behind it, with 'data.view' events under the view's id. Refused: data.noReport for a finding without a report.
   */
  'data.view': { args: { datasetId: string; view: RowView }; result: ViewSummary };
  /** Rows of the view in its order. Rows that were deleted since leave it; edited ones stay where they were. */
  'data.viewRows': { args: { viewId: string; offset: number; limit: number }; result: ViewRow[] };
  /** Ends the view's search and forgets the view; with `keep` what was found so far stays and can be shown, exported and deleted. */
  'data.viewClose': { args: { viewId: string; keep?: boolean }; result: null };
  /** Writes a row anew: recorded with the dataset, named in the record of changes, undoable. The row keeps its index and line. */
  'data.editRow': { args: { datasetId: string; index: number; messages: Message[] }; result: DisplayRow };
  /** Puts a row at the end; its line is 0. */
  'data.addRow': { args: { datasetId: string; messages: Message[] }; result: DisplayRow };
  /** Takes rows out: those of a view whose search has ended, or by index. Others keep their index. */
  'data.deleteRows': { args: { datasetId: string; viewId?: string; indexes?: number[] }; result: { deleted: number } };
  /** Takes an edit back; without an id the last one. Gives those in force, oldest first. */
  'data.undoEdit': { args: { datasetId: string; editId?: string }; result: EditSummary[] };
  'data.edits': { args: { datasetId: string }; result: EditSummary[] };
  /** JSON Lines of OpenAI messages: the view in its order, or all rows that are left. Pairs and plain text keep their form. */
  'data.exportRows': { args: { datasetId: string; viewId?: string }; result: { fileName: string; blob: Blob; rows: number } };
  /** Chooses the held-out rows for all runs from now on; null goes back to the recipe's share. */
  'data.setSplit': { args: { datasetId: string; split: SplitChoice | null }; result: { train: number; heldOut: number; groups: number } };
  /** An empty set to type rows into. */
  'data.create': { args: { name: string }; result: DatasetSummary };
}

/** How far the search of a view is. `count` rows are in the view. */
export interface ViewEvent {
  type: 'data.view';
  viewId: string;
  count: number;
  /** Rows looked at, of `total`. */
  searched: number;
  total: number;
  done: boolean;
  /** The search ended here because rows could not be read. */
  problem?: UserMessage;
}
