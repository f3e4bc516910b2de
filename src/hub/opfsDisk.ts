/**
 * The browser's origin-private file system as the cache's disk. It is chosen over the Cache API because a worker can write
 * at any place of a file (ranges in parallel, resumed after a reload), flush it, and read slices without a whole body in memory.
 * Finished files are read as Blobs, which many tabs may do at once; a sync access handle would lock them.
 */
import { sourceFromBlob, type ByteSource } from '../formats/byteSource.ts';
import { StorageFull, type CacheDisk, type CacheWriter } from './cacheDisk.ts';
import { noStorage } from './messages.ts';
import { EtudeError } from '../config/errors.ts';

export interface OpfsParts {
  /** navigator.storage. */
  storage: Pick<StorageManager, 'getDirectory' | 'estimate'>;
  /** navigator.locks, where there is one. */
  locks?: LockManager;
}

const ROOT = 'models';

export class OpfsDisk implements CacheDisk {
  readonly #parts: OpfsParts;

  constructor(parts: OpfsParts) {
    this.#parts = parts;
  }

  /** null where the browser has none, as over plain http. @param browser the worker's navigator */
  static of(browser: { storage?: StorageManager; locks?: LockManager }): OpfsDisk | null {
    const { storage, locks } = browser;
    return storage && 'getDirectory' in storage ? new OpfsDisk({ storage, ...(locks && { locks }) }) : null;
  }

  async #root(): Promise<FileSystemDirectoryHandle> {
    try {
      return await (await this.#parts.storage.getDirectory()).getDirectoryHandle(ROOT, { create: true });
    } catch (cause) {
      throw new EtudeError(noStorage(), { cause });
    }
  }

  async #folder(name: string, create = false): Promise<FileSystemDirectoryHandle | null> {
    return orNull(async () => (await this.#root()).getDirectoryHandle(name, { create }));
  }

  async #file(folder: string, name: string): Promise<File | null> {
    const handle = await this.#folder(folder);
    return handle && orNull(async () => (await handle.getFileHandle(name)).getFile());
  }

  async folders(): Promise<string[]> {
    const names: string[] = [];
    for await (const [name, handle] of (await this.#root()).entries()) if (handle.kind === 'directory') names.push(name);
    return names;
  }

  async files(folder: string): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    const handle = await this.#folder(folder);
    if (!handle) return sizes;
    for await (const [name, entry] of handle.entries()) {
      if (entry.kind === 'file') sizes.set(name, (await (entry as FileSystemFileHandle).getFile()).size);
    }
    return sizes;
  }

  async readText(folder: string, name: string): Promise<string | null> {
    return (await this.#file(folder, name))?.text() ?? null;
  }

  async writeText(folder: string, name: string, text: string): Promise<void> {
    const writer = await this.open(folder, name);
    try {
      await writer.truncate(0);
      await writer.write(new TextEncoder().encode(text), 0);
      await writer.flush();
    } finally {
      await writer.close();
    }
  }

  async open(folder: string, name: string): Promise<CacheWriter> {
    const file = await (await this.#folder(folder, true))!.getFileHandle(name, { create: true });
    return new SyncWriter(await file.createSyncAccessHandle());
  }

  async source(folder: string, name: string): Promise<ByteSource> {
    const file = await this.#file(folder, name);
    if (!file) throw new EtudeError(noStorage());
    return sourceFromBlob(file, name);
  }

  async blob(folder: string, name: string): Promise<Blob> {
    const file = await this.#file(folder, name);
    if (!file) throw new EtudeError(noStorage());
    return file;
  }

  async remove(folder: string, name?: string): Promise<void> {
    const parent = name === undefined ? await this.#root() : await this.#folder(folder);
    await orNull(async () => parent?.removeEntry(name ?? folder, { recursive: true }));
  }

  async room(): Promise<number | null> {
    const { quota, usage } = await this.#parts.storage.estimate();
    return quota === undefined || usage === undefined ? null : Math.max(0, quota - usage);
  }

  async lock<T>(name: string, options: { wait: boolean; signal: AbortSignal }, work: () => Promise<T>): Promise<T | null> {
    const { locks } = this.#parts;
    if (!locks) return work();
    // The two ways exclude each other: a lock taken at once or not at all needs no signal.
    const how: LockOptions = options.wait ? { signal: options.signal } : { ifAvailable: true };
    return (await locks.request(name, how, (lock) => (lock ? work() : Promise.resolve(null)))) as T | null;
  }
}

class SyncWriter implements CacheWriter {
  readonly #handle: FileSystemSyncAccessHandle;

  constructor(handle: FileSystemSyncAccessHandle) {
    this.#handle = handle;
  }

  size(): number {
    return this.#handle.getSize();
  }

  write(bytes: Uint8Array, at: number): void {
    full(() => {
      const written = this.#handle.write(bytes as Uint8Array<ArrayBuffer>, { at });
      if (written !== bytes.length) throw new DOMException(`${written} of ${bytes.length} bytes written`, 'QuotaExceededError');
    });
  }

  read(into: Uint8Array, at: number): void {
    const read = this.#handle.read(into as Uint8Array<ArrayBuffer>, { at });
    if (read !== into.length) throw new RangeError(`${read} of ${into.length} bytes at ${at}`);
  }

  truncate(size: number): void {
    full(() => this.#handle.truncate(size));
  }

  flush(): void {
    full(() => this.#handle.flush());
  }

  close(): void {
    this.#handle.close();
  }
}

function full(write: () => void): void {
  try {
    write();
  } catch (error) {
    throw error instanceof Error && error.name === 'QuotaExceededError' ? new StorageFull(error) : error;
  }
}

/** null where there is no such entry; a folder in place of a file is none either. */
async function orNull<T>(get: () => Promise<T>): Promise<T | null> {
  try {
    return await get();
  } catch (error) {
    if (error instanceof Error && (error.name === 'NotFoundError' || error.name === 'TypeMismatchError')) return null;
    throw error;
  }
}
