/**
 * Owns rows switched off one by one: kept as one fix among the others, so that loader, forecast, undo and the record of changes treat
 * them alike. Refuses to know who switches.
 */
import type { AppliedFix } from './types.ts';

const TITLE = 'Rows switched off one by one';

/** The fixes with one row switched off: the earliest list of such rows takes it in. */
export function withRowOff(fixes: readonly AppliedFix[], row: number, line: number, fresh: { id: string; appliedAt: number }): AppliedFix[] {
  if (leftOutBy(fixes, row).length > 0) return [...fixes];
  const held = fixes.find(({ kind }) => kind === 'row-switch');
  if (!held) return [...fixes, { ...fresh, kind: 'row-switch', action: 'drop', title: TITLE, rows: Int32Array.of(row), lines: Int32Array.of(line) }];
  const at = held.rows.findLastIndex((before) => before < row) + 1;
  const insert = (list: Int32Array, value: number) => Int32Array.from([...list.subarray(0, at), value, ...list.subarray(at)]);
  const widened: AppliedFix = { ...held, appliedAt: fresh.appliedAt, rows: insert(held.rows, row), lines: insert(held.lines, line) };
  return fixes.map((fix) => (fix === held ? widened : fix));
}

/** The fixes with one row taken out of all that leave it out; a fix without rows is none. */
export function withRowOn(fixes: readonly AppliedFix[], row: number): AppliedFix[] {
  return fixes.map((fix): AppliedFix => {
    const at = fix.action === 'drop' ? fix.rows.indexOf(row) : -1;
    const others = (list: Int32Array) => list.filter((_, i) => i !== at);
    return at < 0 ? fix : { ...fix, rows: others(fix.rows), lines: others(fix.lines) };
  }).filter(({ rows }) => rows.length > 0);
}

/** Titles of the fixes that leave a row out. */
export const leftOutBy = (fixes: readonly AppliedFix[], row: number): string[] => fixes.filter((fix) => fix.action === 'drop' && fix.rows.includes(row)).map(({ title }) => title);
