/** Past runs: the list and what can be done with one. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { showRun, useRun } from './run.ts';
import { setTuned, useTuned } from './tuned.ts';
import type { RunSummary } from './types.ts';
import { failure, request } from './worker.ts';

interface RunsState {
  /** null until the first list arrives; newest first. */
  runs: RunSummary[] | null;
  error: UserMessage | null;
  /** Id of the run that is being opened. */
  opening: string | null;
}

export const useRuns = create<RunsState>(() => ({ runs: null, error: null, opening: null }));

export async function refreshRuns(): Promise<void> {
  try {
    const runs = await request('runs.list', {});
    useRuns.setState({ runs: runs.toSorted((a, b) => b.createdAt - a.createdAt), error: null });
  } catch (error) {
    useRuns.setState((s) => ({ runs: s.runs ?? [], error: failure(error) }));
  }
}

export async function renameRun(runId: string, name: string): Promise<void> {
  try {
    const renamed = await request('runs.rename', { runId, name });
    useRuns.setState((s) => ({ runs: s.runs?.map((r) => (r.id === runId ? renamed : r)) ?? null, error: null }));
    const { run } = useRun.getState();
    if (run?.id === runId) useRun.setState({ run: { ...run, name } });
  } catch (error) {
    useRuns.setState({ error: failure(error) });
  }
}

/** Removes runs with their adapters and checkpoints; there is no way back. */
export async function deleteRuns(ids: string[]): Promise<void> {
  for (const runId of ids) {
    try {
      await request('runs.delete', { runId });
      if (useTuned.getState().tuned?.runId === runId) setTuned(null);
    } catch (error) {
      useRuns.setState({ error: failure(error) });
    }
  }
  await refreshRuns();
}

/** Shows a past run and puts its adapter on the model; false when that failed. The model must be loaded. */
export async function openRun(run: RunSummary): Promise<boolean> {
  useRuns.setState({ opening: run.id, error: null });
  try {
    const detail = await request('runs.open', { runId: run.id });
    showRun(detail);
    setTuned({ runId: run.id, name: run.name, step: run.step });
    return true;
  } catch (error) {
    useRuns.setState({ error: failure(error) });
    return false;
  } finally {
    useRuns.setState({ opening: null });
  }
}

/** Shows a past run's curves only. */
export async function viewRun(run: RunSummary): Promise<boolean> {
  try {
    showRun(await request('runs.get', { runId: run.id }));
    return true;
  } catch (error) {
    useRuns.setState({ error: failure(error) });
    return false;
  }
}

export const runsFailed = (error: UserMessage | null): void => useRuns.setState({ error });
