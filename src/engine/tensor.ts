/**
 * Owns what a tensor is on the GPU: a labelled range of a buffer with a storage type. Refuses to know what it means.
 */
import { EtudeError } from '../config/errors.ts';
import { outOfMemory } from '../config/messages.ts';
import type { Engine } from './device.ts';
import { BLOCK, BLOCK_WORDS, quantisedBytes, type QuantisedType } from './quantise.ts';

/** Storage types of checkpoints. bf16 and f16 stay packed two in a u32 and are unpacked in the kernel. */
export type FloatStorage = 'f32' | 'bf16' | 'f16';
/** The quantised ones are blocks of codes with their scales (quantise.ts), dequantised in the kernel. */
export type StorageType = FloatStorage | QuantisedType;

export interface Tensor {
  readonly label: string;
  readonly buffer: GPUBuffer;
  /** Bytes from the start of the buffer; a multiple of 256. */
  readonly offset: number;
  readonly byteLength: number;
}

/** A frozen matrix [rows, cols], stored as it came or quantised, cut by rows into parts that fit one binding. */
export interface Weight {
  readonly label: string;
  readonly dtype: StorageType;
  readonly rows: number;
  readonly cols: number;
  readonly parts: { tensor: Tensor; rowStart: number; rows: number }[];
}

const BYTES: Record<FloatStorage, number> = { f32: 4, bf16: 2, f16: 2 };
export const isQuantised = (dtype: StorageType): dtype is QuantisedType => dtype === 'int8' || dtype === 'nf4';
/** Bytes of n elements that begin a part. */
export const storedBytes = (dtype: StorageType, elements: number): number => (isQuantised(dtype) ? quantisedBytes(dtype, elements) : elements * BYTES[dtype]);
const STORAGE = 0x80 | 0x08 | 0x04; // STORAGE | COPY_DST | COPY_SRC; the globals may not exist when this module loads

/** A zeroed tensor of n 4-byte elements in a buffer of its own. */
export function createTensor(engine: Engine, label: string, elements: number): Tensor {
  const byteLength = elements * 4;
  return { label, buffer: engine.createBuffer(label, byteLength, STORAGE), offset: 0, byteLength };
}

/** A view of n 4-byte elements of another tensor. The start must be a multiple of 64 elements. */
export function viewTensor(of: Tensor, label: string, startElement: number, elements: number): Tensor {
  if (startElement % 64 !== 0) throw new Error(`${label}: view starts at element ${startElement}, not at a multiple of 64`);
  return { label, buffer: of.buffer, offset: of.offset + startElement * 4, byteLength: elements * 4 };
}

