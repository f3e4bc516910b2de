/**
 * Owns what is kept of the hub's models and datasets: a folder for each commit, with its list of files, its data, which bytes of each
 * are there, and which files passed their check. Knows nothing of the network.
 */
import type { ByteSource } from '../formats/byteSource.ts';
import type { CacheDisk } from './cacheDisk.ts';
import type { HubTreeFile } from './hubClient.ts';
import { noSuchCached, type RepoKind } from './messages.ts';
import { readJournal, type RangeSet } from './ranges.ts';

export interface Snapshot {
  /** Left out: a model. */
  kind?: RepoKind;
  repo: string;
  commit: string;
  /** Branches and tags under which it was asked for, and when it was first. */
  revisions: string[];
  createdAt: number;
  files: HubTreeFile[];
}

export interface SnapshotState extends Snapshot {
  /** Bytes there, by path. */
  cached: Map<string, number>;
  bytes: number;
  totalBytes: number;
  /** Every file is there and was checked. */
  complete: boolean;
  /** Paths of files that are there and were checked. */
  checked: ReadonlySet<string>;
  lastUsedAt: number;
}

const MANIFEST = 'etude.json';
const USED = 'used';
const JOURNAL = '.ranges';
const CHECKED = '.checked';

const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);

export class ModelCache {
  readonly disk: CacheDisk;

  constructor(disk: CacheDisk) {
    this.disk = disk;
  }

  /** Repository names hold no '--' and no '@', so no two folders are alike. */
  folderOf(repo: string, commit: string, kind: RepoKind = 'model'): string {
    return `${kind === 'dataset' ? '@dataset--' : ''}${repo.replace('/', '--')}--${commit}`;
  }

  lockName(repo: string, commit: string, kind?: RepoKind): string {
    return `etude.model.${this.folderOf(repo, commit, kind)}`;
  }

  /** Every model and dataset that has a manifest, last used first. */
  async list(): Promise<SnapshotState[]> {
    const states: SnapshotState[] = [];
    for (const folder of await this.disk.folders()) {
      const state = await this.#read(folder);
      if (state) states.push(state);
    }
    return states.sort((a, b) => b.lastUsedAt - a.lastUsedAt);
  }

  find(repo: string, commit: string, kind?: RepoKind): Promise<SnapshotState | null> {
    return this.#read(this.folderOf(repo, commit, kind));
  }

  /** What was last kept under a branch or tag. Names are compared without case, as the hub does. */
  async findRevision(repo: string, revision: string): Promise<SnapshotState | null> {
    const known = (await this.list()).filter((s) => s.kind !== 'dataset' && s.repo.toLowerCase() === repo.toLowerCase() && (s.commit === revision || s.revisions.includes(revision)));
    return known.sort((a, b) => b.createdAt - a.createdAt)[0] ?? null;
  }

