/**
 * Owns what is kept of the hub's models: a folder for each commit, with its list of files, its data, which bytes of each
 * are there, and which files passed their check. Knows nothing of the network.
 */
import type { ByteSource } from '../formats/byteSource.ts';
import type { CacheDisk } from './cacheDisk.ts';
import type { HubTreeFile } from './hubClient.ts';
import { noSuchCached } from './messages.ts';
import { readJournal, type RangeSet } from './ranges.ts';

export interface Snapshot {
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

  /** Repository names hold no '--', so no two folders are alike. */
  folderOf(repo: string, commit: string): string {
    return `${repo.replace('/', '--')}--${commit}`;
  }

  lockName(repo: string, commit: string): string {
    return `etude.model.${this.folderOf(repo, commit)}`;
  }

  /** Every model that has a manifest, last used first. */
  async list(): Promise<SnapshotState[]> {
    const states: SnapshotState[] = [];
    for (const folder of await this.disk.folders()) {
      const state = await this.#read(folder);
      if (state) states.push(state);
    }
    return states.sort((a, b) => b.lastUsedAt - a.lastUsedAt);
  }

  find(repo: string, commit: string): Promise<SnapshotState | null> {
    return this.#read(this.folderOf(repo, commit));
  }

  /** What was last kept under a branch or tag. Names are compared without case, as the hub does. */
  async findRevision(repo: string, revision: string): Promise<SnapshotState | null> {
    const known = (await this.list()).filter((s) => s.repo.toLowerCase() === repo.toLowerCase() && (s.commit === revision || s.revisions.includes(revision)));
    return known.sort((a, b) => b.createdAt - a.createdAt)[0] ?? null;
  }

  /** Notes what will be downloaded; a snapshot that is there keeps its files. */
  async begin(snapshot: Omit<Snapshot, 'createdAt'>, now: number): Promise<SnapshotState> {
    const folder = this.folderOf(snapshot.repo, snapshot.commit);
    const before = await this.#read(folder);
    const revisions = [...new Set([...before?.revisions ?? [], ...snapshot.revisions])];
    const next: Snapshot = { repo: snapshot.repo, commit: snapshot.commit, revisions, createdAt: now, files: before?.files ?? snapshot.files };
    await this.disk.writeText(folder, MANIFEST, JSON.stringify(next));
    await this.used(snapshot.repo, snapshot.commit, now);
    return (await this.#read(folder))!;
  }

  async used(repo: string, commit: string, now: number): Promise<void> {
    await this.disk.writeText(this.folderOf(repo, commit), USED, String(now));
  }

  async ranges(snapshot: Snapshot, file: HubTreeFile): Promise<RangeSet> {
    const folder = this.folderOf(snapshot.repo, snapshot.commit);
    const there = (await this.disk.files(folder)).get(file.path) ?? 0;
    // A journal never says more than the file holds: someone may have cut it.
    return readJournal(await this.disk.readText(folder, file.path + JOURNAL) ?? '', Math.min(there, file.bytes));
  }

  openData(snapshot: Snapshot, file: HubTreeFile): ReturnType<CacheDisk['open']> {
    return this.disk.open(this.folderOf(snapshot.repo, snapshot.commit), file.path);
  }

  openJournal(snapshot: Snapshot, file: HubTreeFile): ReturnType<CacheDisk['open']> {
    return this.disk.open(this.folderOf(snapshot.repo, snapshot.commit), file.path + JOURNAL);
  }

  async isChecked(snapshot: Snapshot, file: HubTreeFile): Promise<boolean> {
    const sizes = await this.disk.files(this.folderOf(snapshot.repo, snapshot.commit));
    return sizes.has(file.path + CHECKED) && sizes.get(file.path) === file.bytes;
  }

  async markChecked(snapshot: Snapshot, file: HubTreeFile): Promise<void> {
    const folder = this.folderOf(snapshot.repo, snapshot.commit);
    await this.disk.writeText(folder, file.path + CHECKED, file.sha256 ?? file.oid);
    await this.disk.remove(folder, file.path + JOURNAL);
  }

  /** Forgets one file, so that it is downloaded anew. */
  async forget(snapshot: Snapshot, file: HubTreeFile): Promise<void> {
    const folder = this.folderOf(snapshot.repo, snapshot.commit);
    for (const name of [file.path + CHECKED, file.path + JOURNAL, file.path]) await this.disk.remove(folder, name);
  }

  /** The files of a complete snapshot, by name. */
  async sources(snapshot: Snapshot): Promise<Map<string, ByteSource>> {
    const folder = this.folderOf(snapshot.repo, snapshot.commit);
    const sources = new Map<string, ByteSource>();
    for (const { path } of snapshot.files) sources.set(path, await this.disk.source(folder, path));
    return sources;
  }

  /** Deletes a snapshot. Throws 'cache.none' where there is none. */
  async delete(repo: string, commit: string): Promise<void> {
    const folder = this.folderOf(repo, commit);
    if (!(await this.disk.folders()).includes(folder)) throw noSuchCached(repo);
    // Without its list of files a half-deleted folder is no model any more.
    await this.disk.remove(folder, MANIFEST);
    await this.disk.remove(folder);
  }

  async #read(folder: string): Promise<SnapshotState | null> {
    const snapshot = readManifest(await this.disk.readText(folder, MANIFEST));
    if (!snapshot || this.folderOf(snapshot.repo, snapshot.commit) !== folder) return null;
    const sizes = await this.disk.files(folder);
    const cached = new Map<string, number>();
    let complete = true;
    for (const file of snapshot.files) {
      const checked = sizes.has(file.path + CHECKED) && sizes.get(file.path) === file.bytes;
      complete &&= checked;
      const known = checked ? file.bytes : sizes.has(file.path + JOURNAL) ? (await this.ranges(snapshot, file)).total : 0;
      cached.set(file.path, known);
    }
    const used = Number(await this.disk.readText(folder, USED));
    return {
      ...snapshot, cached, complete, bytes: sum(cached.values()), totalBytes: sum(snapshot.files.map((f) => f.bytes)),
      lastUsedAt: Number.isFinite(used) && used > 0 ? used : snapshot.createdAt,
    };
  }
}

/** A torn or foreign manifest is none. */
function readManifest(text: string | null): Snapshot | null {
  try {
    const value = JSON.parse(text ?? 'null') as Snapshot | null;
    const whole = typeof value?.repo === 'string' && typeof value.commit === 'string' && Array.isArray(value.revisions) && typeof value.createdAt === 'number'
      && Array.isArray(value.files) && value.files.every((f) => typeof f.path === 'string' && !f.path.includes('/') && typeof f.bytes === 'number');
    return whole ? value : null;
  } catch {
    return null;
  }
}
