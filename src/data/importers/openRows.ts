/**
 * Owns the way from a dropped file to its rows: what it is packed in, what format it has, and the reader for it. Gzip of
 * any format is unpacked as it streams; Parquet inside of gzip is unpacked whole, since it is read from its end.
 */
import { EtudeError } from '../../config/errors.ts';
import { readCsv } from '../../formats/csv.ts';
import { readJsonElements } from '../../formats/jsonArray.ts';
import { readJsonl } from '../../formats/jsonl.ts';
import { chunksOf, type RowRead } from '../../formats/lines.ts';
import { readParquet } from '../../formats/parquet.ts';
import { readPlainText } from '../../formats/plainText.ts';
import { sniff, SNIFF_BYTES, type FileFormat } from './sniff.ts';

export interface OpenedRows {
  format: FileFormat;
  rows: AsyncIterable<RowRead>;
}

/** Counts bytes of the file as they are read, packed ones where it is packed. */
export type CountBytes = (bytes: number) => void;

const STEP_BYTES = 64 * 1024;
const isGzip = (head: Uint8Array): boolean => head[0] === 0x1f && head[1] === 0x8b;

/** Throws the refusals of `sniff`, and EtudeError 'data.gzip' for an archive that cannot be unpacked. */
export async function openRows(name: string, blob: Blob, count: CountBytes, signal?: AbortSignal): Promise<OpenedRows> {
  const head = await firstBytes(blob.stream(), SNIFF_BYTES);
  const packed = isGzip(head);
  const inner = packed ? name.replace(/\.gz(?:ip)?$/i, '') : name;
  const unpacked = packed ? await firstBytes(gunzip(blob.stream()), SNIFF_BYTES).catch((error: unknown) => notGzip(name, error)) : head;
  const isWhole = packed ? unpacked.length < SNIFF_BYTES : head.length === blob.size;
  const format = sniff(inner, isWhole ? unpacked.length : Number.POSITIVE_INFINITY, unpacked);
  if (format.kind === 'parquet') {
    const file = packed ? await new Response(gunzip(blob.stream())).blob().catch((error: unknown) => notGzip(name, error)) : blob;
    return { format, rows: readParquet(randomAccess(file, count), signal) };
  }
  const counted = steps(blob, count, signal, packed, name);
  if (format.kind === 'jsonl') return { format, rows: readJsonl(counted) };
  if (format.kind === 'json') return { format, rows: readJsonElements(counted) };
  return { format, rows: format.kind === 'text' ? readPlainText(counted) : readCsv(counted, format.delimiter) };
}

async function* steps(blob: Blob, count: CountBytes, signal: AbortSignal | undefined, packed: boolean, name: string): AsyncGenerator<Uint8Array> {
  if (packed) {
    const counter = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        count(chunk.length);
        controller.enqueue(chunk);
      },
    });
    try {
      yield* chunksOf(gunzip(blob.stream().pipeThrough(counter as ReadableWritablePair<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>)), signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      notGzip(name, error);
    }
    return;
  }
  for await (const chunk of chunksOf(blob.stream(), signal)) {
    // Some streams hand out megabytes at once; progress and cancellation go by smaller steps.
    for (let from = 0; from < chunk.length; from += STEP_BYTES) {
      const part = chunk.subarray(from, from + STEP_BYTES);
      count(part.length);
      yield part;
    }
  }
}

const gunzip = (stream: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> =>
  stream.pipeThrough(new DecompressionStream('gzip') as unknown as ReadableWritablePair<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>);

function notGzip(name: string, error: unknown): never {
  throw new EtudeError({
    code: 'data.gzip',
    what: `${name} cannot be unpacked: ${error instanceof Error ? error.message.replace(/\.$/, '') : String(error)}.`,
    expected: 'one whole gzip stream',
    likelyCause: 'The download broke off, the file is damaged, or it is several archives one after another.',
    nextStep: 'Download it again, or unpack it and drop the file inside. Nothing was imported.',
  }, { cause: error });
}

async function firstBytes(stream: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(most);
  let length = 0;
  for await (const chunk of chunksOf(stream)) {
    const part = chunk.subarray(0, most - length);
    bytes.set(part, length);
    length += part.length;
    if (length === most) break;
  }
  return bytes.subarray(0, length);
}

function randomAccess(blob: Blob, count: CountBytes) {
  return {
    byteLength: blob.size,
    slice(start: number, end = blob.size) {
      count(end - start);
      return blob.slice(start, end).arrayBuffer();
    },
  };
}
