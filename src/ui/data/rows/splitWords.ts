/** The choices of a split as form values and in words. Pure. */
import type { SplitChoice, SplitSummary } from '../../../stores/types.ts';
import { formatWhole, plural } from '../../format.ts';

type GroupBy = SplitChoice['groupBy'];

export const DEFAULT_SPLIT: SplitChoice = { ratio: 0.1, groupBy: 'prompt', seed: 42 };

export const GROUPS = [
  { value: 'prompt', label: 'Rows with the same prompt' },
  { value: 'duplicates', label: 'Exact and near copies' },
  { value: 'none', label: 'Nothing: every row by itself' },
] as const;

const FIELD = 'field:';

export const groupValue = (groupBy: GroupBy): string => (typeof groupBy === 'string' ? groupBy : `${FIELD}${groupBy.column}`);
export const groupOf = (value: string): GroupBy => (value.startsWith(FIELD) ? { column: value.slice(FIELD.length) } : value as Exclude<GroupBy, object>);

/** "In 870 groups of rows with the same prompt, seed 42." */
export function splitWords({ groupBy, groups, seed }: SplitSummary): string {
  const kind = typeof groupBy === 'object' ? `rows with the same ${groupBy.column}` : groupBy === 'prompt' ? 'rows with the same prompt' : 'exact and near copies';
  return groupBy === 'none' ? `Each row by itself, seed ${formatWhole(seed)}.` : `In ${plural(groups, 'group')} of ${kind}, seed ${formatWhole(seed)}.`;
}
