/** Owns how a run comes about: started on a fresh or tuned adapter, resumed from its checkpoint, reopened for its adapter. */
import { loraConfigSchema, type LoraConfig, type Recipe } from '../../config/recipe.ts';
import { adapterTargets, type AdapterState } from '../../formats/peftAdapter.ts';
import { allTargets, LoraAdapter, targetsOf } from '../../model/lora.ts';
import type { Forecast, RunDetail, RunSummary } from '../protocol.ts';
import type { Datasets } from './datasets.ts';
import type { RunFeed } from './feed.ts';
import type { RequestContext } from './environment.ts';
import type { LoadedModel } from './loadedModel.ts';
import { forecastRun, samplePrompts } from './planning.ts';
import { refuse } from './refuse.ts';
import { RunControl } from './runControl.ts';
import { summaryOf, type Runs } from './runs.ts';
import type { SessionState } from './state.ts';
import { loraConfigOf } from './tuned.ts';

export interface StartOptions {
  name?: string;
  /** Goes on from the tuned adapter's weights instead of a fresh one; its rank and layers win over the recipe's. */
  fromTuned?: boolean;
  /** False asks the model nothing on the way. */
  answers?: boolean;
  context?: RequestContext;
}

/** Resolves at the run's end. Call inside `state.alone`. */
export async function startRun(state: SessionState, datasetId: string, recipe: Recipe, options: StartOptions): Promise<RunDetail> {
  const model = state.needModel();
  const { datasets } = await state.data();
  const dataset = await datasets.get(datasetId);
  const start = options.fromTuned ? state.needTuned().adapter : null;
  if (start) refuseOutOfBounds(start.config);
  const lora = start ? start.config : recipe.lora;
  const used: Recipe = { ...recipe, lora, model: pinned(model, recipe.model) };
  const rowsKey = await datasets.rowsKey(datasetId);
  const feed = await datasets.feed(model, datasetId, used, options.context ? { context: options.context } : {});
  const targets = start ? targetsOf(start) : allTargets(model.config, lora.targetModules);
  const adapter = new LoraAdapter(model.gpu.engine, model.config, lora, targets);
  if (start) adapter.load(await start.read());
  else adapter.initialise(recipe.training.seed);
  const now = Date.now();
  const detail: RunDetail = {
    id: crypto.randomUUID(),
    name: options.name ?? `${dataset.name} · rank ${lora.r}`,
    status: 'running',
    createdAt: now,
    updatedAt: now,
    recipe: used,
    model: { source: model.summary.source, name: model.summary.name, architecture: model.summary.architecture },
    dataset: { id: dataset.id, name: dataset.name, rows: dataset.rows },
    rowsKey,
    step: 0,
    totalSteps: feed.feed.totalSteps,
    finalLoss: null,
    bestEvalLoss: null,
    seconds: 0,
    resumable: false,
    metrics: [],
    answers: [],
    alerts: [],
  };
  return runToEnd(state, { model, adapter, feed, detail, checkpoint: null, answers: options.answers !== false });
}

/** Call inside `state.alone`. */
export async function resumeRun(state: SessionState, runId: string, context: RequestContext): Promise<RunDetail> {
  const model = state.needModel();
  const { runs, datasets } = await state.data();
  await runs.refuseIfElsewhere(runId);
  const detail = await runs.detail(runId);
  const checkpoint = await runs.store.getCheckpoint(runId);
  if (!checkpoint) throw refuse('run.notResumable', `${detail.name} has no checkpoint to go on from.`, 'Start a new run with the same recipe.');
  await datasets.get(detail.dataset.id);
  if (!detail.resumable) throw refuse('run.notResumable', `${detail.name} has made all of its ${detail.totalSteps} steps.`, 'Start a new run.');
  checkModel(model, detail);
  refuseOtherQuantization(model, detail);
  await refuseOtherRows(datasets, detail);
  // The same variants give the same bits; on another device they may not exist, and its own are used.
  if (checkpoint.device === model.gpu.engine.info.key) Object.assign(model.gpu.engine.variants, checkpoint.variants);
  const feed = await datasets.feed(model, detail.dataset.id, detail.recipe, { heldOut: checkpoint.heldOut, context });
  const adapter = new LoraAdapter(model.gpu.engine, model.config, detail.recipe.lora, checkpoint.targets);
  const { step } = checkpoint.state;
  const resumed: RunDetail = {
    ...detail, status: 'running', step, resumable: false,
    metrics: detail.metrics.filter((m) => m.step <= step),
    answers: detail.answers.filter((a) => a.step <= step),
  };
  return runToEnd(state, { model, adapter, feed, detail: resumed, checkpoint, answers: true });
}

