/**
 * Owns the safetensors container: a JSON header with names, types and byte ranges, then the bytes.
 * Reads only the header and the slices asked for. Believes nothing the header says before it is checked.
 * Knows nothing of models. Format: https://github.com/huggingface/safetensors (README, "Format").
 */
import { EtudeError } from '../config/errors.ts';
import type { ByteSource } from './byteSource.ts';
import { isFloatDtype, widenToF32 } from './halfFloats.ts';
import { findDuplicateKey, isTooDeep } from './jsonKeys.ts';

/** Bytes of one element, in the library's own order of types, which decides the order of tensors in a file. */
const DTYPE_BYTES = {
  BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1, F8_E8M0: 1, I16: 2, U16: 2, F16: 2, BF16: 2,
  I32: 4, U32: 4, F32: 4, C64: 8, F64: 8, I64: 8, U64: 8,
} as const;
export type SafetensorsDtype = keyof typeof DTYPE_BYTES;
const DTYPES = Object.keys(DTYPE_BYTES) as SafetensorsDtype[];

export interface TensorEntry {
  name: string;
  dtype: SafetensorsDtype;
  shape: number[];
  source: ByteSource;
  /** Byte range in the source, [start, end). */
  start: number;
  end: number;
}

export interface SafetensorsFile {
  metadata: Record<string, string>;
  /** In the order of their bytes. */
  tensors: Map<string, TensorEntry>;
}

/** A hundred times the header of a 3B model. The library's own bound, 100 MB, would let a small file take gigabytes once parsed. */
const MAX_HEADER_BYTES = 4_000_000;

const damaged = (source: ByteSource, code: string, detail: string): EtudeError =>
  new EtudeError({
    code: `safetensors.${code}`,
    what: `${source.name} is not a usable safetensors file: ${detail}`,
    expected: 'A safetensors file whose header matches its bytes.',
    likelyCause: code === 'truncated' ? 'The download or copy stopped early.' : 'The file is damaged, or is something else under this name.',
    nextStep: `Download ${source.name} again and compare its size with the original (here ${source.size} bytes).`,
  });

/** Reads and checks the header; throws an EtudeError 'safetensors.*' for every lie it can tell. */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  if (source.size < 8) throw damaged(source, 'truncated', `it has ${source.size} bytes; the header's length alone takes 8.`);
  const prefix = await source.read(0, 8);
  const headerBytes = new DataView(prefix.buffer).getBigUint64(0, true);
  if (headerBytes > BigInt(MAX_HEADER_BYTES)) throw damaged(source, 'header', `its first 8 bytes claim a header of ${headerBytes} bytes; at most ${MAX_HEADER_BYTES} are read.`);
  const dataStart = 8 + Number(headerBytes);
  if (dataStart > source.size) {
    throw damaged(source, 'truncated', `its header should be ${headerBytes} bytes long, but the whole file has ${source.size}.`);
  }
  const header = parseHeader(source, await source.read(8, dataStart));
  const metadata = parseMetadata(source, header['__metadata__']);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => parseEntry(source, name, value, dataStart));
  checkLayout(source, entries, dataStart);
  return { metadata, tensors: new Map(entries.map((entry) => [entry.name, entry])) };
}

function parseHeader(source: ByteSource, bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (isTooDeep(text)) throw new SyntaxError('lists or objects nest more than 64 deep');
    header = JSON.parse(text);
  } catch (cause) {
    throw damaged(source, 'header', `its header is not JSON (${cause instanceof Error ? cause.message : String(cause)}).`);
  }
  if (!text.startsWith('{') || !isObject(header)) throw damaged(source, 'header', 'its header is not a JSON object.');
  const twice = findDuplicateKey(text);
  if (twice !== null) throw damaged(source, 'header', `its header names ${quote(twice)} twice.`);
  return header;
}

function parseMetadata(source: ByteSource, value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value) || Object.values(value).some((v) => typeof v !== 'string')) {
    throw damaged(source, 'header', '__metadata__ is not a table of strings.');
  }
  return value as Record<string, string>;
}

function parseEntry(source: ByteSource, name: string, value: unknown, dataStart: number): TensorEntry {
  const bad = (detail: string) => damaged(source, 'header', `${quote(name)} ${detail}.`);
  if (!isObject(value)) throw bad('has no description');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw bad(`has the unknown type ${typeof dtype === 'string' ? quote(dtype) : dtype === undefined ? 'none' : quote(JSON.stringify(dtype))}; known are ${DTYPES.join(', ')}`);
  }
  if (!isListOfCounts(shape)) throw bad('has a shape that is not a list of whole numbers');
  if (!isListOfCounts(offsets) || offsets.length !== 2) throw bad('has no pair of byte offsets');
  const [begin, end] = offsets as [number, number];
  const wanted = shape.reduce((n, d) => n * d, DTYPE_BYTES[dtype as SafetensorsDtype]);
  if (!Number.isSafeInteger(wanted)) throw bad(`has the shape [${shape.join(', ')}], which no file can hold`);
  if (end < begin) throw bad(`ends at byte ${end}, before it begins at ${begin}`);
  if (end - begin !== wanted) throw bad(`has ${end - begin} bytes, but ${dtype} of shape [${shape.join(', ')}] takes ${wanted}`);
  if (dataStart + end > source.size) {
    throw damaged(source, 'truncated', `${quote(name)} should end at byte ${dataStart + end}, but the file has ${source.size}.`);
  }
  return { name, dtype: dtype as SafetensorsDtype, shape, source, start: dataStart + begin, end: dataStart + end };
}

