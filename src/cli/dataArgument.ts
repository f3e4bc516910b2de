/**
 * `--data FILE|org/name[@revision]|builtin` with `--data-config` and `--data-split`: files on this machine, downloaded from the hub
 * into the same cache as models where they are not there. A file wins over a name.
 */
import { existsSync, openAsBlob } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { EtudeError } from '../config/errors.ts';
import { toRecipeName, type Recipe } from '../config/recipe.ts';
import { chooseSplit, splitsInWords, splitTitle, type AskedSplit, type ChosenSplit, type SplitsOf } from '../hub/datasetChoice.ts';
import type { RepoName } from '../hub/repoName.ts';
import { openHub, repoOfArgument } from './hubArgument.ts';
import type { DataOnDisk } from './runRequest.ts';

export type DownloadProgress = (label: string, done: number, total: number | null) => void;

/** As options name them; null where they were not given. */
export interface DataArgument { data: string; config: string | null; split: string | null }

export interface FoundData {
  data: 'builtin' | DataOnDisk;
  /** What was chosen from and not said by the options, in words. */
  note: string | null;
}

/** data/rows.jsonl is a path, there or not. */
const FILE_NAME = /\.(?:jsonl?|ndjson|csv|tsv|parquet|txt|md|gz|gzip)$/i;

/** The repository a data argument names; null for a file and for 'builtin'. */
export const repoOfData = (data: string, exists: (path: string) => boolean = existsSync): RepoName | null => (FILE_NAME.test(data) ? null : repoOfArgument(data, exists));

/** Throws EtudeError 'cli.pathMissing', 'cli.argument'. Asks nobody. */
export async function checkDataArgument({ data, config, split }: DataArgument, option: string): Promise<void> {
  if (repoOfData(data) !== null) return;
  if (config !== null || split !== null) {
    throw new EtudeError({ code: 'cli.argument', what: `${option} names no dataset of the hub, so --data-config and --data-split mean nothing.`, expected: 'Both go with org/name.', nextStep: 'Leave them out, or name a dataset of the hub.' });
  }
  if (data === 'builtin') return;
  const info = await stat(data).catch(() => null);
  if (info?.isFile()) return;
  throw new EtudeError({
    code: 'cli.pathMissing', what: info === null ? `${option}: there is nothing at ${data}.` : `${option}: ${data} is not a file.`,
    expected: "A file, a dataset of the hub as org/name, or 'builtin'.", nextStep: 'Check the path; it is taken from the folder the command runs in.',
  });
}

/** What a recipe says of a dataset of the hub, where it is this one. */
const pinnedBy = (recipe: Recipe | null, repo: string): Partial<Recipe['dataset']> =>
  (recipe?.dataset.source === 'hub' && recipe.dataset.name === toRecipeName(repo) ? recipe.dataset : {});

/** The files, downloaded where they are not here. What the options leave open, `recipe` decides where it names the same repository. */
export async function dataOnDisk(argument: DataArgument, recipe: Recipe | null, onProgress: DownloadProgress, env: NodeJS.ProcessEnv = process.env): Promise<FoundData> {
  const { data } = argument;
  if (data === 'builtin') return { data, note: null };
  const named = repoOfData(data);
  if (named === null) return { data: { name: basename(data), files: [{ name: basename(data), path: data }] }, note: null };
  const pinned = pinnedBy(recipe, named.repo);
  const asked: AskedSplit = { config: argument.config ?? pinned.config, split: argument.split ?? (argument.config === null ? pinned.split : undefined) };
  const { hub, disk } = openHub(env);
  const { signal } = new AbortController();
  const contents = await hub.lookDataset(named.repo, data.includes('@') ? named.revision : pinned.revision ?? named.revision, signal);
  const { repo, commit } = contents;
  const chosen = decided(contents, asked);
  let last: [number, number | null] = [0, null];
  await hub.openDataset({ repo, commit, files: chosen.files }, {
    signal,
    onProgress: (done, total) => onProgress('Downloading', ...(last = [done, total])),
    onWait: (reason, seconds) => onProgress(reason === 'other' ? 'Another process is downloading this dataset' : `Trying again in ${Math.ceil(seconds ?? 0)} s`, ...last),
  });
  const { config, split } = chosen;
  const folder = hub.cache.folderOf(repo, commit, 'dataset');
  const files = chosen.files.map(({ path }) => ({ name: path, path: disk.pathOf(folder, hub.cache.fileIn(path)) }));
  return { data: { name: splitTitle({ repo, config, split }), files, hub: { repo, commit, config, split } }, note: notTaken(contents, asked, chosen) };
}

/** The files as Blobs that stay on the disk. */
export async function partsOnDisk({ files, ...data }: DataOnDisk): Promise<Omit<DataOnDisk, 'files'> & { files: { name: string; blob: Blob }[] }> {
  return { ...data, files: await Promise.all(files.map(async ({ name, path }) => ({ name, blob: await openAsBlob(path) }))) };
}

/** A page offers a list; here a choice that nobody made and nothing suggests is refused with it. */
function decided(contents: SplitsOf, asked: AskedSplit): ChosenSplit {
  const { repo, commit, layout } = contents;
  const chosen = chooseSplit(contents, asked);
  const open = (what: string, option: string): EtudeError => new EtudeError({
    code: 'hub.choose', what: `${repo} has ${what} at ${commit.slice(0, 7)}.`, expected: `One of ${splitsInWords(layout)}.`, nextStep: `Add ${option} with the one you mean.`,
  });
  if (asked.config === undefined && !layout.hasDefault) throw open(`${layout.configs.length} configs and names none as its default`, '--data-config');
  const { splits } = layout.configs.find(({ name }) => name === chosen.config)!;
  if (asked.split === undefined && splits.length > 1 && chosen.split !== 'train') throw open(`${splits.length} splits${layout.configs.length > 1 ? ` of ${chosen.config}` : ''} and none is called train`, '--data-split');
  return chosen;
}

function notTaken({ layout }: SplitsOf, asked: AskedSplit, { config, split }: ChosenSplit): string | null {
  const others = layout.configs.find(({ name }) => name === config)!.splits.flatMap(({ name }) => (name === split ? [] : [name]));
  const configs = layout.configs.flatMap(({ name }) => (name === config ? [] : [name]));
  const said = [
    asked.config === undefined && configs.length > 0 ? `Config ${config} was taken; the others are ${configs.join(', ')} (--data-config).` : '',
    asked.split === undefined && others.length > 0 ? `Split ${split} was taken; the others are ${others.join(', ')} (--data-split).` : '',
  ].filter((part) => part !== '');
  return said.length > 0 ? said.join(' ') : null;
}
