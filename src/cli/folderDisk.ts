/** A folder of this machine as the model cache's disk. Another process is kept out by a lock file that names its owner. */
import { openAsBlob } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, stat, statfs, writeFile, type FileHandle } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ByteSource } from '../formats/byteSource.ts';
import { StorageFull, type CacheDisk, type CacheWriter } from '../hub/cacheDisk.ts';
import { sourceFromPath } from './fsSource.ts';

/** ETUDE_CACHE, or where this platform keeps caches. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.ETUDE_CACHE) return env.ETUDE_CACHE;
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'etude');
  if (process.platform === 'win32') return join(env.LOCALAPPDATA ?? homedir(), 'etude', 'Cache');
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'etude');
}

const LOCK_POLL = 500;
const LOCK_UNNAMED = 10_000;

const isCode = (error: unknown, ...codes: string[]): boolean => error instanceof Error && 'code' in error && codes.includes(String(error.code));

async function orNull<T>(get: () => Promise<T>): Promise<T | null> {
  try {
    return await get();
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}

async function full<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw isCode(error, 'ENOSPC', 'EDQUOT') ? new StorageFull(error) : error;
  }
}

export class FolderDisk implements CacheDisk {
  readonly #models: string;

  constructor(folder: string) {
    this.#models = join(folder, 'models');
  }

  /** Where a folder of the cache, or a file in it, lies. */
  pathOf(folder: string, name?: string): string {
    return this.#path(folder, name);
  }

  #path(folder: string, name = ''): string {
    return join(this.#models, folder, name);
  }

  async folders(): Promise<string[]> {
    const entries = await orNull(() => readdir(this.#models, { withFileTypes: true })) ?? [];
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  }

  async files(folder: string): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    for (const entry of await orNull(() => readdir(this.#path(folder), { withFileTypes: true })) ?? []) {
      const info = entry.isFile() ? await orNull(() => stat(this.#path(folder, entry.name))) : null;
      if (info) sizes.set(entry.name, info.size);
    }
    return sizes;
  }

  readText(folder: string, name: string): Promise<string | null> {
    return orNull(() => readFile(this.#path(folder, name), 'utf8'));
  }

  async writeText(folder: string, name: string, text: string): Promise<void> {
    await full(async () => {
      await mkdir(this.#path(folder), { recursive: true });
      await writeFile(this.#path(folder, name), text);
    });
  }

  async open(folder: string, name: string): Promise<CacheWriter> {
    return full(async () => {
      await mkdir(this.#path(folder), { recursive: true });
      const path = this.#path(folder, name);
      // 'r+' keeps what is there and writes anywhere; 'a' makes the file first where there is none.
      await (await open(path, 'a')).close();
      return new FolderWriter(await open(path, 'r+'));
    });
  }

  source(folder: string, name: string): Promise<ByteSource> {
    return sourceFromPath(this.#path(folder, name), name);
  }

  blob(folder: string, name: string): Promise<Blob> {
    return openAsBlob(this.#path(folder, name));
  }

  async remove(folder: string, name?: string): Promise<void> {
    await rm(this.#path(folder, name), { recursive: true, force: true });
  }

  async room(): Promise<number | null> {
    await mkdir(this.#models, { recursive: true });
    const { bavail, bsize } = await statfs(this.#models);
    return bavail * bsize;
  }

  async lock<T>(name: string, { wait, signal }: { wait: boolean; signal: AbortSignal }, work: () => Promise<T>): Promise<T | null> {
    await mkdir(this.#models, { recursive: true });
    const path = join(this.#models, `${name}.lock`);
    while (!await takeLock(path)) {
      if (!wait) return null;
      await new Promise((resolve) => setTimeout(resolve, LOCK_POLL));
      signal.throwIfAborted();
    }
    try {
      return await work();
    } finally {
      await rm(path, { force: true });
    }
  }
}

/** True where the lock is ours now. One whose process is gone is taken over. */
async function takeLock(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  }
  const owner = Number(await orNull(() => readFile(path, 'utf8')));
  const named = Number.isSafeInteger(owner) && owner > 0;
  const age = Date.now() - ((await orNull(() => stat(path)))?.mtimeMs ?? 0);
  // Without a name yet, its owner is about to write it, unless it died in between.
  if (named ? isAlive(owner) : age < LOCK_UNNAMED) return false;
  await rm(path, { force: true });
  return takeLock(path);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, 'EPERM');
  }
}

class FolderWriter implements CacheWriter {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  write(bytes: Uint8Array, at: number): Promise<void> {
    return full(async () => {
      for (let done = 0; done < bytes.length;) done += (await this.#handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
    });
  }

  async read(into: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < into.length;) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, at + done);
      if (bytesRead === 0) throw new RangeError(`the file ends at byte ${at + done}`);
      done += bytesRead;
    }
  }

  truncate(size: number): Promise<void> {
    return full(() => this.#handle.truncate(size));
  }

  flush(): Promise<void> {
    return full(() => this.#handle.sync());
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