/** A run's settings have bounds that an adapter made elsewhere need not keep to. */
function refuseOutOfBounds(lora: LoraConfig): void {
  const checked = loraConfigSchema.safeParse(lora);
  if (checked.success) return;
  const fields = checked.error.issues.map(({ path }) => `${path.join('.')} is ${String(lora[path[0] as keyof LoraConfig])}`).join(', ');
  throw refuse('adapter.outOfBounds', `The adapter cannot be trained on: its ${fields}.`, 'Chat with it or convert it; for training, take one of rank 256 or less.');
}

/** The model is on record as it was really loaded: one of the hub with its commit, a quantised one with its type. */
function pinned(model: LoadedModel, named: Recipe['model']): Recipe['model'] {
  const { source, name, revision, quantization } = model.summary;
  const { quantization: _, ...asked } = named;
  return { ...(source === 'hub' && revision !== null ? { source, name, revision } : asked), ...(quantization === 'none' ? {} : { quantization }) };
}

/** A run goes on with the rows that it began with. */
async function refuseOtherRows(datasets: Datasets, { name, rowsKey, dataset, createdAt }: RunDetail): Promise<void> {
  const edits = (await datasets.store.edited(dataset.id))?.edits ?? [];
  // A run of an earlier Etude knows no key.
  const same = rowsKey === undefined ? edits.every(({ at }) => at < createdAt) : rowsKey === (await datasets.rowsKey(dataset.id));
  if (same) return;
  const later = edits.filter(({ at }) => at > createdAt).length;
  throw refuse('run.otherRows', `The rows of ${dataset.name} are not those that ${name} was trained on any more${later > 0 ? `: ${later === 1 ? '1 edit was' : `${later} edits were`} made since` : ''}.`, `Take back under Data what was changed since (edits, fixes, switches of turns, the mapping), then resume; or start a new run, which may go on from this run's adapter.`);
}

const STORED = { none: 'as stored', int8: 'in 8 bits', nf4: 'in 4 bits' };

/** The rest of a run is computed on the weights that it began on; trying and exporting an adapter needs no such thing. */
function refuseOtherQuantization(model: LoadedModel, { name, recipe }: RunDetail): void {
  const was = recipe.model.quantization ?? 'none';
  const { quantization, name: base } = model.summary;
  if (was === quantization) return;
  throw refuse('run.otherQuantization', `${name} was trained on ${base} ${STORED[was]}; it is loaded ${STORED[quantization]}.`, `Load ${base} ${STORED[was]}, then resume.`);
}

interface RunParts {
  model: LoadedModel;
  adapter: LoraAdapter;
  feed: RunFeed;
  detail: RunDetail;
  checkpoint: Awaited<ReturnType<Runs['store']['getCheckpoint']>>;
  answers: boolean;
}

