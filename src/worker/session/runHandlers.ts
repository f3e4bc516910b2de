/** Answers about runs: their forecast, their course, what is kept of them. */
import type { HandlersOf } from './handlers.ts';
import { refuse } from './refuse.ts';
import { summaryOf } from './runs.ts';
import type { SessionState } from './state.ts';
import { forecast, openRun, renameRun, resumeRun, startRun } from './training.ts';

export const runHandlers = (state: SessionState): HandlersOf<'train' | 'runs'> => ({
  'train.forecast': (args, context) => forecast(state, args.datasetId, args.recipe, context),
  'train.start': async ({ datasetId, recipe, name, fromTuned = false }, context) => summaryOf(await state.alone(() => startRun(state, datasetId, recipe, { ...(name ? { name } : {}), fromTuned, context }))),
  'train.resume': async ({ runId }, context) => summaryOf(await state.alone(() => resumeRun(state, runId, context))),
  'train.pause': async () => (state.needRun().pause(), null),
  'train.continue': async () => (state.needRun().continue(), null),
  'train.stop': async () => (state.needRun().stop(), null),
  'runs.list': async () => (await state.data()).runs.list(),
  'runs.get': async ({ runId }) => (await state.data()).runs.detail(runId),
  'runs.rename': async ({ runId, name }) => renameRun(state, runId, name),
  'runs.delete': async ({ runId }) => {
    if (state.run?.id === runId) throw refuse('run.busy', 'This run is going on.', 'Stop it before deleting it.');
    const { runs } = await state.data();
    await runs.refuseIfElsewhere(runId);
    await runs.store.deleteRun(runId);
    return null;
  },
  'runs.open': ({ runId }) => openRun(state, runId),
});
