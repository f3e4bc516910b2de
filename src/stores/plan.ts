/** What the worker computes about model, data and recipe together: the data report and the forecast. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { useData } from './data.ts';
import { useModel } from './model.ts';
import { useRecipe } from './recipe.ts';
import type { DataReport, Forecast, Progress } from './types.ts';
import { failure, request } from './worker.ts';

interface Computed<T> {
  value: T | null;
  /** The value is older than what it was computed from. */
  stale: boolean;
  busy: boolean;
  progress: Progress | null;
  error: UserMessage | null;
}

interface PlanState { report: Computed<DataReport>; forecast: Computed<Forecast> }

const nothing = { value: null, stale: false, busy: false, progress: null, error: null };

export const usePlan = create<PlanState>(() => ({ report: nothing, forecast: nothing }));

const running: { report: AbortController | null; forecast: AbortController | null } = { report: null, forecast: null };
const timers: { report?: ReturnType<typeof setTimeout>; forecast?: ReturnType<typeof setTimeout> } = {};

const patch = (part: keyof PlanState, change: Partial<Computed<never>> | Partial<Computed<DataReport>> | Partial<Computed<Forecast>>): void =>
  usePlan.setState((s) => ({ [part]: { ...s[part], ...change } }) as Partial<PlanState>);

async function compute(part: keyof PlanState): Promise<void> {
  const datasetId = useData.getState().currentId;
  const { recipe } = useRecipe.getState();
  if (!datasetId || useModel.getState().status !== 'ready') return;
  running[part]?.abort();
  const controller = new AbortController();
  running[part] = controller;
  patch(part, { busy: true, stale: true, progress: null, error: null });
  const options = {
    signal: controller.signal,
    onProgress: (progress: Progress) => { if (running[part] === controller) patch(part, { progress }); },
  };
  try {
    const value = part === 'report'
      ? await request('data.report', { datasetId, template: recipe.data.template, maxLength: recipe.data.maxLength }, options)
      : await request('train.forecast', { datasetId, recipe }, options);
    if (running[part] === controller) patch(part, { value, stale: false, busy: false, progress: null });
  } catch (error) {
    if (running[part] === controller) patch(part, { busy: false, progress: null, error: failure(error), value: null });
  }
}

/** Asks for a part again, once changes have settled for `delay` ms. */
export function requestPlan(part: keyof PlanState, delay = 0): void {
  clearTimeout(timers[part]);
  patch(part, { stale: true });
  timers[part] = setTimeout(() => void compute(part), delay);
}

/** Model or data are gone: so is what was computed from them. */
export function clearPlan(): void {
  for (const part of ['report', 'forecast'] as const) {
    clearTimeout(timers[part]);
    running[part]?.abort();
    running[part] = null;
  }
  usePlan.setState({ report: nothing, forecast: nothing });
}

export const cancelReport = (): void => running.report?.abort();