async function runToEnd(state: SessionState, { model, adapter, feed, detail, checkpoint, answers }: RunParts): Promise<RunDetail> {
  const { runs, datasets } = await state.data();
  const { emit, loadBuiltin } = state.environment;
  await runs.claim(detail.id, detail.name);
  try {
    const prompts = answers ? await samplePrompts({ model, datasets, detail, feed, loadBuiltin }) : [];
    state.run = new RunControl({ model, adapter, feed, detail, checkpoint, prompts, runs, emit, memory: state.memory });
    await state.run.prepare();
    await runs.store.putRun(detail);
    await state.setTuned({ adapter, recipe: detail.recipe, runId: detail.id, name: detail.name });
    await state.run.run();
    const last = detail.metrics.at(-1);
    if (last && detail.seconds > 0) state.measured = { key: speedKey(state, detail.recipe), tokensPerSecond: last.numTokens / detail.seconds };
    return detail;
  } catch (error) {
    if (state.tuned?.adapter !== adapter) adapter.destroy();
    // The adapter is the one the run began with: nothing to try or export.
    else if (detail.step === 0) await state.setTuned(null);
    throw error;
  } finally {
    state.run?.release();
    state.run = null;
    runs.release(detail.id);
  }
}

export async function openRun(state: SessionState, runId: string): Promise<RunDetail> {
  const model = state.needModel();
  const { runs } = await state.data();
  const detail = await runs.detail(runId);
  if (state.run) {
    if (state.run.id === runId) return detail;
    throw refuse('run.busy', 'Another run is going on.', 'Stop it before reopening this one.');
  }
  const checkpoint = await runs.store.getCheckpoint(runId);
  if (!checkpoint) throw refuse('run.noAdapter', `${detail.name} was stopped before its first checkpoint, so it has no adapter.`, 'Start a new run with the same recipe.');
  checkModel(model, detail);
  const adapter = new LoraAdapter(model.gpu.engine, model.config, detail.recipe.lora, checkpoint.targets);
  adapter.restore({ params: checkpoint.state.params });
  await state.setTuned({ adapter, recipe: detail.recipe, runId, name: detail.name });
  return detail;
}

export async function renameRun(state: SessionState, runId: string, name: string): Promise<RunSummary> {
  const { runs } = await state.data();
  await runs.refuseIfElsewhere(runId);
  const detail = await runs.detail(runId);
  const renamed = { ...detail, name: name.trim().slice(0, 120) || detail.name };
  if (state.run?.id === runId) state.run.rename(renamed.name);
  else await runs.store.putRun(renamed);
  return summaryOf(renamed);
}

export async function forecast(state: SessionState, datasetId: string, recipe: Recipe, context: RequestContext): Promise<Forecast> {
  const model = state.needModel();
  const feed = await (await state.data()).datasets.feed(model, datasetId, recipe, { context });
  const { measured } = state;
  return forecastRun(model, feed, recipe, state.memory, { gflops: state.gflops, tokensPerSecond: measured?.key === speedKey(state, recipe) ? measured.tokensPerSecond : null });
}

function speedKey(state: SessionState, recipe: Recipe): string {
  const { r, targetModules } = recipe.lora;
  return [state.model?.summary.name, r, targetModules.join(), recipe.training.perDeviceTrainBatchSize].join('\n');
}

function checkModel(model: LoadedModel, detail: RunDetail): void {
  const { name, architecture } = detail.model;
  const { source, revision } = detail.recipe.model;
  if (name === model.summary.name && architecture === model.summary.architecture) {
    if (source !== 'hub' || revision === undefined || revision === model.summary.revision) return;
    throw refuse('run.otherRevision', `${detail.name} was trained on ${name} at ${revision.slice(0, 12)}; ${model.summary.revision?.slice(0, 12) ?? 'another version'} is loaded.`, `Load ${name} at ${revision}, then try again.`);
  }
  throw refuse('run.otherModel', `${detail.name} was trained on ${name}; ${model.summary.name} is loaded.`, `Load ${name} under Model, then try again.`);
}

/** An adapter of the loaded model from what a file held. */
export function adapterFrom(model: LoadedModel, state: AdapterState): LoraAdapter {
  const targets = adapterTargets(state);
  const config: LoraConfig = loraConfigOf(state, [...new Set(targets.map((t) => t.module))]);
  const adapter = new LoraAdapter(model.gpu.engine, model.config, config, targets);
  adapter.load(state.tensors);
  return adapter;
}
