/** The hub as commands see it, and `--model org/name[@revision]`: downloads the model into this machine's cache as far as it is not there. */
import { existsSync } from 'node:fs';
import { EtudeError } from '../config/errors.ts';
import type { Recipe } from '../config/recipe.ts';
import { HubModels } from '../hub/hubModels.ts';
import { isRepoName, parseRepoName, type RepoName } from '../hub/repoName.ts';
import { cacheFolder, FolderDisk } from './folderDisk.ts';
import type { ModelOnDisk } from './runRequest.ts';

const HUB = 'https://huggingface.co';

/** The repository a model argument names; null for a folder, which wins where both could be meant. */
export function repoOfArgument(model: string, exists: (path: string) => boolean = existsSync): RepoName | null {
  if (model === 'builtin' || exists(model)) return null;
  const name = model.split('@', 1)[0]!;
  return name.includes('/') && isRepoName(name) ? parseRepoName(model) : null;
}

/** The revision a recipe pins, where it is for this repository and the argument names none. */
export function revisionFor(argument: string, repo: string, recipe: Recipe): string | undefined {
  const { source, name, revision } = recipe.model;
  return !argument.includes('@') && source === 'hub' && name === repo ? revision : undefined;
}

/** HF_ENDPOINT, HF_TOKEN and ETUDE_CACHE as elsewhere. The token goes to the hub's host alone. Throws EtudeError 'cli.argument'. */
export function openHub(env: NodeJS.ProcessEnv): { hub: HubModels; disk: FolderDisk } {
  const endpoint = env.HF_ENDPOINT || HUB;
  if (!URL.canParse(endpoint)) {
    throw new EtudeError({ code: 'cli.argument', what: `HF_ENDPOINT is '${endpoint}'.`, expected: 'An address such as https://huggingface.co.', nextStep: 'Correct it, or unset it.' });
  }
  const disk = new FolderDisk(cacheFolder(env));
  return { hub: new HubModels({ endpoint, disk, token: env.HF_TOKEN ?? null }), disk };
}

export async function fetchHubModel(
  { repo, revision }: RepoName, onProgress: (label: string, done: number, total: number | null) => void, env: NodeJS.ProcessEnv = process.env,
): Promise<ModelOnDisk> {
  const { hub, disk } = openHub(env);
  let last: [number, number | null] = [0, null];
  const found = await hub.open(repo, revision, {
    signal: new AbortController().signal,
    onProgress: (done, total) => onProgress('Downloading', ...(last = [done, total])),
    onWait: (reason, seconds) => onProgress(reason === 'other' ? 'Another process is downloading this model' : `Trying again in ${Math.ceil(seconds ?? 0)} s`, ...last),
  });
  return { folder: disk.pathOf(hub.cache.folderOf(found.repo, found.commit)), name: found.repo, revision: found.commit };
}
