/** Owns which rows a split made by hand holds out now, edits since then included, and the groups it is made by. */
import { NearDuplicates } from '../detectors/nearDuplicates.ts';
import { messagesOfRow } from '../messages.ts';
import { factsOf } from '../quality.ts';
import { hashText } from '../random.ts';
import { promptHash } from '../split.ts';
import type { DatasetStore } from '../store.ts';
import type { DatasetSummary, Mapping, StoredRow } from '../types.ts';
import { indexBound } from './edits.ts';
import { heldRule, ownGroup, wasHeld, type StoredSplit } from './rowSplit.ts';
import type { SplitChoice } from './types.ts';

/** Of a row under a choice; 0 for one that is a group by itself. Near copies are not known to a single row. */
export function groupOfRow(row: StoredRow, mapping: Mapping, groupBy: SplitChoice['groupBy']): number {
  if (groupBy === 'none') return 0;
  if (typeof groupBy === 'object') {
    const field = (row.value as Record<string, unknown> | null)?.[groupBy.column];
    return field === undefined || field === null ? 0 : hashText(typeof field === 'string' ? field : JSON.stringify(field)) || 1;
  }
  const converted = messagesOfRow(row, mapping, 'model');
  if (!converted.ok) return 0;
  return groupBy === 'prompt' ? promptHash(converted.messages) : factsOf(converted.messages).hash;
}

export interface Grouping {
  store: Pick<DatasetStore, 'rows' | 'rowsAt'>;
  dataset: DatasetSummary;
  groupBy: SplitChoice['groupBy'];
  signal: AbortSignal;
  onProgress: (rows: number) => void;
}

/** The group of every row by index, and which rows there are. With 'duplicates', near copies share their first one's group. */
export async function groupRows({ store, dataset, groupBy, signal, onProgress }: Grouping): Promise<{ groups: Float64Array; rows: Int32Array }> {
  const { id, mapping } = dataset;
  const groups = new Float64Array(indexBound(dataset));
  const rows = new Int32Array(dataset.rows);
  const near = groupBy === 'duplicates' ? new NearDuplicates(groups.length) : null;
  let count = 0;
  for await (const row of store.rows(id)) {
    if (count % 1000 === 0) {
      signal.throwIfAborted();
      onProgress(count);
    }
    rows[count++] = row.index;
    groups[row.index] = groupOfRow(row, mapping, groupBy);
    const converted = near && messagesOfRow(row, mapping, 'model');
    if (converted?.ok) near!.add(row.index, converted.messages);
  }
  const found = await near?.find(async (wanted) => (await store.rowsAt(id, wanted)).map((row) => {
    const converted = messagesOfRow(row, mapping, 'model');
    return converted.ok ? converted.messages : null;
  }), signal);
  found?.rows.forEach((row, i) => {
    groups[row] = groups[found.firstOf[i]!]!;
  });
  return { groups, rows: rows.subarray(0, count) };
}

/** Rows that are held out now, in order. Those written since, or back to what they were, fall on the side of their group. */
export async function heldRows(store: DatasetStore, dataset: DatasetSummary, split: StoredSplit): Promise<Int32Array> {
  const { id, mapping } = dataset;
  const edited = await store.edited(id);
  const others = [...new Set([...split.written, ...(edited?.written() ?? [])])];
  const isHeld = heldRule(split);
  const held = new Set<number>();
  const asked = new Set(others);
  for (let row = 0; row < Math.min(indexBound(dataset), split.held.length * 8); row++) {
    if (wasHeld(split, row) && !asked.has(row) && (edited?.isLive(row) ?? true)) held.add(row);
  }
  for (const row of await store.rowsAt(id, others.filter((row) => edited?.isLive(row) ?? true))) {
    if (isHeld(groupOfRow(row, mapping, split.choice.groupBy) || ownGroup(row.index))) held.add(row.index);
  }
  return Int32Array.from(held).sort();
}
