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
  const found = new Map<string, number[]>();
  const names = by === 'task' ? [...TASK_TYPES] : fileNames(dataset);
  for (const name of names) found.set(name, []);
  const nameOf = by === 'task' ? (row: number) => names[tasks[row]!]! : fileOf(dataset, names);
  for (const row of rows) found.get(nameOf(row))!.push(row);
  return [...found].filter(([, list]) => list.length > 0).map(([name, list]) => ({ name, rows: Int32Array.from(list) }));
}

const ADDED = 'Added here';

function fileNames({ name, files }: Pick<DatasetSummary, 'name' | 'files'>): string[] {
  return files ? [...files.map((file) => toGroupName(file.name)), ADDED] : [toGroupName(name)];
}

/** Rows lie in the order of the files; what was typed in afterwards follows them. */
function fileOf({ files }: Pick<DatasetSummary, 'files'>, names: string[]): (row: number) => string {
  const ends: number[] = [];
  for (const { rows } of files ?? []) ends.push((ends.at(-1) ?? 0) + rows);
  return (row) => {
    if (!files) return names[0]!;
    const at = ends.findIndex((end) => row < end);
    return at < 0 ? ADDED : names[at]!;
  };
}
