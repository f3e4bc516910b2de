/**
 * One run without a page, from files to a checked adapter: what `npm run finetune` does in Node and in headless Chromium.
 * Owns the order of the steps and what is told to the outside; the session does the work.
 */
import type { UserMessage } from '../config/errors.ts';
import type { Recipe } from '../config/recipe.ts';
import type { ShapeResult } from './bench/benchShape.ts';
import type { CaseResult } from './conformance/runCase.ts';
import type { DataReport, DatasetSummary, HubOrigin, Mapping } from '../data/types.ts';
import type { ByteSource } from '../formats/byteSource.ts';
import { openBuiltinModel } from '../hub/builtin.ts';
import { openModelFolder } from '../hub/modelFolder.ts';
import type { DeviceInfo, ExportCheck, ModelSummary, RunStatus, WorkerEvent } from './protocol.ts';
import type { RequestContext, SessionEnvironment } from './session/environment.ts';
import { Session } from './session/session.ts';

export interface NamedFiles { name: string; files: ReadonlyMap<string, ByteSource> }
/** With a commit where the files come from the hub. */
export interface ModelFiles extends NamedFiles { revision?: string }

export interface HeadlessJob {
  model: 'builtin' | ModelFiles;
  /** Files that become one dataset. A Blob that lies on disk is streamed, not read whole. */
  data: 'builtin' | { name: string; files: { name: string; blob: Blob }[]; hub?: HubOrigin };
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
  model: 'builtin' | { name: string; revision?: string; files: FileAddress[] };
  data: 'builtin' | { name: string; files: FileAddress[]; hub?: HubOrigin };
  adapter: { name: string; files: FileAddress[] } | null;
  recipe: Recipe;
}

/** A golden case as it crosses into the page, and its result. */
export interface PageCase { name: string; files: FileAddress[]; adapter: FileAddress[] }
export type PageCaseOutcome = { ok: true; result: CaseResult; device: string } | { ok: false; error: UserMessage };

/** The figures of one benchmark as they come out of the page. */
export type PageBenchOutcome = { ok: true; result: ShapeResult } | { ok: false; error: UserMessage };

/** What the page answers; bytes of files travel apart. */
export type PageOutcome = { ok: true; outcome: Omit<HeadlessOutcome, 'files'> } | { ok: false; error: UserMessage };

export type HeadlessEnvironment = Pick<SessionEnvironment, 'loadBuiltin' | 'storage' | 'locks'> & { gpu: GPU };

/** Loads, trains, exports and checks. Rejects with an EtudeError where a step cannot be done. */
export async function runHeadless(environment: HeadlessEnvironment, job: HeadlessJob, onEvent: (event: HeadlessEvent) => void): Promise<HeadlessOutcome> {
  const session = new Session({ ...environment, emit: onEvent, pageUrl: null });
  const context: RequestContext = {
    signal: new AbortController().signal,
    progress: (label, done, total, unit) => onEvent({ type: 'progress', requestId: 0, label, done, total, unit }),
  };
  const { recipe } = job;
  try {
    onEvent({ type: 'headless.device', device: await session.deviceInfo(false) });
    const { model } = job;
    onEvent({
      type: 'headless.model',
      model: model === 'builtin'
        ? await session.loadFolder({ source: 'builtin', revision: null }, () => openBuiltinModel(environment.loadBuiltin), context, recipe.model.quantization)
        : await session.loadFolder({ source: model.revision === undefined ? 'folder' : 'hub', revision: model.revision ?? null }, () => openModelFolder(model.name, model.files), context, recipe.model.quantization),
    });
    const dataset = job.data === 'builtin' ? await session.importBuiltinData(context) : await session.importParts(job.data, context, recipe.dataset.mapping as Mapping | undefined);
    const report = await session.report(dataset.id, recipe.data.template, recipe.data.maxLength, context);
    onEvent({ type: 'headless.data', dataset, report });
    if (job.adapter !== null) await session.importAdapter(job.adapter.name, job.adapter.files);
    const run = await session.train(dataset.id, recipe, { fromTuned: job.adapter !== null, answers: false, context });
    const { files, checks, ok } = await session.buildExport();
    return {
      status: run.status, steps: run.step, seconds: run.seconds, finalLoss: run.finalLoss, checks, ok,
      files: [...files].map(([path, bytes]) => ({ path, bytes })),
    };
  } finally {
    await session.destroy();
  }
}
