/** Corrections of many rows at once: applied, listed, taken back; and the record of every row that was changed. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { useData } from './data.ts';
import { useModel } from './model.ts';
import { useRecipe } from './recipe.ts';
import { announce } from './session.ts';
import type { FindingKind, FixSummary } from './types.ts';
import { failure, request } from './worker.ts';

interface FixesState {
  /** The dataset `fixes` belong to. */
  datasetId: string | null;
  /** In force, the oldest first. */
  fixes: FixSummary[];
  /** Something is being applied, undone or written. */
  busy: 'fix' | 'record' | null;
  error: UserMessage | null;
}

export const useFixes = create<FixesState>(() => ({ datasetId: null, fixes: [], busy: null, error: null }));

/** Lists what was applied to a dataset. */
export async function loadFixes(datasetId: string): Promise<void> {
  if (useFixes.getState().datasetId !== datasetId) useFixes.setState({ datasetId, fixes: [], error: null });
  try {
    const fixes = await request('data.fixes', { datasetId });
    if (useFixes.getState().datasetId === datasetId) useFixes.setState({ fixes });
  } catch (error) {
    if (useFixes.getState().datasetId === datasetId) useFixes.setState({ error: failure(error) });
  }
}

/** Makes a change, then everything that shows or counts rows is asked for again. */
async function change(datasetId: string, ask: () => Promise<FixSummary[]>, words: (fixes: FixSummary[]) => string): Promise<boolean> {
  if (useFixes.getState().busy) return false;
  useFixes.setState({ busy: 'fix', error: null });
  try {
    const fixes = await ask();
    useFixes.setState({ datasetId, fixes });
    if (useData.getState().currentId === datasetId) useData.setState((s) => ({ version: s.version + 1 }));
    announce(words(fixes));
    return true;
  } catch (error) {
    useFixes.setState({ error: failure(error) });
    return false;
  } finally {
    useFixes.setState({ busy: null });
  }
}

/** Makes the finding's correction for all of its rows. */
export function applyFix(datasetId: string, kind: FindingKind): Promise<boolean> {
  const { template, maxLength } = useRecipe.getState().recipe.data;
  return change(datasetId, () => request('data.applyFix', { datasetId, kind, template, maxLength }), (fixes) => `Applied: ${fixes.at(-1)?.title ?? kind}.`);
}

export const undoFix = (datasetId: string, fix: Pick<FixSummary, 'id' | 'title'>): Promise<boolean> =>
  change(datasetId, () => request('data.undoFix', { datasetId, fixId: fix.id }), () => `Undone: ${fix.title}.`);

/** A whole row on or off, whatever leaves it out. */
export const setRowTrained = (datasetId: string, index: number, trained: boolean): Promise<boolean> =>
  change(datasetId, () => request('data.setRowTrained', { datasetId, index, trained }), () => `Row ${index + 1} is ${trained ? 'trained' : 'left out of training'}.`);

/** Leaves the rows that another dataset has too out of training. */
export const leaveOutOverlap = (datasetId: string, otherId: string, near: boolean): Promise<boolean> =>
  change(datasetId, () => request('data.leaveOutOverlap', { datasetId, otherId, near }), (fixes) => `Applied: ${fixes.at(-1)?.title ?? 'rows left out'}.`);

/** The record of changes as a file; with a loaded model also what training drops and cuts. Null where it failed. */
export async function recordOfChanges(datasetId: string, format: 'text' | 'json'): Promise<{ fileName: string; blob: Blob } | null> {
  const { recipe } = useRecipe.getState();
  const { template, maxLength } = recipe.data;
  const training = useModel.getState().status === 'ready' ? { template, maxLength, recipe } : {};
  useFixes.setState({ busy: 'record', error: null });
  try {
    const record = await request('data.changes', { datasetId, format, ...training });
    announce(`${record.fileName} has ${record.entries} ${record.entries === 1 ? 'entry' : 'entries'}.`);
    return record;
  } catch (error) {
    useFixes.setState({ error: failure(error) });
    return null;
  } finally {
    useFixes.setState({ busy: null });
  }
}

export const dismissFixError = (): void => useFixes.setState({ error: null });
