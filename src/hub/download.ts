/**
 * Owns bringing a snapshot's missing bytes into the cache: ranges in parallel, each written where it belongs and noted in
 * the file's journal, files checked against the hub's list as they grow. Whatever stops it, what was noted is kept.
 */
import { EtudeError } from '../config/errors.ts';
import { StorageFull, type CacheWriter } from './cacheDisk.ts';
import { hashOf, type FileHash } from './fileHash.ts';
import { RetryLater, STALL, type HubClient, type HubTreeFile } from './hubClient.ts';
import { checksum, cutOff, diskFull } from './messages.ts';
import type { ModelCache, SnapshotState } from './modelCache.ts';
import { journalLine, type Range, type RangeSet } from './ranges.ts';
import { pauseAfter, type RetryOptions } from './retry.ts';

export interface DownloadOptions extends RetryOptions {
  signal: AbortSignal;
  /** Bytes that are there, of all; at most ten times a second. */
  onProgress?: (done: number, total: number) => void;
  /** Bytes asked for at a time. */
  rangeBytes?: number;
  /** Milliseconds without a byte after which a connection counts as cut. */
  stall?: number;
}

const RANGE = 8 * 1024 * 1024;
const PARALLEL = 4;
/** Read back for the checksum at a time. */
const HASH_STEP = 1024 * 1024;
const PROGRESS_EVERY = 100;

/** Downloads what is missing. Throws EtudeError hub.* or storage.full, or the signal's reason. Call under the snapshot's lock. */
export async function downloadMissing(client: HubClient, cache: ModelCache, snapshot: SnapshotState, options: DownloadOptions): Promise<void> {
  const missing = snapshot.totalBytes - snapshot.bytes;
  const room = await cache.disk.room();
  if (room !== null && room < missing) throw new EtudeError(diskFull(missing, room));

  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const progress = new Progress(snapshot, options);
  const files: FileDownload[] = [];
  try {
    for (const file of snapshot.files) {
      files.push(await FileDownload.open(cache, snapshot, file, progress));
    }
    // Small files first and in order: what is wrong with a model shows before its weights are fetched.
    const pieces = files.flatMap((file) => file.missing(options.rangeBytes ?? RANGE).map((range) => ({ file, range })));
    const jobs: Promise<void>[] = [];
    const start = (job: Promise<void>): void => void jobs.push(job.catch((error: unknown) => stop.abort(error)));
    const check = (file: FileDownload): void => start(file.check(signal));
    const work = async (): Promise<void> => {
      for (let next = pieces.shift(); next !== undefined; next = pieces.shift()) {
        await next.file.fetch(client, next.range, { ...options, signal });
        // Not waited for: hashing what an earlier visit left takes long, and the network need not stand still.
        check(next.file);
      }
    };
    files.forEach(check);
    for (let i = 0; i < PARALLEL; i++) start(work());
    // Checks are added while this goes on.
    for (let i = 0; i < jobs.length; i++) await jobs[i];
    signal.throwIfAborted();
  } catch (error) {
    if (error instanceof StorageFull) throw new EtudeError(diskFull(snapshot.totalBytes - progress.done, await cache.disk.room()), { cause: error });
    throw error;
  } finally {
    for (const file of files) await file.close();
  }
}

class Progress {
  done: number;
  readonly #total: number;
  readonly #say: DownloadOptions['onProgress'];
  #saidAt = 0;

  constructor(snapshot: SnapshotState, options: DownloadOptions) {
    this.done = snapshot.bytes;
    this.#total = snapshot.totalBytes;
    this.#say = options.onProgress;
    this.#say?.(this.done, this.#total);
  }

  add(bytes: number): void {
    this.done += bytes;
    const now = performance.now();
    if (now - this.#saidAt < PROGRESS_EVERY && this.done !== this.#total) return;
    this.#saidAt = now;
    this.#say?.(this.done, this.#total);
  }
}

/** One file on its way: data, journal, and the checksum of the part that is there without a gap. */
class FileDownload {
  readonly #cache: ModelCache;
  readonly #snapshot: SnapshotState;
  readonly #file: HubTreeFile;
  readonly #progress: Progress;
  readonly #data: CacheWriter | null;
  readonly #journal: CacheWriter | null;
  readonly #ranges: RangeSet;
  readonly #hasher: FileHash;
  #hashed = 0;
  #checked: boolean;
  #hashing: Promise<void> = Promise.resolve();
  #noting: Promise<void> = Promise.resolve();

  private constructor(parts: { cache: ModelCache; snapshot: SnapshotState; file: HubTreeFile; progress: Progress; data: CacheWriter | null; journal: CacheWriter | null; ranges: RangeSet; checked: boolean }) {
    this.#cache = parts.cache;
    this.#snapshot = parts.snapshot;
    this.#file = parts.file;
    this.#progress = parts.progress;
    this.#data = parts.data;
    this.#journal = parts.journal;
    this.#ranges = parts.ranges;
    this.#checked = parts.checked;
    this.#hasher = hashOf(parts.file);
  }

