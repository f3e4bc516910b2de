// Weights quantised in blocks of 64 elements of the row-major matrix (src/engine/quantise.ts writes them). A block is a word of scales, then its codes:
//   int8  the scale as f32, codes -127..127, four in a word:                     value = code * scale
//   nf4   two scales as bf16, one for each half of the block, codes 0..15, eight in a word:   value = NF4[code] * scale
// Blocks run on over row ends: an element is found by its flat index, as in packed.wgsl. The kernel declares `weight: array<u32>`.
const BLOCK_WORDS: u32 = select(17u, 9u, WEIGHT_TYPE == 4u);

// The 16 levels of NF4, one a component: the quantiles of a normal distribution, 0 among them (Dettmers et al. 2023, appendix E).
fn nf4_levels(code: vec4<u32>) -> vec4<f32> {
  let b0 = (code & vec4<u32>(1u)) != vec4<u32>();
  let b1 = (code & vec4<u32>(2u)) != vec4<u32>();
  let b2 = (code & vec4<u32>(4u)) != vec4<u32>();
  let b3 = (code & vec4<u32>(8u)) != vec4<u32>();
  let low0 = select(vec4<f32>(-1.0), vec4<f32>(-0.6961928009986877), b0);
  let low1 = select(vec4<f32>(-0.5250730514526367), vec4<f32>(-0.39491748809814453), b0);
  let low2 = select(vec4<f32>(-0.28444138169288635), vec4<f32>(-0.18477343022823334), b0);
  let low3 = select(vec4<f32>(-0.09105003625154495), vec4<f32>(0.0), b0);
  let high0 = select(vec4<f32>(0.07958029955625534), vec4<f32>(0.16093020141124725), b0);
  let high1 = select(vec4<f32>(0.24611230194568634), vec4<f32>(0.33791524171829224), b0);
  let high2 = select(vec4<f32>(0.44070982933044434), vec4<f32>(0.5626170039176941), b0);
  let high3 = select(vec4<f32>(0.7229568362236023), vec4<f32>(1.0), b0);
  let low = select(select(low0, low1, b1), select(low2, low3, b1), b2);
  let high = select(select(high0, high1, b1), select(high2, high3, b1), b2);
  return select(low, high, b3);
}

// Four elements from e as they are stored, e a multiple of 4: never of two blocks or halves. The word of scales, that of the codes, and where in the block
// they are. Beyond the end, where tiles run on and count nothing, the last block repeats: a code taken for a scale could be infinite.
fn quantised_raw(e: u32) -> vec4<u32> {
  let block = min(e / 64u, arrayLength(&weight) / BLOCK_WORDS - 1u) * BLOCK_WORDS;
  let at = e % 64u;
  return vec4<u32>(weight[block], weight[block + 1u + at / select(4u, 8u, WEIGHT_TYPE == 4u)], at, 0u);
}

fn dequantised(raw: vec4<u32>) -> vec4<f32> {
  let scales = raw.x;
  let at = raw.z;
  if (WEIGHT_TYPE == 4u) {
    let scale = bitcast<f32>(select(scales << 16u, scales & 0xffff0000u, at >= 32u));
    let codes = raw.y >> (at % 8u * 4u);
    return nf4_levels((vec4<u32>(codes) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u)) * scale;
  }
  return vec4<f32>(vec4<i32>(vec4<u32>(raw.y) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u)) * bitcast<f32>(scales);
}

fn quantised4(e: u32) -> vec4<f32> { return dequantised(quantised_raw(e)); }

fn weight_at(e: u32) -> f32 { return quantised4(e & 0xfffffffcu)[e % 4u]; }
