/** Answers about datasets of the hub: what a repository holds, and bringing a split of it in. */
import { toUserMessage } from '../../config/errors.ts';
import { chooseSplit, noData, splitTitle } from '../../hub/datasetChoice.ts';
import type { DataSplit } from '../../hub/datasetFiles.ts';
import type { DatasetContents, HubModels } from '../../hub/hubModels.ts';
import { diskFull } from '../../hub/messages.ts';
import { isCommit, parseRepoName } from '../../hub/repoName.ts';
import type { DatasetSummary } from '../../data/types.ts';
import type { HubDataset, HubSplit } from '../protocolHub.ts';
import type { Requests } from '../protocol.ts';
import type { RequestContext } from './environment.ts';
import { refuse } from './refuse.ts';
import type { SessionState } from './state.ts';

export function needHub(state: SessionState): HubModels {
  const { hub } = state.environment;
  if (!hub) throw refuse('hub.none', 'This page was opened without a connection to the hub.', 'Use a model folder or a file.');
  return hub;
}

const sum = (files: readonly { bytes: number }[]): number => files.reduce((n, { bytes }) => n + bytes, 0);

export async function inspectDataset(state: SessionState, { repo, revision }: Requests['hub.inspectDataset']['args'], signal: AbortSignal): Promise<HubDataset> {
  const hub = needHub(state);
  const contents = await hub.lookDataset(repo, revision, signal);
  const { layout, cached } = contents;
  const splitOf = ({ name, files }: DataSplit): HubSplit => {
    const listed = files.map(({ path, bytes }) => ({ path, bytes, cachedBytes: cached.get(path) ?? 0 }));
    return { name, files: listed, bytes: sum(files), cachedBytes: listed.reduce((n, file) => n + file.cachedBytes, 0) };
  };
  const configs = layout.configs.map(({ name, splits }) => ({ name, splits: splits.map(splitOf) }));
  const first = configs[0]?.splits[0];
  return {
    repo: contents.repo, revision: contents.revision, commit: contents.commit, licence: contents.licence, gated: contents.gated,
    configs, because: layout.because,
    problem: first ? await roomProblem(hub, first.bytes - first.cachedBytes) : toUserMessage(noData(contents)),
  };
}

async function roomProblem(hub: HubModels, needed: number) {
  try {
    const room = await hub.cache.disk.room();
    return room !== null && room < needed ? diskFull(needed, room) : null;
  } catch (error) {
    return toUserMessage(error);
  }
}

/** Brings a split into the cache and then in as a dataset. */
export async function importHub(state: SessionState, args: Requests['data.importHub']['args'], context: RequestContext): Promise<DatasetSummary> {
  const hub = needHub(state);
  const { repo, revision } = parseRepoName(args.repo, args.revision);
  const known = args.paths && args.config !== undefined && args.split !== undefined && isCommit(revision) ? await hub.cachedDataset({ repo, commit: revision, paths: args.paths }) : null;
  const found = known
    ? { repo, commit: revision, config: args.config!, split: args.split!, files: known }
    : await download(hub, await hub.lookDataset(repo, revision, context.signal), args, context);
  const { config, split, files, ...pinned } = found;
  const { datasets } = await state.data();
  const parts = files.map(({ path, blob }) => ({ name: path, blob }));
  return datasets.import({ name: splitTitle({ ...pinned, config, split }), blob: parts[0]!.blob, files: parts, kind: 'hub', hub: { ...pinned, config, split } }, context, args.mapping);
}

async function download(hub: HubModels, contents: DatasetContents, args: Requests['data.importHub']['args'], context: RequestContext) {
  const { repo, commit } = contents;
  const chosen = chooseSplit(contents, args);
  let last: [number, number | null] = [0, null];
  const files = await hub.openDataset({ repo, commit, files: chosen.files }, {
    signal: context.signal,
    onProgress: (done, total) => context.progress('Downloading', ...(last = [done, total]), 'bytes'),
    onWait: (reason, seconds) => context.progress(reason === 'other' ? 'Another tab is downloading this dataset' : `Trying again in ${Math.ceil(seconds ?? 0)} s`, ...last, 'bytes'),
  });
  return { repo, commit, config: chosen.config, split: chosen.split, files };
}