export function writeTensor(engine: Engine, tensor: Tensor, data: Float32Array | Uint32Array | Int32Array, startElement = 0): void {
  engine.device.queue.writeBuffer(tensor.buffer, tensor.offset + startElement * 4, data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

/** Elements of a copy that may not fit. */
const WORTH_A_WAIT = 2 ** 14;

/** Reads n elements back. Waits for everything submitted before. */
export async function readTensor(engine: Engine, tensor: Tensor, elements = tensor.byteLength / 4, startElement = 0): Promise<Float32Array<ArrayBuffer>> {
  const inUse = engine.memory.live;
  engine.device.pushErrorScope('out-of-memory');
  const staging = engine.createBuffer(`read ${tensor.label}`, elements * 4, 0x01 | 0x08); // MAP_READ | COPY_DST
  const scope = engine.device.popErrorScope();
  try {
    // A copy into a buffer that does not exist would be an error of its own; small ones are not worth the wait.
    const full = elements >= WORTH_A_WAIT ? await scope : null;
    if (full) throw new EtudeError(outOfMemory({ purpose: `a copy of ${tensor.label}`, needed: elements * 4, inUse, fits: null }), { cause: full });
    const encoder = engine.device.createCommandEncoder({ label: `read ${tensor.label}` });
    encoder.copyBufferToBuffer(tensor.buffer, tensor.offset + startElement * 4, staging, 0, elements * 4);
    engine.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(0x01);
    const copy = new Float32Array(staging.getMappedRange().slice(0, elements * 4));
    staging.unmap();
    return copy;
  } finally {
    engine.destroyBuffer(staging);
  }
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

/**
 * Rows of each part of a [rows, cols] weight whose bindings hold `maxBinding` bytes. Parts start at a whole u32, and quantised ones at a whole block.
 */
export function partRows(dtype: StorageType, rows: number, cols: number, maxBinding: number): number {
  if (storedBytes(dtype, rows * cols) <= maxBinding) return rows;
  const [fit, step] = isQuantised(dtype)
    ? [Math.floor((Math.floor(maxBinding / (4 * BLOCK_WORDS[dtype])) * BLOCK) / cols), BLOCK / greatestCommonDivisor(BLOCK, cols)]
    : [Math.floor(maxBinding / (cols * BYTES[dtype])), 2];
  const whole = fit - (fit % step);
  if (whole === 0) throw new Error(`a binding of ${maxBinding} bytes does not hold ${step} rows of ${cols} elements in ${dtype}`);
  return whole;
}

/** Allocates the parts of a [rows, cols] weight. */
export function createWeight(engine: Engine, label: string, dtype: StorageType, rows: number, cols: number): Weight {
  const rowsPerPart = partRows(dtype, rows, cols, engine.maxBinding);
  const parts: Weight['parts'] = [];
  for (let rowStart = 0; rowStart < rows; rowStart += rowsPerPart) {
    const n = Math.min(rowsPerPart, rows - rowStart);
    const byteLength = Math.ceil(storedBytes(dtype, n * cols) / 4) * 4;
    const partLabel = rows > rowsPerPart ? `${label} rows ${rowStart}..` : label;
    parts.push({
      rowStart,
      rows: n,
      tensor: { label: partLabel, buffer: engine.createBuffer(partLabel, byteLength, STORAGE), offset: 0, byteLength },
    });
  }
  return { label, dtype, rows, cols, parts };
}

/**
 * One weight of several matrices with as many columns, one below the other, and a view of each; null where a matrix would not begin at a
 * multiple of 256 bytes and a whole block, or all of them do not fit one binding.
 */
export function joinedWeight(engine: Engine, label: string, dtype: StorageType, matrices: readonly { label: string; rows: number }[], cols: number): { whole: Weight; views: Weight[] } | null {
  const rows = matrices.reduce((sum, m) => sum + m.rows, 0);
  const inPlace = matrices.every((m) => storedBytes(dtype, m.rows * cols) % 256 === 0 && (!isQuantised(dtype) || (m.rows * cols) % BLOCK === 0));
  if (!inPlace || storedBytes(dtype, rows * cols) > engine.maxBinding) return null;
  const whole = createWeight(engine, label, dtype, rows, cols);
  const { buffer } = whole.parts[0]!.tensor;
  let offset = 0;
  const views = matrices.map((m): Weight => {
    const byteLength = storedBytes(dtype, m.rows * cols);
    const tensor = { label: m.label, buffer, offset, byteLength };
    offset += byteLength;
    return { label: m.label, dtype, rows: m.rows, cols, parts: [{ tensor, rowStart: 0, rows: m.rows }] };
  });
  return { whole, views };
}

/**
 * Writes a run of stored bytes (blocks, where quantised) into a weight.
 * @param byteStart offset from the start of the whole row-major matrix in this storage type; a multiple of 4
 */
export function writeWeightBytes(engine: Engine, weight: Weight, byteStart: number, bytes: Uint8Array<ArrayBuffer>): void {
  for (const part of weight.parts) {
    const partStart = storedBytes(weight.dtype, part.rowStart * weight.cols);
    const partEnd = partStart + storedBytes(weight.dtype, part.rows * weight.cols);
    const from = Math.max(byteStart, partStart);
    const to = Math.min(byteStart + bytes.byteLength, partEnd);
    if (from >= to) continue;
    const slice = bytes.subarray(from - byteStart, to - byteStart);
    const whole = slice.byteLength & ~3;
    if (whole > 0) engine.device.queue.writeBuffer(part.tensor.buffer, part.tensor.offset + from - partStart, slice, 0, whole);
    if (whole < slice.byteLength) {
      // writeBuffer takes multiples of 4 bytes; an odd tail (the very end of a packed tensor) is padded with zeros.
      const tail = new Uint8Array(4);
      tail.set(slice.subarray(whole));
      engine.device.queue.writeBuffer(part.tensor.buffer, part.tensor.offset + from - partStart + whole, tail);
    }
  }
}

export const destroyTensor = (engine: Engine, tensor: Tensor): void => engine.destroyBuffer(tensor.buffer);
export const destroyWeight = (engine: Engine, weight: Weight): void => {
  for (const part of weight.parts) engine.destroyBuffer(part.tensor.buffer);
};
