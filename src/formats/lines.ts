/**
 * Owns bytes -> numbered lines of UTF-8 text, streaming: only the line under way is held. A line with broken UTF-8 is
 * named, not repaired. Refuses to know what a line means.
 */

export interface TextLine {
  /** 1-based. */
  line: number;
  /** Without its line break; null when `problem` says why it is no text. */
  text: string | null;
  problem?: string;
  /** The line break was CR LF. */
  cr?: boolean;
}

/**
 * What a reader of rows yields, at a 1-based line or element number: a value (`changed` says how it differs from what the
 * file says), the reason why there is none, or a notice about the file that belongs to no row.
 */
export type RowRead = { line: number; value: unknown; changed?: string } | { line: number; problem: string } | { line: number; notice: string };

/** Longest line that is read; a longer one is skipped and named. 64 MiB, as for an element of a JSON array. */
export const MAX_LINE_BYTES = 64 * 2 ** 20;

const NEWLINE = 0x0a;

/** Chunks of a stream, with cancellation; the stream is released whatever happens. */
export async function* chunksOf(stream: ReadableStream<Uint8Array>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

export async function* readLines(chunks: AsyncIterable<Uint8Array>, maxLineBytes = MAX_LINE_BYTES): AsyncGenerator<TextLine> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let parts: Uint8Array[] = [];
  let held = 0;
  let line = 1;
  const finish = (): TextLine => {
    const oversize = held > maxLineBytes;
    const bytes = oversize ? new Uint8Array() : joinBytes(parts, held);
    parts = [];
    held = 0;
    const number = line++;
    if (oversize) return { line: number, text: null, problem: `the line is longer than ${maxLineBytes.toLocaleString('en')} bytes` };
    try {
      const text = decoder.decode(bytes);
      const from = number === 1 && text.startsWith('\uFEFF') ? 1 : 0;
      return text.endsWith('\r') ? { line: number, text: text.slice(from, -1), cr: true } : { line: number, text: text.slice(from) };
    } catch {
      return { line: number, text: null, problem: 'broken UTF-8: these bytes are no text' };
    }
  };
  const hold = (part: Uint8Array) => {
    // An oversize line is only counted on, so that it never sits in memory.
    if (held <= maxLineBytes) parts.push(part);
    held += part.length;
    if (held > maxLineBytes) parts = [];
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      hold(chunk.subarray(from, at));
      yield finish();
      from = at + 1;
    }
    // The tail is copied: some streams reuse their buffers.
    if (from < chunk.length) hold(chunk.slice(from));
  }
  if (held > 0) yield finish();
}

export function joinBytes(parts: Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
