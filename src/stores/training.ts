/** Actions on runs that train: start, pause, go on, stop, resume. */
import { BUILTIN_DATA } from '../config/builtin.ts';
import { currentDataset, useData } from './data.ts';
import { chooseModel, loadModel, useModel } from './model.ts';
import { useRecipe } from './recipe.ts';
import { prepareRun, runEnded, runFailed, runIsLive, runRefused, setAsked, showRun, useRun } from './run.ts';
import { refreshRuns, useRuns } from './runs.ts';
import { goTo } from './session.ts';
import { setTuned, useTuned } from './tuned.ts';
import type { RunSummary } from './types.ts';
import { failure, request } from './worker.ts';

/** Why training cannot start now, in words; null when it can. */
export function startBlocker(): string | null {
  const { status, summary } = useModel.getState();
  const hasModel = status === 'ready' && summary !== null;
  const hasData = useData.getState().currentId !== null;
  if (!hasModel && !hasData) return 'Choose a model and data first';
  if (!hasModel) return status === 'loading' ? 'The model is loading' : 'Choose a model first';
  if (!hasData) return 'Choose data first';
  const invalid = Object.keys(useRecipe.getState().invalid).length;
  if (invalid) return invalid === 1 ? 'One setting is out of range' : `${invalid} settings are out of range`;
  if (useRecipe.getState().jsonDraft) return 'The JSON is not a recipe';
  if (runIsLive(useRun.getState())) return 'A run is already training';
  return null;
}

async function follow(work: Promise<RunSummary>): Promise<void> {
  try {
    runEnded(await work);
    await refreshRuns();
  } catch (error) {
    runFailed(failure(error));
    await refreshRuns();
    keepWhatIsLeft();
  }
}

/** After a failure: the record says what the run came to, and its last good weights are still on the model. */
function keepWhatIsLeft(): void {
  const { run } = useRun.getState();
  const left = useRuns.getState().runs?.find((r) => r.id === run?.id);
  if (!left) return;
  useRun.setState({ run: left });
  if (left.step > 0 && useModel.getState().status === 'ready') setTuned({ runId: left.id, name: left.name, step: left.step });
}

export async function startTraining(): Promise<void> {
  const datasetId = useData.getState().currentId;
  if (startBlocker() || !datasetId) return;
  prepareRun();
  goTo('train');
  const { recipe } = useRecipe.getState();
  const { tuned, continueFrom } = useTuned.getState();
  const fromTuned = tuned !== null && continueFrom;
  const dataset = currentDataset(useData.getState());
  const title = dataset && dataset.source !== 'builtin' ? dataset.name : BUILTIN_DATA.title;
  await follow(request('train.start', { datasetId, recipe, name: fromTuned ? `${title} · from ${tuned.name}` : `${title} · rank ${recipe.lora.r}`, fromTuned }));
}

export async function pauseTraining(): Promise<void> {
  setAsked('pause');
  await request('train.pause', {}).catch((error: unknown) => runRefused(failure(error)));
}

export async function continueTraining(): Promise<void> {
  await request('train.continue', {}).catch((error: unknown) => runRefused(failure(error)));
}

export async function stopTraining(): Promise<void> {
  setAsked('stop');
  await request('train.stop', {}).catch((error: unknown) => runRefused(failure(error)));
}

/** Pause while training, go on while paused. */
export function togglePause(): void {
  const { status } = useRun.getState();
  if (status === 'running') void pauseTraining();
  else if (status === 'paused') void continueTraining();
}

/** The base model a run needs is on the device, or a sentence that says which one to load. */
export async function ensureModelFor(run: RunSummary): Promise<string | null> {
  const { status, summary } = useModel.getState();
  if (status === 'ready' && summary?.source === run.model.source && summary.name === run.model.name) return null;
  if (run.model.source !== 'builtin') return `Load ${run.model.name} on the Model step first: this run was trained on it.`;
  chooseModel('builtin');
  await loadModel();
  const { error } = useModel.getState();
  return error ? error.what : null;
}

/** Goes on with an interrupted or stopped run from its last checkpoint. */
export async function resumeTraining(run: RunSummary): Promise<void> {
  if (runIsLive(useRun.getState())) return;
  goTo('train');
  prepareRun();
  try {
    showRun(await request('runs.get', { runId: run.id }));
    const missing = await ensureModelFor(run);
    if (missing) {
      runFailed({ code: 'run.modelMissing', what: `This run needs ${run.model.name}.`, likelyCause: missing, nextStep: 'Open the Model step' });
      return;
    }
    useRun.setState({ status: 'starting' });
    await follow(request('train.resume', { runId: run.id }));
  } catch (error) {
    runFailed(failure(error));
  }
}