/** The tensors must fill the file after the header without overlap or gap; sorts them by place. */
function checkLayout(source: ByteSource, entries: TensorEntry[], dataStart: number): void {
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let at = dataStart;
  for (const { name, start, end } of entries) {
    if (start < at) throw damaged(source, 'layout', `${quote(name)} shares ${at - start} bytes with the tensor before it.`);
    if (start > at) throw damaged(source, 'layout', `${start - at} bytes before ${quote(name)} belong to no tensor.`);
    at = end;
  }
  if (at !== source.size) throw damaged(source, 'layout', `${source.size - at} bytes at its end belong to no tensor.`);
}

export const elementCount = (entry: Pick<TensorEntry, 'shape'>): number => entry.shape.reduce((n, d) => n * d, 1);

/** The tensor's bytes as stored. */
export const readBytes = (entry: TensorEntry): Promise<Uint8Array<ArrayBuffer>> => entry.source.read(entry.start, entry.end);

/** F32, BF16 or F16 as f32, row-major; the two 16-bit types widen exactly. */
export async function readF32(entry: TensorEntry): Promise<Float32Array<ArrayBuffer>> {
  if (!isFloatDtype(entry.dtype)) throw wrongDtype(entry, 'F32, BF16 or F16');
  return widenToF32(await readBytes(entry), entry.dtype);
}

export async function readI32(entry: TensorEntry): Promise<Int32Array<ArrayBuffer>> {
  if (entry.dtype !== 'I32') throw wrongDtype(entry, 'I32');
  return new Int32Array((await readBytes(entry)).buffer);
}

const wrongDtype = (entry: TensorEntry, expected: string): EtudeError =>
  new EtudeError({
    code: 'safetensors.dtype',
    what: `${quote(entry.name)} in ${entry.source.name} is stored as ${entry.dtype}.`,
    expected,
    likelyCause: 'The file holds quantised weights, or another kind of tensor under this name.',
    nextStep: 'Use the unquantised version of the model.',
  });

/**
 * The tensor's bytes in order, at most `chunkBytes` at a time (rounded down to a multiple of 16, at least 16),
 * each with its offset inside the tensor. Two chunks are in memory: the next is read while one is worked on.
 */
export async function* streamTensor(entry: TensorEntry, chunkBytes: number): AsyncGenerator<{ offset: number; bytes: Uint8Array<ArrayBuffer> }> {
  const step = Math.max(16, Math.floor(chunkBytes / 16) * 16);
  const read = (at: number): Promise<Uint8Array<ArrayBuffer>> => entry.source.read(at, Math.min(entry.end, at + step));
  let next = entry.start < entry.end ? read(entry.start) : null;
  for (let at = entry.start; next !== null; at += step) {
    const bytes: Uint8Array<ArrayBuffer> = await next;
    next = at + step < entry.end ? read(at + step) : null;
    // Nobody waits for it when the reader stops here.
    next?.catch(() => {});
    yield { offset: at - entry.start, bytes };
  }
}

export interface TensorToWrite {
  dtype: SafetensorsDtype;
  shape: readonly number[];
  data: ArrayBufferView;
}

/**
 * A whole safetensors file. Order as the library writes it (larger types first, then by name), metadata first,
 * header padded with spaces to a multiple of 8.
 */
export function writeSafetensors(tensors: ReadonlyMap<string, TensorToWrite>, metadata: Record<string, string> = {}): Uint8Array<ArrayBuffer> {
  const sorted = [...tensors].sort(([a, x], [b, y]) => DTYPES.indexOf(y.dtype) - DTYPES.indexOf(x.dtype) || (a < b ? -1 : 1));
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let at = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    const wanted = shape.reduce((n, d) => n * d, DTYPE_BYTES[dtype]);
    if (data.byteLength !== wanted) throw new RangeError(`${name}: ${data.byteLength} bytes for ${dtype} [${shape.join(', ')}]`);
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [at, at + wanted] })}`);
    at += wanted;
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(json, 8);
  file.fill(0x20, 8 + json.length, 8 + headerBytes);
  at = 8 + headerBytes;
  for (const [, { data }] of sorted) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isListOfCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
/** A name from a file, cut to a length that fits a message. */
const quote = (name: string): string => `"${name.length > 120 ? `${name.slice(0, 117)}...` : name}"`;
