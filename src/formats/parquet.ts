/// <reference path="./modules.d.ts" />
/**
 * Owns Parquet: row groups one after another, through hyparquet, which is loaded when the first such file comes. A value
 * JSON could hold comes out as it would from JSON; bytes are left out and said. Refuses to know what a row means.
 */
import type { RowRead } from './lines.ts';

/** Random access to a file, bytes [start, end). */
export interface RandomAccess {
  byteLength: number;
  slice(start: number, end?: number): Promise<ArrayBuffer>;
}

/** The file cannot be read, in words. */
export class ParquetError extends Error {
  override readonly name = 'ParquetError';
}

/** A row group is unpacked as a whole; a larger one would not fit beside the rest. */
const MAX_GROUP_BYTES = 2 ** 30;

export async function* readParquet(file: RandomAccess, signal?: AbortSignal): AsyncGenerator<RowRead> {
  const [{ parquetMetadataAsync, parquetReadObjects }, compressors] = await Promise.all([import('hyparquet'), loadCompressors()]);
  const metadata = await parquetMetadataAsync(file).catch(broken);
  const bytesColumns = new Set<string>();
  let rowStart = 0;
  for (const [group, { num_rows: rows, total_byte_size: size }] of metadata.row_groups.entries()) {
    signal?.throwIfAborted();
    if (Number(size) > MAX_GROUP_BYTES) throw new ParquetError(`row group ${group + 1} unpacks to ${Number(size).toLocaleString('en')} bytes, more than ${MAX_GROUP_BYTES.toLocaleString('en')}`);
    const rowEnd = rowStart + Number(rows);
    const values = await parquetReadObjects({ file, metadata, rowStart, rowEnd, compressors, parsers: { stringFromBytes: text } }).catch(broken);
    if (values.length !== rowEnd - rowStart) throw new ParquetError(`row group ${group + 1} says it has ${rowEnd - rowStart} rows and has ${values.length}`);
    for (const [i, value] of values.entries()) {
      // Freed as it goes: a group may hold as much as everything else together.
      values[i] = undefined as never;
      yield { line: rowStart + i + 1, value: plain(value, '', bytesColumns) };
    }
    rowStart = rowEnd;
  }
  if (bytesColumns.size > 0) yield { line: rowStart, notice: `bytes are no text and were not kept: ${[...bytesColumns].slice(0, 20).join(', ')}` };
}

/** Snappy is hyparquet's own. The others are taken one by one: their index loads a WebAssembly Snappy, which the page's policy forbids. */
async function loadCompressors() {
  const [{ decompress }, { decompressBrotli }, { gunzip }, { decompressLz4, decompressLz4Raw }] = await Promise.all([
    import('fzstd'), import('hyparquet-compressors/src/brotli.js'), import('hyparquet-compressors/src/gzip.js'), import('hyparquet-compressors/src/lz4.js'),
  ]);
  return {
    GZIP: (input: Uint8Array, length: number) => gunzip(input, new Uint8Array(length)),
    BROTLI: decompressBrotli, ZSTD: (input: Uint8Array) => decompress(input), LZ4: decompressLz4, LZ4_RAW: decompressLz4Raw,
  };
}

function broken(error: unknown): never {
  if (error instanceof Error && error.name === 'AbortError') throw error;
  throw new ParquetError(error instanceof Error ? error.message : String(error), { cause: error });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
function text(bytes: Uint8Array | undefined): string | Uint8Array | undefined {
  try {
    return bytes && utf8.decode(bytes);
  } catch {
    return bytes;
  }
}

function plain(value: unknown, path: string, bytesColumns: Set<string>): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value === undefined || value === null) return null;
  if (typeof value !== 'object') return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) {
    bytesColumns.add(path);
    return null;
  }
  if (Array.isArray(value)) return value.map((item) => plain(item, path, bytesColumns));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item, path === '' ? name : `${path}.${name}`, bytesColumns)]));
}
