/** Owns which group of rows each training row belongs to: what it asks for, or the file it came from. */
import { toGroupName } from '../config/recipe.ts';
import { TASK_TYPES } from './taskTypes.ts';
import type { DatasetSummary } from './types.ts';

export interface RowGroup {
  name: string;
  /** By dataset index, in the order given. */
  rows: Int32Array;
}

/** Groups that have rows, tasks in their fixed order, files in theirs. @param tasks by dataset index, a place in TASK_TYPES */
export function groupsOf(by: 'task' | 'file', rows: Int32Array, tasks: Uint8Array, dataset: Pick<DatasetSummary, 'name' | 'files'>): RowGroup[] {
  const names = by === 'task' ? [...TASK_TYPES] : fileNames(dataset);
  // Two files may have one name: they are one group.
  const groups = names.map((name) => names.indexOf(name));
  const groupOf = by === 'task' ? (row: number) => tasks[row]! : fileOf(dataset, names.length);
  const sizes = new Int32Array(names.length);
  for (const row of rows) sizes[groups[groupOf(row)]!]!++;
  const lists = Array.from(sizes, (size) => new Int32Array(size));
  sizes.fill(0);
  for (const row of rows) {
    const group = groups[groupOf(row)]!;
    lists[group]![sizes[group]!++] = row;
  }
  return names.map((name, group) => ({ name, rows: lists[group]! })).filter((group) => group.rows.length > 0);
}

const ADDED = 'Added here';

function fileNames({ name, files }: Pick<DatasetSummary, 'name' | 'files'>): string[] {
  return files ? [...files.map((file) => toGroupName(file.name)), ADDED] : [toGroupName(name)];
}

/** Rows lie in the order of the files; what was typed in afterwards follows them. */
function fileOf({ files }: Pick<DatasetSummary, 'files'>, names: number): (row: number) => number {
  const ends: number[] = [];
  for (const { rows } of files ?? []) ends.push((ends.at(-1) ?? 0) + rows);
  return (row) => {
    if (!files) return 0;
    const at = ends.findIndex((end) => row < end);
    return at < 0 ? names - 1 : at;
  };
}
