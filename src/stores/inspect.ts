/** The row under the mask inspector, as the collator will feed it. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { requestPlan } from './plan.ts';
import type { Recipe } from '../config/recipe.ts';
import type { InspectedRow, TemplateId, TrainingPlace } from './types.ts';
import { failure, request } from './worker.ts';

interface InspectState {
  row: InspectedRow | null;
  busy: boolean;
  error: UserMessage | null;
}

export interface InspectTarget { datasetId: string; index: number; template: TemplateId; maxLength: number }

export const useInspect = create<InspectState>(() => ({ row: null, busy: false, error: null }));

let latest = 0;

/** Shows a row; an answer that comes after a newer question is dropped. */
export async function inspect(target: InspectTarget, trainedTurns?: Record<number, boolean>): Promise<void> {
  const mine = ++latest;
  useInspect.setState({ busy: true });
  try {
    const row = await request('data.inspect', { ...target, ...(trainedTurns ? { trainedTurns } : {}) });
    if (mine === latest) useInspect.setState({ row, busy: false, error: null });
  } catch (error) {
    if (mine === latest) useInspect.setState({ row: null, busy: false, error: failure(error) });
  }
}

/** Switches a turn of the row on or off, shows what follows and keeps it for training. */
export async function switchTurn(target: InspectTarget, messageIndex: number, trained: boolean): Promise<void> {
  const turns = useInspect.getState().row?.turns ?? [];
  const trainedTurns: Record<number, boolean> = {};
  for (const turn of turns) if (turn.messageIndex !== null && turn.role === 'assistant') trainedTurns[turn.messageIndex] = turn.trained;
  trainedTurns[messageIndex] = trained;
  try {
    await request('data.setTrainedTurns', { datasetId: target.datasetId, index: target.index, trainedTurns });
    await inspect(target, trainedTurns);
    requestPlan('report', 700);
    requestPlan('forecast', 250);
  } catch (error) {
    useInspect.setState({ error: failure(error) });
  }
}

/** Where training puts a row; null where that cannot be told, as with a report that is not to be had. */
export const trainingPlace = (target: InspectTarget, recipe: Recipe): Promise<TrainingPlace | null> =>
  request('data.trainingPlace', { datasetId: target.datasetId, index: target.index, recipe }).catch(() => null);
