/** What balance does, in words and shares. Pure. */
import type { Forecast, MixGroup, TrainingMix } from '../../stores/types.ts';
import { formatCount, formatSig, plural } from '../format.ts';

export const groupTitle = (by: TrainingMix['by'], name: string): string => (by === 'task' ? name.replaceAll('-', ' ') : name);

export interface GroupShare { name: string; title: string; rows: number; perEpoch: number; before: number; after: number }

/** Share of each group among the rows, and among what an epoch draws. */
export function sharesOf({ by, groups, rowsPerEpoch }: TrainingMix): GroupShare[] {
  const all = Math.max(1, groups.reduce((sum, { rows }) => sum + rows, 0));
  return groups.map(({ name, rows, perEpoch }) => ({ name, title: groupTitle(by, name), rows, perEpoch, before: rows / all, after: perEpoch / Math.max(1, rowsPerEpoch) }));
}

/** Shares are read beside each other: whole percents, and what is not nothing never reads as 0. */
const percent = (share: number): string => (share > 0 && share < 0.005 ? 'under 1\u2009%' : `${Math.round(100 * share)}\u2009%`);

/** "67 % to 50 %", or one share where both read alike. */
export function shareText({ before, after }: Pick<GroupShare, 'before' | 'after'>): string {
  const [from, to] = [percent(before), percent(after)];
  return from === to ? to : `${from} to ${to}`;
}

/** The effect on rows and steps: one sentence. */
export function effectWords({ mix, steps }: Pick<Forecast, 'mix' | 'steps'>): string {
  const rows = mix.groups.reduce((sum, group) => sum + group.rows, 0);
  if (mix.groups.every((group) => group.rows === group.perEpoch)) return `Every row once an epoch: ${plural(rows, 'row')}, ${plural(steps, 'step')} in all.`;
  return `${plural(mix.rowsPerEpoch, 'row')} an epoch (${formatCount(rows)} as it is), ${plural(steps, 'step')} in all (${formatCount(mix.asItIs.steps)} as it is).`;
}

/** What happens to the rows of one group; null where each is seen once. */
export function groupWords(group: MixGroup, packing: boolean): string | null {
  const { rows, perEpoch } = group;
  if (perEpoch === rows) return null;
  if (perEpoch === 0) return 'left out';
  if (perEpoch > rows) return `each row ${formatSig(perEpoch / rows)} times an epoch`;
  return `${formatCount(perEpoch)} of ${plural(rows, 'row')} an epoch, ${packing ? 'the others are left out' : 'others in the next'}`;
}