  static async open(cache: ModelCache, snapshot: SnapshotState, file: HubTreeFile, progress: Progress): Promise<FileDownload> {
    const ranges = await cache.ranges(snapshot, file);
    const there = await cache.isChecked(snapshot, file);
    if (there) return new FileDownload({ cache, snapshot, file, progress, data: null, journal: null, ranges, checked: true });
    const data = await cache.openData(snapshot, file);
    try {
      const journal = await cache.openJournal(snapshot, file);
      return new FileDownload({ cache, snapshot, file, progress, data, journal, ranges, checked: false });
    } catch (error) {
      await data.close();
      throw error;
    }
  }

  /** A file outside of large storage comes whole: the hub may compress it, and ranges of that would be others. */
  missing(rangeBytes: number): Range[] {
    if (this.#checked) return [];
    return this.#ranges.missing(this.#file.bytes, this.#file.sha256 === null ? Number.MAX_SAFE_INTEGER : rangeBytes);
  }

  /** Brings [start, end), through cut connections; notes what came also when it fails. */
  async fetch(client: HubClient, { start, end }: Range, options: DownloadOptions): Promise<void> {
    const { path, bytes, sha256 } = this.#file;
    const whole = sha256 === null || bytes === 0;
    let at = start;
    try {
      for (let failures = 0; at < end;) {
        try {
          // A file that comes whole begins anew.
          if (whole) this.#progress.add(start - at);
          if (whole) at = start;
          const body = await client.open({ ...this.#snapshot, path }, whole ? null : { start: at, end }, options.signal);
          for await (const chunk of readThrough(body, options.signal, options.stall ?? STALL)) {
            if (at + chunk.length > end) throw new RetryLater(cutOff(path, at, bytes), null);
            await this.#data!.write(chunk, at);
            at += chunk.length;
            this.#progress.add(chunk.length);
            failures = 0;
          }
          if (at < end) throw new RetryLater(cutOff(path, at, bytes), null);
        } catch (error) {
          if (options.signal.aborted) throw options.signal.reason;
          const failure = error instanceof TypeError ? new RetryLater(cutOff(path, at, bytes), null, error) : error;
          await pauseAfter(failure, ++failures, options, options.signal);
        }
      }
    } finally {
      // Half of a file that comes whole is of no use.
      if (!whole || at === end) await this.#note({ start, end: at });
    }
  }

  /** Hashes what is there without a gap; at the end compares. One at a time. */
  check(signal: AbortSignal): Promise<void> {
    const next = this.#hashing.then(() => this.#hash(signal));
    this.#hashing = next.catch(() => {});
    return next;
  }

  async #hash(signal: AbortSignal): Promise<void> {
    if (this.#checked) return;
    const buffer = new Uint8Array(HASH_STEP);
    for (let { prefix } = this.#ranges; this.#hashed < prefix; { prefix } = this.#ranges) {
      signal.throwIfAborted();
      const piece = buffer.subarray(0, Math.min(buffer.length, prefix - this.#hashed));
      await this.#data!.read(piece, this.#hashed);
      this.#hasher.update(piece);
      this.#hashed += piece.length;
      // Lets messages and the network in: reading and hashing here never wait.
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (this.#hashed !== this.#file.bytes) return;
    this.#checked = true;
    await this.#noting;
    await this.#data!.close();
    await this.#journal!.close();
    if (this.#hasher.matches()) return this.#cache.markChecked(this.#snapshot, this.#file);
    await this.#cache.forget(this.#snapshot, this.#file);
    throw new EtudeError(checksum(this.#file.path));
  }

  async close(): Promise<void> {
    await this.#hashing;
    await this.#noting;
    if (this.#checked) return;
    await this.#data?.close();
    await this.#journal?.close();
  }

  #note(range: Range): Promise<void> {
    const next = this.#noting.then(async () => {
      if (range.end <= range.start) return;
      // The data first: a journal must not speak of bytes that a crash could take.
      await this.#data!.flush();
      this.#ranges.add(range.start, range.end);
      await this.#journal!.write(new TextEncoder().encode(journalLine(range)), await this.#journal!.size());
      await this.#journal!.flush();
    });
    this.#noting = next.catch(() => {});
    return next;
  }
}

/** The chunks of a body; ends it when the signal aborts or when nothing comes for `stall` milliseconds. */
async function* readThrough(body: ReadableStream<Uint8Array>, signal: AbortSignal, stall: number): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const part = await nextPart(reader, stall);
      signal.throwIfAborted();
      if (part.done) return;
      yield part.value;
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

async function nextPart(reader: ReadableStreamDefaultReader<Uint8Array>, stall: number): Promise<ReadableStreamReadResult<Uint8Array>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TypeError(`no byte for ${stall / 1000} s`)), stall);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}
