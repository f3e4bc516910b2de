/**
 * Owns the way from a name on the hub to a model folder or the files of a dataset: what is cached is opened without a request; what is missing is
 * resolved to a commit, downloaded, checked, then opened. Refuses to know what a config means.
 */
import { EtudeError } from '../config/errors.ts';
import type { ByteSource } from '../formats/byteSource.ts';
import type { CacheDisk } from './cacheDisk.ts';
import { readCard } from './datasetCard.ts';
import { layoutOf, type DatasetLayout } from './datasetFiles.ts';
import { downloadMissing, type DownloadOptions } from './download.ts';
import { HubClient, type HubListing, type HubRepo, type HubTreeFile } from './hubClient.ts';
import { downloadedElsewhere, noStorage, type RepoKind } from './messages.ts';
import { ModelCache, type Snapshot, type SnapshotState } from './modelCache.ts';
import { missingParts, wantedFiles } from './repoFiles.ts';
import { isCommit, parseRepoName } from './repoName.ts';

export interface HubModelsOptions {
  /** https://huggingface.co, or another host that speaks its protocol. */
  endpoint: string;
  /** null where nothing can be kept. */
  disk: CacheDisk | null;
  token?: string | null;
  fetch?: typeof fetch;
  /** As in RetryOptions; tests wait less. */
  firstPause?: number;
  rangeBytes?: number;
  stall?: number;
}

/** A model folder that lies in the cache. */
export interface CachedFolder {
  repo: string;
  commit: string;
  files: Map<string, ByteSource>;
}

export interface RepoContents extends HubRepo {
  /** What was asked for. */
  revision: string;
  tree: HubTreeFile[];
  wanted: HubTreeFile[];
  /** What of it is cached, in bytes by path. */
  cached: Map<string, number>;
  /** Why it is no model folder, in words. */
  missing: string | null;
}

export interface DatasetContents extends HubRepo {
  /** What was asked for. */
  revision: string;
  layout: DatasetLayout;
  /** What of it is cached, in bytes by path. */
  cached: Map<string, number>;
}

/** A card larger than this has no list of files worth reading. */
const MOST_CARD = 2_000_000;

export interface OpenOptions {
  signal: AbortSignal;
  onProgress?: DownloadOptions['onProgress'];
  /** Told while nothing moves: the hub asks to wait, or another tab downloads the same model. */
  onWait?: (reason: 'hub' | 'other', seconds: number | null) => void;
}

export class HubModels {
  readonly #options: HubModelsOptions;
  readonly client: HubClient;
  #token: string | null;

  constructor(options: HubModelsOptions) {
    this.#options = options;
    this.#token = options.token || null;
    this.client = new HubClient({
      endpoint: options.endpoint, token: () => this.#token,
      ...(options.fetch && { fetch: options.fetch }), ...(options.firstPause !== undefined && { firstPause: options.firstPause }), ...(options.stall !== undefined && { stall: options.stall }),
    });
  }

  setToken(token: string | null): void {
    this.#token = token?.trim() || null;
  }

