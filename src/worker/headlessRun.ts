/**
 * One run without a page, from files to a checked adapter: what `npm run finetune` does in Node and in headless Chromium.
 * Owns the order of the steps and what is told to the outside; the session does the work.
 */
import type { UserMessage } from '../config/errors.ts';
import { toRecipeName, type Recipe } from '../config/recipe.ts';
import type { ByteSource } from '../formats/byteSource.ts';
import { openBuiltinModel, type BuiltinLoader } from '../hub/builtin.ts';
import { openModelFolder } from '../hub/modelFolder.ts';
import type { DataReport, DatasetSummary, DeviceInfo, ExportCheck, ModelSummary, RunStatus, WorkerEvent } from './protocol.ts';
import type { RequestContext } from './session/environment.ts';
import { Session } from './session/session.ts';

export interface NamedFiles { name: string; files: ReadonlyMap<string, ByteSource> }

export interface HeadlessJob {
  model: 'builtin' | NamedFiles;
  data: 'builtin' | ByteSource;
  /** PEFT adapter to start from. */
  adapter: NamedFiles | null;
  recipe: Recipe;
}

/** Whatever the worker tells a page, and what is known once each part is loaded. */
export type HeadlessEvent =
  | WorkerEvent
  | { type: 'headless.device'; device: DeviceInfo }
  | { type: 'headless.model'; model: ModelSummary }
  | { type: 'headless.data'; dataset: DatasetSummary; report: DataReport };

export interface HeadlessOutcome {
  status: RunStatus;
  steps: number;
  seconds: number;
  finalLoss: number | null;
  /** The adapter folder, file by file. */
  files: { path: string; bytes: Uint8Array }[];
  checks: ExportCheck[];
  /** Every check passed. */
  ok: boolean;
}

/** A HeadlessJob as it crosses into the page: files as addresses of the local server that started it. */
export interface FileAddress { name: string; size: number; url: string }
export interface PageJob {
  model: 'builtin' | { name: string; files: FileAddress[] };
  data: 'builtin' | FileAddress;
  adapter: { name: string; files: FileAddress[] } | null;
  recipe: Recipe;
}

/** What the page answers; bytes of files travel apart. */
export type PageOutcome = { ok: true; outcome: Omit<HeadlessOutcome, 'files'> } | { ok: false; error: UserMessage };

export interface HeadlessEnvironment {
  gpu: GPU;
  loadBuiltin: BuiltinLoader;
}

/** The database is the global indexedDB; a run leaves nothing in it that a later one would find. */
export async function runHeadless(environment: HeadlessEnvironment, job: HeadlessJob, onEvent: (event: HeadlessEvent) => void): Promise<HeadlessOutcome> {
  const session = new Session({ ...environment, emit: onEvent, pageUrl: null, database: `etude-headless-${crypto.randomUUID()}` });
  const context = (requestId: number): RequestContext => ({
    signal: new AbortController().signal,
    progress: (label, done, total, unit) => onEvent({ type: 'progress', requestId, label, done, total, unit }),
  });
  try {
    onEvent({ type: 'headless.device', device: await session.deviceInfo(false) });
    const { model, data, adapter } = job;
    const loaded = await session.loadFolder(
      model === 'builtin' ? 'builtin' : 'folder',
      () => (model === 'builtin' ? openBuiltinModel(environment.loadBuiltin) : openModelFolder(model.name, model.files)),
      context(1),
    );
    onEvent({ type: 'headless.model', model: loaded });
    const dataset = data === 'builtin'
      ? await session.importBuiltinData(context(2))
      : await session.importBlob(new Blob([await data.read(0, data.size)]), data.name, 'file', context(2));
    if (adapter) await session.importAdapter(adapter.name, adapter.files);
    const recipe: Recipe = {
      ...job.recipe,
      model: { source: model === 'builtin' ? 'builtin' : 'folder', name: toRecipeName(loaded.name) },
      dataset: { source: dataset.source, name: dataset.source === 'builtin' ? 'builtin' : toRecipeName(dataset.name) },
    };
    const { template, maxLength } = recipe.data;
    const report = await session.report(dataset.id, template, maxLength, context(3));
    onEvent({ type: 'headless.data', dataset, report });
    const run = await session.train(dataset.id, recipe, { fromTuned: adapter !== null, answers: false });
    const built = await session.buildExport();
    return {
      status: run.status,
      steps: run.step,
      seconds: run.seconds,
      finalLoss: run.finalLoss,
      files: [...built.files].map(([path, bytes]) => ({ path, bytes })),
      checks: built.checks,
      ok: built.ok,
    };
  } finally {
    await session.destroy();
  }
}
