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

/**
 * Code of the level nearest to the middle of each bin of 1/2048 of the scale. bf16 scales may lie below the largest magnitude by 1/256, so the bins
 * reach to 1 + 1/128 on both sides.
 */
const PER_SCALE = 2048;
const EDGE = PER_SCALE + PER_SCALE / 128;
const CODE_OF_BIN = Uint8Array.from({ length: 2 * EDGE + 1 }, (_, bin) => {
  const x = (bin + 0.5 - EDGE) / PER_SCALE;
  return NF4_LEVELS.findLastIndex((level, i) => i === 0 || x > (NF4_LEVELS[i - 1]! + level) / 2);
});

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
  const whole = Math.floor(values.length / BLOCK);
  const block = dtype === 'int8' ? int8Block : nf4Block;
  for (let b = 0; b < whole; b++) block(values, b * BLOCK, out, b * words);
  if (whole < blocks) {
    const last = new Float32Array(BLOCK);
    last.set(values.subarray(whole * BLOCK));
    block(last, 0, out, whole * words);
  }
  return out.subarray(0, blocks * words) as Uint32Array<ArrayBuffer>;
}

function largest(values: Float32Array, start: number, count: number): number {
  let most = 0;
  for (let i = start; i < start + count; i++) {
    const magnitude = Math.abs(values[i]!);
    if (magnitude > most) most = magnitude;
  }
  return most;
}

function int8Block(values: Float32Array, start: number, out: Uint32Array, at: number): void {
  float[0] = largest(values, start, BLOCK) / 127;
  const scale = float[0]!;
  out[at] = word[0]!;
  const inverse = scale > 0 ? 1 / scale : 0;
  for (let w = 0; w < 16; w++) {
    const i = start + 4 * w;
    // f32 scales of subnormal blocks are coarse: codes are kept within a byte.
    const a = Math.min(255, Math.max(1, (values[i]! * inverse + 128.5) | 0));
    const b = Math.min(255, Math.max(1, (values[i + 1]! * inverse + 128.5) | 0));
    const c = Math.min(255, Math.max(1, (values[i + 2]! * inverse + 128.5) | 0));
    const d = Math.min(255, Math.max(1, (values[i + 3]! * inverse + 128.5) | 0));
    // A byte code + 128 becomes the two's complement of code by its top bit.
    out[at + 1 + w] = (a | (b << 8) | (c << 16) | (d << 24)) ^ 0x80808080;
  }
}

function nf4Block(values: Float32Array, start: number, out: Uint32Array, at: number): void {
  let scales = 0;
  for (let half = 0; half < 2; half++) {
    const from = start + 32 * half;
    const bits = bf16Bits(largest(values, from, 32));
    const scale = widen(bits);
    const inverse = scale > 0 ? PER_SCALE / scale : 0;
    scales |= bits << (16 * half);
    for (let w = 0; w < 4; w++) {
      let packed = 0;
      for (let j = 0; j < 8; j++) packed |= CODE_OF_BIN[(values[from + 8 * w + j]! * inverse + EDGE) | 0]! << (4 * j);
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
