/** Which adapter is on the model: what Try compares and Export writes. */
import { create } from 'zustand';

export interface Tuned {
  /** A run's id, or null for an adapter that was opened from files. */
  runId: string | null;
  name: string;
  /** Optimizer steps behind the adapter; null when unknown. */
  step: number | null;
}

interface TunedState {
  tuned: Tuned | null;
  /** Rises with every new adapter, so that results about the old one are dropped. */
  version: number;
  /** The next run goes on from the adapter instead of a fresh one. */
  continueFrom: boolean;
}

export const useTuned = create<TunedState>(() => ({ tuned: null, version: 0, continueFrom: false }));

/** A choice to go on from an adapter ends with that adapter. */
export const setTuned = (tuned: Tuned | null): void =>
  useTuned.setState((s) => ({ tuned, version: s.version + 1, continueFrom: s.continueFrom && tuned?.runId === s.tuned?.runId && tuned?.name === s.tuned?.name }));

export const setContinueFrom = (continueFrom: boolean): void => useTuned.setState({ continueFrom });