  /** Notes what will be downloaded; a snapshot that is there keeps its files, and a dataset is given the others besides. */
  async begin(snapshot: Omit<Snapshot, 'createdAt'>, now: number): Promise<SnapshotState> {
    const folder = this.#folder(snapshot);
    const before = await this.#read(folder);
    const revisions = [...new Set([...before?.revisions ?? [], ...snapshot.revisions])];
    const known = new Set(before?.files.map(({ path }) => path));
    const more = snapshot.kind === 'dataset' ? snapshot.files.filter(({ path }) => !known.has(path)) : [];
    const files = before ? [...before.files, ...more] : snapshot.files;
    const next: Snapshot = { ...(snapshot.kind ? { kind: snapshot.kind } : {}), repo: snapshot.repo, commit: snapshot.commit, revisions, createdAt: now, files };
    await this.disk.writeText(folder, MANIFEST, JSON.stringify(next));
    await this.used(snapshot, now);
    return (await this.#read(folder))!;
  }

  async used(snapshot: Pick<Snapshot, 'kind' | 'repo' | 'commit'>, now: number): Promise<void> {
    await this.disk.writeText(this.#folder(snapshot), USED, String(now));
  }

  /** A snapshot as if these were all of its files. */
  restricted(snapshot: SnapshotState, files: HubTreeFile[]): SnapshotState {
    const cached = new Map(files.map(({ path }) => [path, snapshot.cached.get(path) ?? 0]));
    return {
      ...snapshot, files, cached, bytes: sum(cached.values()), totalBytes: sum(files.map((f) => f.bytes)),
      complete: files.every(({ path }) => snapshot.checked.has(path)),
    };
  }

  #folder({ repo, commit, kind }: Pick<Snapshot, 'kind' | 'repo' | 'commit'>): string {
    return this.folderOf(repo, commit, kind);
  }

  async ranges(snapshot: Snapshot, file: HubTreeFile): Promise<RangeSet> {
    const folder = this.#folder(snapshot);
    const there = (await this.disk.files(folder)).get(diskName(file.path)) ?? 0;
    // A journal never says more than the file holds: someone may have cut it.
    return readJournal(await this.disk.readText(folder, diskName(file.path) + JOURNAL) ?? '', Math.min(there, file.bytes));
  }

  openData(snapshot: Snapshot, file: HubTreeFile): ReturnType<CacheDisk['open']> {
    return this.disk.open(this.#folder(snapshot), diskName(file.path));
  }

  openJournal(snapshot: Snapshot, file: HubTreeFile): ReturnType<CacheDisk['open']> {
    return this.disk.open(this.#folder(snapshot), diskName(file.path) + JOURNAL);
  }

  async isChecked(snapshot: Snapshot, file: HubTreeFile): Promise<boolean> {
    const sizes = await this.disk.files(this.#folder(snapshot));
    return isThere(sizes, file);
  }

  async markChecked(snapshot: Snapshot, file: HubTreeFile): Promise<void> {
    const folder = this.#folder(snapshot);
    await this.disk.writeText(folder, diskName(file.path) + CHECKED, file.sha256 ?? file.oid);
    await this.disk.remove(folder, diskName(file.path) + JOURNAL);
  }

  /** Forgets one file, so that it is downloaded anew. */
  async forget(snapshot: Snapshot, file: HubTreeFile): Promise<void> {
    const folder = this.#folder(snapshot);
    const name = diskName(file.path);
    for (const one of [name + CHECKED, name + JOURNAL, name]) await this.disk.remove(folder, one);
  }

  /** The files of a complete snapshot, by name. */
  async sources(snapshot: Snapshot): Promise<Map<string, ByteSource>> {
    const folder = this.#folder(snapshot);
    const sources = new Map<string, ByteSource>();
    for (const { path } of snapshot.files) sources.set(path, await this.disk.source(folder, diskName(path)));
    return sources;
  }

  /** Under which name a file lies in the snapshot's folder. */
  fileIn(path: string): string {
    return diskName(path);
  }

  /** One file as a Blob that stays on the disk. */
  blob(snapshot: Snapshot, path: string): Promise<Blob> {
    return this.disk.blob(this.#folder(snapshot), diskName(path));
  }

  /** Deletes a snapshot. Throws 'cache.none' where there is none. */
  async delete(repo: string, commit: string, kind?: RepoKind): Promise<void> {
    const folder = this.folderOf(repo, commit, kind);
    if (!(await this.disk.folders()).includes(folder)) throw noSuchCached(repo);
    // Without its list of files a half-deleted folder is no model any more.
    await this.disk.remove(folder, MANIFEST);
    await this.disk.remove(folder);
  }

  async #read(folder: string): Promise<SnapshotState | null> {
    const snapshot = readManifest(await this.disk.readText(folder, MANIFEST));
    if (!snapshot || this.#folder(snapshot) !== folder) return null;
    const sizes = await this.disk.files(folder);
    const cached = new Map<string, number>();
    const checked = new Set<string>();
    for (const file of snapshot.files) {
      if (isThere(sizes, file)) checked.add(file.path);
      const known = checked.has(file.path) ? file.bytes : sizes.has(diskName(file.path) + JOURNAL) ? (await this.ranges(snapshot, file)).total : 0;
      cached.set(file.path, known);
    }
    const used = Number(await this.disk.readText(folder, USED));
    return {
      ...snapshot, cached, checked, complete: checked.size === snapshot.files.length, bytes: sum(cached.values()), totalBytes: sum(snapshot.files.map((f) => f.bytes)),
      lastUsedAt: Number.isFinite(used) && used > 0 ? used : snapshot.createdAt,
    };
  }
}

/** A cache folder holds no folders, so data/train.parquet lies there under one name; and a manifest of our own. */
const diskName = (path: string): string => (path === MANIFEST ? 'etude%2Ejson' : path.replaceAll('%', '%25').replaceAll('/', '%2F'));

const isThere = (sizes: ReadonlyMap<string, number>, file: HubTreeFile): boolean => {
  const name = diskName(file.path);
  return sizes.has(name + CHECKED) && sizes.get(name) === file.bytes;
};

/** A torn or foreign manifest is none. */
function readManifest(text: string | null): Snapshot | null {
  try {
    const value = JSON.parse(text ?? 'null') as Snapshot | null;
    const whole = typeof value?.repo === 'string' && typeof value.commit === 'string' && Array.isArray(value.revisions) && typeof value.createdAt === 'number'
      && Array.isArray(value.files) && value.files.every((f) => typeof f.path === 'string' && (value.kind === 'dataset' || !f.path.includes('/')) && typeof f.bytes === 'number');
    return whole ? value : null;
  } catch {
    return null;
  }
}
