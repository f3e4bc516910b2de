/**
 * Owns the arithmetic of balance: how many rows of each group (a task, a file) an epoch draws, from nothing but their counts.
 * 'temperature' is the sampling of multi-task models: shares in proportion to rows^(1/T); 'balanced' is T without bound.
 */
import type { DataConfig } from './recipe.ts';

export type BalanceSettings = Pick<DataConfig, 'balance' | 'balanceBy' | 'balanceTemperature' | 'balanceRepeats' | 'balanceWeights' | 'balanceCaps'>;

export interface MixGroup {
  name: string;
  /** Training rows that belong to it. */
  rows: number;
  /** Rows of it that an epoch trains, repeats counted. */
  perEpoch: number;
}

/** What balance makes of the training rows. */
export interface TrainingMix {
  by: 'task' | 'file';
  groups: MixGroup[];
  /** Sum over the groups. */
  rowsPerEpoch: number;
  /** The same recipe with every row once an epoch. */
  asItIs: { steps: number; stepsPerEpoch: number };
}

/**
 * Rows an epoch draws of each group. 'balanced' and 'temperature' keep the sum where they can: no row is drawn more than
 * `balanceRepeats` times an epoch on average, so small groups may fall short and the epoch becomes shorter.
 */
export function drawnPerEpoch(groups: readonly { name: string; rows: number }[], settings: BalanceSettings): number[] {
  const { balance, balanceRepeats } = settings;
  if (balance === 'own') return groups.map(({ name, rows }) => ownDraw(name, rows, settings));
  if (balance !== 'balanced' && balance !== 'temperature') return groups.map(({ rows }) => rows);
  const power = balance === 'balanced' ? 0 : 1 / settings.balanceTemperature;
  const pull = groups.map(({ rows }) => (rows === 0 ? 0 : rows ** power));
  const pulls = pull.reduce((a, b) => a + b, 0);
  const total = groups.reduce((sum, { rows }) => sum + rows, 0);
  return groups.map(({ rows }, i) => (rows === 0 ? 0 : Math.max(1, Math.min(balanceRepeats * rows, Math.round((total * pull[i]!) / pulls)))));
}

function ownDraw(name: string, rows: number, { balanceWeights, balanceCaps }: BalanceSettings): number {
  const weight = Object.hasOwn(balanceWeights, name) ? balanceWeights[name]! : 1;
  const cap = Object.hasOwn(balanceCaps, name) ? balanceCaps[name]! : Infinity;
  return Math.min(Math.round(weight * rows), cap);
}
