/**
 * What the model cache needs of a disk: folders of files, written at any place, read by ranges. The browser's origin-private
 * file system (opfsDisk.ts) and a folder of the machine (src/cli/folderDisk.ts) are such disks.
 */
import type { ByteSource } from '../formats/byteSource.ts';

type Soon<T> = T | Promise<T>;

/** An open file. One writer a file at a time. */
export interface CacheWriter {
  size(): Soon<number>;
  write(bytes: Uint8Array, at: number): Soon<void>;
  /** Fills `into` from `at`; the bytes are there. */
  read(into: Uint8Array, at: number): Soon<void>;
  truncate(size: number): Soon<void>;
  /** What was written survives a crash from here on. */
  flush(): Soon<void>;
  close(): Soon<void>;
}

export interface CacheDisk {
  folders(): Promise<string[]>;
  /** The size of each file; empty where there is no such folder. */
  files(folder: string): Promise<Map<string, number>>;
  /** A small file whole; null where there is none. */
  readText(folder: string, name: string): Promise<string | null>;
  writeText(folder: string, name: string, text: string): Promise<void>;
  /** Makes folder and file where there are none. Throws StorageFull on a full disk, like every write. */
  open(folder: string, name: string): Promise<CacheWriter>;
  source(folder: string, name: string): Promise<ByteSource>;
  /** A whole file that stays on the disk until it is read. */
  blob(folder: string, name: string): Promise<Blob>;
  /** One file, or the folder with all in it; nothing where there is none. */
  remove(folder: string, name?: string): Promise<void>;
  /** Bytes that still fit; null where nobody knows. */
  room(): Promise<number | null>;
  /** Runs `work` while no other tab or process holds `name`. @param wait false gives null at once where another has it */
  lock<T>(name: string, options: { wait: boolean; signal: AbortSignal }, work: () => Promise<T>): Promise<T | null>;
}

/** A write found the disk full. */
export class StorageFull extends Error {
  constructor(cause: unknown) {
    super('no room left', { cause });
    this.name = 'StorageFull';
  }
}
