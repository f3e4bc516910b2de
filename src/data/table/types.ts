/** What the table of rows is asked for and gives: views, shown rows, edits, splits. */
import type { TaskType } from '../taskTypes.ts';
import type { DisplayRow, FindingKind } from '../types.ts';

/** Bounds that both belong to the range. */
export type Range = readonly [min: number, max: number];

/** Rows to show and their order. Conditions hold together; rows that fixes leave out are shown only when asked for. */
export interface RowView {
  /** Text in any field, whatever its case; '' for none. */
  search: string;
  where: {
    task?: readonly TaskType[] | undefined;
    /** Rows the last report names, all of them. */
    finding?: FindingKind | undefined;
    /** 0 to 100. */
    quality?: Range | undefined;
    /** Characters. */
    answer?: Range | undefined;
    prompt?: Range | undefined;
    /** Held out by the dataset's split. */
    held?: boolean | undefined;
    /** Edited or added by hand. */
    edited?: boolean | undefined;
    /** True for the rows that fixes leave out, and those alone. */
    leftOut?: boolean | undefined;
  };
  sort: { by: 'row' | 'prompt' | 'answer' | 'total' | 'quality' | 'task'; descending: boolean };
}

export interface ViewSummary {
  viewId: string;
  /** Rows in the view so far. */
  count: number;
  /** Rows of the dataset. */
  total: number;
  /** The search goes on; 'data.view' events tell how far it is. */
  searching: boolean;
  /** The findings are those of before the last edits: make the report again. */
  stale?: true;
}

/** One part of a row's quality: `value` (0 to 1) counts by `weight`; the weights add up to 100. */
export interface QualityPart {
  name: string;
  weight: number;
  value: number;
  words: string;
}

export interface ViewRow extends DisplayRow {
  task: TaskType;
  /** 0 to 100, the sum of `parts`. */
  quality: number;
  parts: QualityPart[];
  promptChars: number;
  answerChars: number;
  /** Characters of all turns. */
  totalChars: number;
  /** Edited or added by hand. A row that was added has line 0. */
  edited: boolean;
  held: boolean;
  /** A fix leaves it out. */
  leftOut: boolean;
}

/** What a person did to rows, as it is listed. */
export interface EditSummary {
  id: string;
  kind: 'edit' | 'add' | 'delete';
  /** How many. */
  rows: number;
  /** Milliseconds since 1970. */
  at: number;
  /** "Row 12 (line 13) was edited" */
  words: string;
}

/** How rows are held out for validation, instead of the recipe's share. */
export interface SplitChoice {
  /** Share held out, above 0 and below 1. */
  ratio: number;
  /** Rows of a group are on one side: those with one prompt, exact and near copies, or one value of a field. */
  groupBy: 'none' | 'prompt' | 'duplicates' | { column: string };
  seed: number;
}

/** The split in force, as it came out when it was made. */
export interface SplitSummary extends SplitChoice {
  train: number;
  heldOut: number;
  groups: number;
}
