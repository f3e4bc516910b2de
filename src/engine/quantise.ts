/**
 * Owns the two quantised storage types: how f32 values become blocks of codes, and back. The kernels read the same blocks
 * (shaders/lib/quantised.wgsl). Refuses to know where values come from.
 *
 * A block is 64 elements of the row-major matrix: a word of scales, then the codes, the first element in the lowest bits.
 *   int8  scale f32 = largest magnitude / 127, codes -127..127           8.5 bits an element
 *   nf4   a bf16 scale for each 32 elements = largest magnitude, codes   4.5 bits an element
 *         of the 16 levels of NF4 (Dettmers et al. 2023, appendix E)
 * docs/quantisation.md has the errors that these were chosen by.
 */
export type QuantisedType = 'int8' | 'nf4';

/** Elements of a block. */
export const BLOCK = 64;
/** Words of a block. */
export const BLOCK_WORDS: Record<QuantisedType, number> = { int8: 17, nf4: 9 };

export const NF4_LEVELS = Float32Array.of(
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
);

/** Bins of [-1, 1] fine enough that none holds two of the borders between levels. */
const BINS = 64;
const LOW_CODE = new Uint8Array(BINS + 1);
const BORDER = new Float64Array(BINS + 1);
for (let bin = 0; bin <= BINS; bin++) {
  const borders = Array.from({ length: 15 }, (_, i) => (NF4_LEVELS[i]! + NF4_LEVELS[i + 1]!) / 2);
  const start = -1 + (2 * bin) / BINS;
  const low = borders.filter((b) => b < start).length;
  LOW_CODE[bin] = low;
  BORDER[bin] = borders[low] ?? Infinity;
}

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** Bits of the nearest bf16; never infinite for a finite value. */
function bf16Bits(value: number): number {
  float[0] = value;
  const bits = word[0]!;
  return Math.min(0x7f7f, (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
}

const widen = (bf16: number): number => {
  word[0] = bf16 << 16;
  return float[0]!;
};

export const quantisedBytes = (dtype: QuantisedType, elements: number): number => Math.ceil(elements / BLOCK) * BLOCK_WORDS[dtype] * 4;

/**
 * Blocks of finite values. A last block that is not full ends in zeros.
 * @param out at least quantisedBytes / 4 words; returned, cut to what was written
 */
export function quantise(values: Float32Array, dtype: QuantisedType, out = new Uint32Array(quantisedBytes(dtype, values.length) / 4)): Uint32Array<ArrayBuffer> {
  const words = BLOCK_WORDS[dtype];
  const blocks = Math.ceil(values.length / BLOCK);
  for (let b = 0; b < blocks; b++) {
    const start = b * BLOCK;
    const end = Math.min(values.length, start + BLOCK);
    if (dtype === 'int8') int8Block(values, start, end, out, b * words);
    else nf4Block(values, start, end, out, b * words);
  }
  return out.subarray(0, blocks * words) as Uint32Array<ArrayBuffer>;
}

function largest(values: Float32Array, start: number, end: number): number {
  let most = 0;
  for (let i = start; i < end; i++) {
    const magnitude = Math.abs(values[i]!);
    if (magnitude > most) most = magnitude;
  }
  return most;
}

function int8Block(values: Float32Array, start: number, end: number, out: Uint32Array, at: number): void {
  float[0] = largest(values, start, end) / 127;
  const scale = float[0]!;
  out[at] = word[0]!;
  const inverse = scale > 0 ? 1 / scale : 0;
  for (let w = 0; w < 16; w++) {
    let packed = 0;
    const first = start + 4 * w;
    for (let j = 0; j < 4 && first + j < end; j++) {
      // Half way rounds to even on neither side: the same for a value and its negative.
      const scaled = values[first + j]! * inverse;
      const code = scaled < 0 ? -Math.min(127, Math.floor(0.5 - scaled)) : Math.min(127, Math.floor(scaled + 0.5));
      packed |= (code & 0xff) << (8 * j);
    }
    out[at + 1 + w] = packed;
  }
}

function nf4Block(values: Float32Array, start: number, end: number, out: Uint32Array, at: number): void {
  let scales = 0;
  for (let half = 0; half < 2; half++) {
    const from = Math.min(end, start + 32 * half);
    const bits = bf16Bits(largest(values, from, Math.min(end, from + 32)));
    const scale = widen(bits);
    const inverse = scale > 0 ? 1 / scale : 0;
    scales |= bits << (16 * half);
    for (let w = 0; w < 4; w++) {
      let packed = 0;
      for (let j = 0; j < 8; j++) {
        const i = from + 8 * w + j;
        // The rounded scale may lie below the largest magnitude.
        const x = i < end ? Math.max(-1, Math.min(1, values[i]! * inverse)) : 0;
        const bin = ((x + 1) * (BINS / 2)) | 0;
        packed |= (LOW_CODE[bin]! + (x > BORDER[bin]! ? 1 : 0)) << (4 * j);
      }
      out[at + 1 + 4 * half + w] = packed;
    }
  }
  out[at] = scales;
}

/** The values that kernels compute with, each rounded to f32 as they do. */
export function dequantise(blocks: Uint32Array, dtype: QuantisedType, elements: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(elements);
  const words = BLOCK_WORDS[dtype];
  for (let i = 0; i < elements; i++) {
    const at = Math.floor(i / BLOCK) * words;
    const j = i % BLOCK;
    if (dtype === 'int8') {
      word[0] = blocks[at]!;
      values[i] = ((blocks[at + 1 + (j >> 2)]! << (24 - 8 * (j & 3))) >> 24) * float[0]!;
    } else {
      const scale = widen((blocks[at]! >>> (j < 32 ? 0 : 16)) & 0xffff);
      values[i] = NF4_LEVELS[(blocks[at + 1 + (j >> 3)]! >>> (4 * (j & 7))) & 15]! * scale;
    }
  }
  return values;
}
