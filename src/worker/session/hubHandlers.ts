/** Answers about the hub and its cache: search, what a repository would take, downloading, what is kept. */
import { EtudeError, toUserMessage, type UserMessage } from '../../config/errors.ts';
import { defaultRecipe } from '../../config/recipe.ts';
import { parseJson } from '../../formats/byteSource.ts';
import type { CachedFolder, HubModels, RepoContents } from '../../hub/hubModels.ts';
import type { HubListing } from '../../hub/hubClient.ts';
import { diskFull, needsToken } from '../../hub/messages.ts';
import { isWeightFile } from '../../hub/repoFiles.ts';
import type { ModelConfig } from '../../model/config.ts';
import { parseModelConfig } from '../../model/parseConfig.ts';
import { forecastMemory } from '../../train/memory.ts';
import type { HubInspection, HubModel, ModelSource } from '../protocol.ts';
import type { RequestContext } from './environment.ts';
import type { HandlersOf } from './handlers.ts';
import { inspectDataset, needHub } from './hubData.ts';
import { refuse } from './refuse.ts';
import type { SessionState } from './state.ts';

/** Memory is told for one row of this many tokens. */
const TOKENS = 512;

/** Brings a model of the hub into the cache, as far as it is not there. */
export async function fetchModel(state: SessionState, { repo, revision }: Extract<ModelSource, { kind: 'hub' }>, context: RequestContext): Promise<CachedFolder> {
  let last: [number, number | null] = [0, null];
  return needHub(state).open(repo, revision, {
    signal: context.signal,
    onProgress: (done, total) => context.progress('Downloading', ...(last = [done, total]), 'bytes'),
    onWait: (reason, seconds) => context.progress(
      reason === 'other' ? 'Another tab is downloading this model' : `Trying again in ${Math.ceil(seconds ?? 0)} s`, ...last, 'bytes',
    ),
  });
}

function whyNot(m: HubListing): string | null {
  if (m.quantisation !== null) return `Its weights are quantised (${m.quantisation}).`;
  if (!m.safetensors) return 'Its weights are not in safetensors.';
  if (m.architecture === null) return 'The hub does not say which architecture it has.';
  try {
    // With every size at its default: an architecture that is known is taken, another is refused by name.
    parseModelConfig({ architectures: [m.architecture] });
    return null;
  } catch (error) {
    return toUserMessage(error).what;
  }
}

function toHubModel(m: HubListing): HubModel {
  const reason = whyNot(m);
  const { repo, downloads, likes, gated, licence, parameters, architecture } = m;
  return { repo, downloads, likes, gated, licence, parameters, architecture, supported: reason === null, reason };
}

async function inspect(state: SessionState, repo: string, revision: string | undefined, signal: AbortSignal): Promise<HubInspection> {
  const hub = needHub(state);
  const contents = await hub.look(repo, revision, signal);
  const files = contents.wanted.map(({ path, bytes }) => ({ path, bytes, cachedBytes: contents.cached.get(path) ?? 0 }));
  const sum = (of: 'bytes' | 'cachedBytes'): number => files.reduce((n, file) => n + file[of], 0);
  const [totalBytes, cachedBytes] = [sum('bytes'), sum('cachedBytes')];
  const read = await readConfigs(hub, contents, signal);
  const weights = files.reduce((n, { path, bytes }) => n + (isWeightFile(path) ? bytes : 0), 0);
  return {
    repo: contents.repo, revision: contents.revision, commit: contents.commit, licence: contents.licence, gated: contents.gated,
    files, totalBytes, cachedBytes,
    architecture: read.config?.architecture ?? contents.architecture,
    parameters: contents.parameters,
    hasTokenizer: contents.tree.some(({ path }) => path === 'tokenizer.json'),
    hasChatTemplate: read.hasChatTemplate,
    memory: read.config && await memoryOf(state, read.config, weights),
    problem: read.problem ?? await roomProblem(hub, totalBytes - cachedBytes),
  };
}

interface Configs { config: ModelConfig | null; hasChatTemplate: boolean | null; problem: UserMessage | null }

/** The small files that tell whether a model can be computed, from the hub. */
async function readConfigs(hub: HubModels, contents: RepoContents, signal: AbortSignal): Promise<Configs> {
  const { repo, commit, tree, missing } = contents;
  const has = (path: string): boolean => tree.some((file) => file.path === path);
  const read = async (path: string): Promise<unknown> => (has(path) ? parseJson(await hub.client.text({ repo, commit, path }, signal), path) : undefined);
  const found: Configs = { config: null, hasChatTemplate: has('chat_template.jinja') ? true : null, problem: null };
  try {
    const [config, generation, tokenizer] = await Promise.all([read('config.json'), read('generation_config.json'), read('tokenizer_config.json')]);
    found.hasChatTemplate ??= (tokenizer as { chat_template?: unknown } | undefined)?.chat_template !== undefined;
    if (missing !== null) throw refuse('hub.noModel', `${repo} cannot be loaded. ${missing}`, 'Choose the original model; conversions usually name it on their page.');
    found.config = parseModelConfig(config, generation);
  } catch (error) {
    if (signal.aborted || !(error instanceof EtudeError)) throw error;
    const message = toUserMessage(error);
    // Without access a gated repository's files look as if they were not there.
    found.problem = message.code === 'hub.notFound' && contents.gated ? needsToken(repo) : message;
  }
  return found;
}

async function memoryOf(state: SessionState, config: ModelConfig, weightBytes: number): Promise<HubInspection['memory']> {
  const engine = await state.engine().catch(() => null);
  const { total } = forecastMemory({ config, weightBytes, lora: defaultRecipe().lora, maxTokens: TOKENS, maxTargets: TOKENS, maxBinding: engine?.maxBinding ?? 2 ** 27 });
  return { weights: weightBytes, training: total };
}

async function roomProblem(hub: HubModels, needed: number): Promise<UserMessage | null> {
  try {
    const room = await hub.cache.disk.room();
    return room !== null && room < needed ? diskFull(needed, room) : null;
  } catch (error) {
    return toUserMessage(error);
  }
}

export const hubHandlers = (state: SessionState): HandlersOf<'hub' | 'cache'> => ({
  'hub.search': async ({ query, limit }, context) => (await needHub(state).search(query, limit, context.signal)).map(toHubModel),
  'hub.inspect': ({ repo, revision }, context) => inspect(state, repo, revision, context.signal),
  'hub.inspectDataset': (args, context) => inspectDataset(state, args, context.signal),
  'hub.setToken': async ({ token }) => (needHub(state).setToken(token), null),
  'cache.list': async () => (await needHub(state).cache.list()).map(({ kind = 'model', repo, commit, revisions, bytes, totalBytes, complete, lastUsedAt }) => ({
    kind, repo, commit, revisions, bytes, totalBytes, complete, lastUsedAt,
  })),
  'cache.delete': async ({ repo, commit, kind }, context) => (await needHub(state).delete(repo, commit, context.signal, kind), null),
});
