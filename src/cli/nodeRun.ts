/** A run in Node itself: Dawn for WebGPU, IndexedDB in memory, files from the disk. */
import 'fake-indexeddb/auto';
import { basename, resolve } from 'node:path';
import type { BuiltinLoader } from '../hub/builtin.ts';
import { runHeadless, type HeadlessEvent, type HeadlessJob, type HeadlessOutcome } from '../worker/headlessRun.ts';
import { partsOnDisk } from './dataArgument.ts';
import { sourceFromPath, sourcesFromFolder } from './fsSource.ts';
import { openNodeGpu } from './nodeGpu.ts';
import type { RunRequest } from './runRequest.ts';

const builtinFolder = resolve(import.meta.dirname, '../../public/builtin');
const loadBuiltin: BuiltinLoader = (path) => sourceFromPath(resolve(builtinFolder, path));

async function jobFromDisk(request: RunRequest): Promise<HeadlessJob> {
  const { model } = request;
  const folder = async (path: string) => ({ name: basename(resolve(path)), files: await sourcesFromFolder(path) });
  return {
    model: model === 'builtin' ? 'builtin' : { ...await folder(model.folder), name: model.name, ...(model.revision === undefined ? {} : { revision: model.revision }) },
    data: request.data === 'builtin' ? 'builtin' : await partsOnDisk(request.data),
    adapter: request.adapter === null ? null : await folder(request.adapter),
    recipe: request.recipe,
  };
}

export async function runInNode(request: RunRequest, onEvent: (event: HeadlessEvent) => void): Promise<HeadlessOutcome> {
  const gpu = await openNodeGpu(request.device);
  return runHeadless({ gpu, loadBuiltin }, await jobFromDisk(request), onEvent);
}
