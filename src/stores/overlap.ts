/** The dataset in use against another one, such as a test file: rows that ask the same, or nearly. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { useData } from './data.ts';
import { announce } from './session.ts';
import type { DisplayRow, Progress, Requests } from './types.ts';
import { failure, request } from './worker.ts';

export type OverlapResult = Requests['data.overlap']['result'];

interface OverlapState {
  /** What was compared, and with which version of its rows. */
  of: { datasetId: string; otherId: string; version: number } | null;
  result: OverlapResult | null;
  busy: { progress: Progress | null; startedAt: number } | null;
  error: UserMessage | null;
}

export const useOverlap = create<OverlapState>(() => ({ of: null, result: null, busy: null, error: null }));

let comparing: AbortController | null = null;

export async function compareWith(datasetId: string, otherId: string): Promise<void> {
  comparing?.abort();
  const controller = new AbortController();
  comparing = controller;
  const mine = () => comparing === controller;
  useOverlap.setState({ of: { datasetId, otherId, version: useData.getState().version }, result: null, error: null, busy: { progress: null, startedAt: Date.now() } });
  try {
    const result = await request('data.overlap', { datasetId, otherId }, {
      signal: controller.signal,
      onProgress: (progress) => useOverlap.setState((s) => (mine() && s.busy ? { busy: { ...s.busy, progress } } : s)),
    });
    if (!mine()) return;
    useOverlap.setState({ result, busy: null });
    announce(`${result.count} rows ask the same, ${result.near.count} nearly the same.`);
  } catch (error) {
    if (mine()) useOverlap.setState({ of: null, busy: null, error: failure(error) });
  }
}

export function cancelCompare(): void {
  comparing?.abort();
  comparing = null;
  useOverlap.setState({ of: null, busy: null });
}

/** Brings a file in to compare with, without leaving the dataset in use. Its id, or null where that failed. */
export async function importOther(file: File): Promise<string | null> {
  try {
    const made = await request('data.import', { source: { kind: 'file', file } });
    useData.setState((s) => ({ datasets: [...s.datasets ?? [], made] }));
    return made.id;
  } catch (error) {
    useOverlap.setState({ error: failure(error) });
    return null;
  }
}

/** One row's texts; null where it cannot be read. */
export async function rowTexts(datasetId: string, index: number): Promise<DisplayRow | null> {
  const rows = await request('data.rows', { datasetId, offset: index, limit: 1 }).catch(() => []);
  return rows[0] ?? null;
}
