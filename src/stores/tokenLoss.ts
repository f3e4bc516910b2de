/** What each token of the inspected row costs the base and the tuned model; asked for while it is shown. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import type { InspectTarget } from './inspect.ts';
import { announce } from './session.ts';
import type { InspectedRow, TokenLosses } from './types.ts';
import { failure, request } from './worker.ts';

export type LossView = 'both' | 'base' | 'tuned' | 'difference';

interface LossState {
  /** A person asked to see it: the next row is asked about by itself. */
  on: boolean;
  /** Of a tuned model; without one the base is shown. */
  view: LossView;
  /** The row these belong to. */
  of: InspectedRow | null;
  base: TokenLosses | null;
  tuned: TokenLosses | null;
  busy: boolean;
  error: UserMessage | null;
}

export const useTokenLoss = create<LossState>(() => ({ on: false, view: 'both', of: null, base: null, tuned: null, busy: false, error: null }));

let latest = 0;

/** Asks the base model, and the tuned one where there is one; an answer that comes after a newer question is dropped. */
export async function askLosses(target: InspectTarget, row: InspectedRow, hasTuned: boolean): Promise<void> {
  const mine = ++latest;
  useTokenLoss.setState({ busy: true, error: null });
  try {
    const base = await request('data.tokenLoss', { ...target, which: 'base' });
    if (mine !== latest) return;
    const tuned = hasTuned ? await request('data.tokenLoss', { ...target, which: 'tuned' }) : null;
    if (mine !== latest) return;
    useTokenLoss.setState({ of: row, base, tuned, busy: false });
    announce('The loss of each token is shown.');
  } catch (error) {
    if (mine === latest) useTokenLoss.setState({ of: row, base: null, tuned: null, busy: false, error: failure(error) });
  }
}

export function showLosses(on: boolean): void {
  latest++;
  useTokenLoss.setState({ on, of: null, base: null, tuned: null, busy: false, error: null });
}

export const setLossView = (view: LossView): void => useTokenLoss.setState({ view });