  get cache(): ModelCache {
    if (!this.#options.disk) throw new EtudeError(noStorage());
    return new ModelCache(this.#options.disk);
  }

  search(query: string, limit: number, signal: AbortSignal): Promise<HubListing[]> {
    return this.client.search(query, limit, signal);
  }

  /** What a repository holds now, and what of it is cached. Asks the hub. */
  async look(name: string, revision: string | undefined, signal: AbortSignal): Promise<RepoContents> {
    const asked = parseRepoName(name, revision);
    const info = await this.client.repo(asked.repo, asked.revision, signal);
    const tree = await this.client.tree(info.repo, info.commit, signal);
    const known = this.#options.disk ? await this.cache.find(info.repo, info.commit) : null;
    return { ...info, revision: asked.revision, tree, wanted: wantedFiles(tree), cached: known?.cached ?? new Map<string, number>(), missing: missingParts(tree) };
  }

  /** The files of a model: from the cache without a request where they are complete, downloaded otherwise. */
  async open(name: string, revision: string | undefined, options: OpenOptions): Promise<CachedFolder> {
    const { cache } = this;
    const asked = parseRepoName(name, revision);
    const known = await cache.findRevision(asked.repo, asked.revision);
    const complete = known?.complete ? known : await this.#download(known ?? await this.#plan(asked.repo, asked.revision, options.signal), options);
    await cache.used(complete, Date.now());
    return { repo: complete.repo, commit: complete.commit, files: await cache.sources(complete) };
  }

  /** What a dataset repository holds now. Asks the hub. */
  async lookDataset(name: string, revision: string | undefined, signal: AbortSignal): Promise<DatasetContents> {
    const asked = parseRepoName(name, revision);
    const info = await this.client.repo(asked.repo, asked.revision, signal, 'dataset');
    const tree = await this.client.tree(info.repo, info.commit, signal, 'dataset');
    const { repo, commit } = info;
    const readme = tree.find(({ path, bytes }) => path === 'README.md' && bytes < MOST_CARD);
    const card = readme ? await readCard(await this.client.text({ repo, commit, path: readme.path, kind: 'dataset' }, signal)) : null;
    const known = this.#options.disk ? await this.cache.find(repo, commit, 'dataset') : null;
    return { ...info, revision: asked.revision, layout: layoutOf(tree, card), cached: known?.cached ?? new Map<string, number>() };
  }

  /** Files of a dataset at a commit, downloaded as far as they are not in the cache. */
  async openDataset(of: { repo: string; commit: string; files: HubTreeFile[] }, options: OpenOptions): Promise<{ path: string; blob: Blob }[]> {
    const { cache } = this;
    const state = await this.#download({ kind: 'dataset', revisions: [], ...of }, options);
    await cache.used(state, Date.now());
    return Promise.all(of.files.map(async ({ path }) => ({ path, blob: await cache.blob(state, path) })));
  }

  /** The same files where the cache holds all of them, without a request; else null. */
  async cachedDataset(of: { repo: string; commit: string; paths: readonly string[] }): Promise<{ path: string; blob: Blob }[] | null> {
    const state = this.#options.disk ? await this.cache.find(of.repo, of.commit, 'dataset') : null;
    if (!state || of.paths.length === 0 || !of.paths.every((path) => state.checked.has(path))) return null;
    return Promise.all(of.paths.map(async (path) => ({ path, blob: await this.cache.blob(state, path) })));
  }

  /** Deletes what is cached of a repository, unless another tab is downloading it. */
  async delete(repo: string, commit: string, signal: AbortSignal, kind?: RepoKind): Promise<void> {
    const { cache } = this;
    const done = await cache.disk.lock(cache.lockName(repo, commit, kind), { wait: false, signal }, async () => {
      await cache.delete(repo, commit, kind);
      return true;
    });
    if (done === null) throw new EtudeError(downloadedElsewhere(repo));
  }

  async #plan(repo: string, revision: string, signal: AbortSignal): Promise<Omit<Snapshot, 'createdAt'>> {
    const contents = await this.look(repo, revision, signal);
    if (contents.missing !== null) {
      throw new EtudeError({
        code: 'hub.noModel', what: `${contents.repo} cannot be loaded. ${contents.missing}`,
        expected: 'config.json, tokenizer.json and weights in safetensors.', likelyCause: 'The repository holds something else, or a conversion for another program.',
        nextStep: 'Choose the original model; conversions usually name it on their page.',
      });
    }
    return { repo: contents.repo, commit: contents.commit, revisions: isCommit(revision) ? [] : [revision], files: contents.wanted };
  }

  async #download(snapshot: Omit<Snapshot, 'createdAt'>, options: OpenOptions): Promise<SnapshotState> {
    const { cache } = this;
    const { repo, commit, kind, files } = snapshot;
    const name = cache.lockName(repo, commit, kind);
    // Of a dataset only what was asked for, whatever else was begun.
    const asked = (state: SnapshotState): SnapshotState => (kind === 'dataset' ? cache.restricted(state, files) : state);
    const work = async (): Promise<SnapshotState> => {
      // Another tab may have brought it while this one waited, or a branch moved to a commit that was here already.
      const now = asked(await cache.begin(snapshot, Date.now()));
      const { firstPause, rangeBytes, stall } = this.#options;
      if (!now.complete) {
        await downloadMissing(this.client, cache, now, {
          signal: options.signal,
          onWait: (seconds) => options.onWait?.('hub', seconds),
          ...(options.onProgress && { onProgress: options.onProgress }),
          ...(firstPause !== undefined && { firstPause }), ...(rangeBytes !== undefined && { rangeBytes }), ...(stall !== undefined && { stall }),
        });
      }
      return asked((await cache.find(repo, commit, kind))!);
    };
    const first = await cache.disk.lock(name, { wait: false, signal: options.signal }, work);
    if (first) return first;
    options.onWait?.('other', null);
    return (await cache.disk.lock(name, { wait: true, signal: options.signal }, work))!;
  }
}
