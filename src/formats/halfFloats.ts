/**
 * Owns widening of the two 16-bit float types to f32, both exact, and the search for values that are not numbers.
 * Bytes are little-endian, as safetensors files and every machine a browser runs on.
 */

export type FloatDtype = 'F32' | 'BF16' | 'F16';

export const isFloatDtype = (dtype: string): dtype is FloatDtype => dtype === 'F32' || dtype === 'BF16' || dtype === 'F16';

/** `bytes` hold n values of `dtype` at any alignment; returns f32 of length n. */
export function widenToF32(bytes: Uint8Array, dtype: FloatDtype): Float32Array<ArrayBuffer> {
  if (dtype === 'F32') return new Float32Array(aligned(bytes, 4));
  const half = new Uint16Array(aligned(bytes, 2));
  const out = new Float32Array(half.length);
  if (dtype === 'BF16') {
    const bits = new Uint32Array(out.buffer);
    for (let i = 0; i < half.length; i++) bits[i] = half[i]! << 16;
  } else {
    for (let i = 0; i < half.length; i++) out[i] = f16ToNumber(half[i]!);
  }
  return out;
}

/** 2^(exponent - 25) for each exponent field. */
const POWERS = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (exponent - 25));

/** Sign, 5 exponent bits, 10 fraction bits. */
function f16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1024 + fraction) * POWERS[exponent]!;
}

/** Index of the first NaN or infinity, or -1. An all-ones exponent marks both in every IEEE type. */
export function firstNonFinite(bytes: Uint8Array, dtype: FloatDtype): number {
  if (dtype === 'F32') {
    const words = new Uint32Array(aligned(bytes, 4));
    for (let i = 0; i < words.length; i++) if ((words[i]! & 0x7f800000) === 0x7f800000) return i;
    return -1;
  }
  const mask = dtype === 'BF16' ? 0x7f80 : 0x7c00;
  const halves = new Uint16Array(aligned(bytes, 2));
  // Two at a time: only where all bits of an exponent are set does its lowest bit, added, reach the place of the sign.
  const [both, lowest] = [mask * 0x10001, (mask & -mask) * 0x10001];
  const pairs = new Uint32Array(halves.buffer, 0, halves.length >> 1);
  let clean = 0;
  while (clean < pairs.length && (((pairs[clean]! & both) + lowest) & 0x80008000) === 0) clean++;
  for (let i = 2 * clean; i < halves.length; i++) if ((halves[i]! & mask) === mask) return i;
  return -1;
}

/** The bytes as a buffer that starts on a multiple of `size`; copies only when they do not already fill one. */
function aligned(bytes: Uint8Array, size: number): ArrayBuffer {
  if (bytes.byteLength % size !== 0) throw new RangeError(`${bytes.byteLength} bytes are not a whole number of ${size}-byte values`);
  const whole = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return whole ? bytes.buffer as ArrayBuffer : new Uint8Array(bytes).buffer;
}
