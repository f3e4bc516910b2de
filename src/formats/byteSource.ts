/**
 * Owns reading bytes by range from wherever a file lives. Knows nothing of what the bytes mean.
 * A source is opened once and read by slices, so that a large file is never whole in memory
 * (except one fetched from the studio's own site, which is small and is kept).
 */
import { EtudeError } from '../config/errors.ts';
import { findDuplicateKey, isTooDeep } from './jsonKeys.ts';

export interface ByteSource {
  name: string;
  /** Bytes. */
  size: number;
  /** Bytes [start, end), in memory of their own. Throws when the range leaves the file or the file cannot be read. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** `done` bytes so far; `total` is null where the server does not tell. */
export type ByteProgress = (done: number, total: number | null) => void;

/** Every source refuses a range outside of its file in the same words. */
export function checkRange(name: string, size: number, start: number, end: number): void {
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= size) return;
  throw new EtudeError({
    code: 'file.range',
    what: `Bytes ${start} to ${end} of ${name} were asked for, but the file has ${size} bytes.`,
    likelyCause: 'The file is shorter than its header says.',
    nextStep: 'Download the file again and compare its size with the original.',
  });
}

/** A dropped or picked file. It stays on disk; only the slices asked for are read. */
export function sourceFromBlob(blob: Blob, name = blob instanceof File ? blob.name : 'file'): ByteSource {
  return {
    name,
    size: blob.size,
    async read(start, end) {
      checkRange(name, blob.size, start, end);
      try {
        return new Uint8Array(await blob.slice(start, end).arrayBuffer());
      } catch (cause) {
        throw unreadable(name, cause);
      }
    },
  };
}

/** The browser refuses a file that changed after it was picked; so does a disk that went away. */
export const unreadable = (name: string, cause: unknown): EtudeError =>
  new EtudeError({
    code: 'file.unreadable',
    what: `${name} can no longer be read.`,
    likelyCause: 'The file was changed, moved or deleted after it was opened, or its disk is gone.',
    nextStep: 'Choose the file again.',
  }, { cause });

export function sourceFromBytes(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    async read(start, end) {
      checkRange(name, bytes.byteLength, start, end);
      return new Uint8Array(bytes.subarray(start, end));
    },
  };
}

/**
 * A static file of the studio's own site: fetched once, whole, then sliced from memory.
 * `name` defaults to the last part of the address.
 */
export async function sourceFromUrl(
  url: string,
  options: { name?: string; onProgress?: ByteProgress; signal?: AbortSignal } = {},
): Promise<ByteSource> {
  const name = options.name ?? url.slice(url.lastIndexOf('/') + 1);
  return sourceFromBytes(await fetchBytes(url, name, options), name);
}

async function fetchBytes(url: string, name: string, options: { onProgress?: ByteProgress; signal?: AbortSignal }): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url, { signal: options.signal ?? null });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw fetchFailed(name, 'The site did not answer.', cause);
  }
  if (!response.ok) throw fetchFailed(name, `The site answered ${response.status} ${response.statusText}`.trim() + '.');
  // Many hosts answer an unknown address with their start page and status 200.
  if (response.headers.get('content-type')?.startsWith('text/html')) throw fetchFailed(name, 'The site sent a web page in its place.');
  // With content-encoding the length is that of the compressed bytes.
  const declared = response.headers.has('content-encoding') ? Number.NaN : Number(response.headers.get('content-length') ?? Number.NaN);
  const total = Number.isSafeInteger(declared) ? declared : null;
  if (response.body === null) return new Uint8Array(await response.arrayBuffer());

  const chunks: Uint8Array[] = [];
  let done = 0;
  try {
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      chunks.push(part.value);
      done += part.value.byteLength;
      options.onProgress?.(done, total);
    }
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw fetchFailed(name, `The connection ended after ${done} bytes.`, cause);
  }
  if (total !== null && done !== total) throw fetchFailed(name, `${done} of ${total} bytes arrived.`);
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

const fetchFailed = (name: string, detail: string, cause?: unknown): EtudeError =>
  new EtudeError({
    code: 'file.fetch',
    what: `${name} could not be loaded. ${detail}`,
    expected: 'A file that this site serves beside its page.',
    likelyCause: 'The connection is gone, or the site was copied without its builtin folder.',
    nextStep: 'Reload the page; if that fails too, check that the host serves the whole built folder.',
  }, { cause });

/** Far above any published config or index; what is larger is something else under this name. */
const MAX_TEXT_BYTES = 32 * 1024 * 1024;

/** The whole source as text, for the small JSON files of a model folder. More than `maxBytes` and broken UTF-8 are refused. */
export async function readText(source: ByteSource, maxBytes = MAX_TEXT_BYTES): Promise<string> {
  if (source.size > maxBytes) {
    throw new EtudeError({
      code: 'file.tooLarge',
      what: `${source.name} has ${source.size} bytes.`,
      expected: `At most ${maxBytes} bytes.`,
      likelyCause: 'The file is something else under this name.',
      nextStep: `Replace ${source.name} with the original.`,
    });
  }
  const bytes = await source.read(0, source.size);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new EtudeError({
      code: 'file.notUtf8',
      what: `${source.name} is not valid UTF-8 text.`,
      expected: 'A text file in UTF-8.',
      likelyCause: 'The file is damaged, or was saved in another encoding.',
      nextStep: 'Download it again, or save it as UTF-8.',
    }, { cause });
  }
}

/** The whole source as JSON. Errors name the file and what the parser said; a key that occurs twice in one object is refused. */
export async function readJson(source: ByteSource, maxBytes = MAX_TEXT_BYTES): Promise<unknown> {
  const text = await readText(source, maxBytes);
  const value = parseJson(text, source.name);
  const twice = findDuplicateKey(text);
  if (twice === null) return value;
  throw new EtudeError({
    code: 'file.keyTwice',
    what: `${source.name} gives ${JSON.stringify(twice.slice(0, 120))} twice in one object.`,
    expected: 'Each name once.',
    likelyCause: 'The file was edited by hand or put together from two files; readers would differ in which value they take.',
    nextStep: `Replace ${source.name} with the original.`,
  });
}

export function parseJson(text: string, name: string): unknown {
  try {
    if (isTooDeep(text)) throw new SyntaxError('lists or objects nest more than 64 deep');
    return JSON.parse(text);
  } catch (cause) {
    throw new EtudeError({
      code: 'file.notJson',
      what: `${name} is not valid JSON: ${cause instanceof Error ? cause.message : String(cause)}.`,
      expected: 'One JSON object.',
      likelyCause: text.trim() === '' ? 'The file is empty.' : 'The file is cut off, or is something else under this name.',
      nextStep: `Replace ${name} with the original.`,
    }, { cause });
  }
}
