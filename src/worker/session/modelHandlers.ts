/** Answers about the base model and its adapters: loading one, putting an adapter on it, writing the tuned adapter out. */
import { toUserMessage } from '../../config/errors.ts';
import type { LoraConfig, Quantization } from '../../config/recipe.ts';
import type { ByteSource } from '../../formats/byteSource.ts';
import { openAdapterFolder } from '../../hub/adapterFolder.ts';
import { openBuiltinModel } from '../../hub/builtin.ts';
import { sourcesFromFiles } from '../../hub/droppedFiles.ts';
import { openModelFolder, type ModelFolder } from '../../hub/modelFolder.ts';
import type { ModelSource, ModelSummary } from '../protocol.ts';
import type { RequestContext } from './environment.ts';
import { buildExport, type BuiltExport } from './exporting.ts';
import type { HandlersOf } from './handlers.ts';
import { fetchModel } from './hubHandlers.ts';
import { LoadedModel } from './loadedModel.ts';
import { refuse } from './refuse.ts';
import type { SessionState } from './state.ts';
import { adapterFrom } from './training.ts';

/** Where a model comes from, as its summary says. */
export type ModelOrigin = Pick<ModelSummary, 'source' | 'revision'>;
export interface OpenedModel { origin: ModelOrigin; folder: ModelFolder }

/** Opens what a request names; a model of the hub is downloaded as far as it is not cached. */
async function openSource(state: SessionState, source: ModelSource, context: RequestContext): Promise<OpenedModel> {
  if (source.kind === 'builtin') return { origin: { source: 'builtin', revision: null }, folder: await openBuiltinModel(state.environment.loadBuiltin) };
  if (source.kind === 'folder') return { origin: { source: 'folder', revision: null }, folder: await openModelFolder(source.name, sourcesFromFiles(source.files)) };
  const { repo, commit, files } = await fetchModel(state, source, context);
  return { origin: { source: 'hub', revision: commit }, folder: await openModelFolder(repo, files) };
}

/** Loads a model in place of the one that is there. */
export async function loadModel(state: SessionState, open: () => Promise<OpenedModel>, context: RequestContext, quantization: Quantization = 'none'): Promise<ModelSummary> {
  if (state.busy) throw refuse('run.busy', 'A run is going on with the loaded model.', 'Stop the run first.');
  const engine = await state.engine();
  const { origin, folder } = await open();
  const load = (): Promise<LoadedModel> => LoadedModel.load(engine, origin, folder, {
    signal: context.signal,
    quantization,
    onProgress: (done, total) => context.progress('Weights to the GPU', done, total, 'bytes'),
  });
  // Beside the old model where both fit, so that a folder that cannot be loaded costs nothing.
  const loaded = await load().catch(async (error: unknown) => {
    if (!state.model || toUserMessage(error).code !== 'device.outOfMemory') throw error;
    await state.unload();
    state.environment.emit({ type: 'model.unloaded' });
    return load();
  });
  await state.unload();
  state.model = loaded;
  return loaded.summary;
}

/** Makes an adapter from files the tuned one. */
export async function importAdapter(state: SessionState, name: string, files: ReadonlyMap<string, ByteSource>): Promise<{ name: string; config: LoraConfig; base: string | null }> {
  const model = state.needModel();
  if (state.busy) throw refuse('run.busy', 'A run is going on.', 'Stop the run before importing an adapter.');
  const read = await openAdapterFolder(name, files, { modules: model.loraModules, name: model.summary.name });
  const adapter = adapterFrom(model, read);
  await state.setTuned({ adapter, recipe: null, runId: null, name, base: read.baseModelNameOrPath });
  return { name, config: adapter.config, base: read.baseModelNameOrPath };
}

export async function exportTuned(state: SessionState): Promise<BuiltExport> {
  const model = state.needModel();
  const tuned = state.needTuned();
  if (state.run && !state.run.resting) throw refuse('run.busy', 'The adapter is being trained and changes at every step.', 'Pause or stop the run, then export.');
  const { runs, datasets } = await state.data();
  const detail = tuned.runId ? await runs.detail(tuned.runId) : null;
  const { recipe } = tuned;
  const [question] = detail && recipe ? await datasets.prompts(model, detail.dataset.id, [0], recipe.data.template).catch(() => []) : [];
  return buildExport({
    model, adapter: tuned.adapter, recipe, imported: recipe ? null : { name: tuned.name, base: tuned.base ?? null }, metrics: detail?.metrics ?? [], question: question?.prompt ?? 'What can you tell me?', pageUrl: state.environment.pageUrl,
  });
}

export const modelHandlers = (state: SessionState): HandlersOf<'model' | 'adapter' | 'export'> => ({
  'model.load': ({ source, quantization }, context) => loadModel(state, () => openSource(state, source, context), context, quantization),
  'model.unload': async () => (await state.unload(), null),
  'adapter.import': async ({ name, files }) => {
    const { config, base } = await importAdapter(state, name, sourcesFromFiles(files));
    return { name, r: config.r, targetModules: config.targetModules, base };
  },
  'export.build': async () => {
    const { zip, fileName, checks, ok } = await exportTuned(state);
    return { zip: new Blob([zip], { type: 'application/zip' }), fileName, checks, ok };
  },
});
