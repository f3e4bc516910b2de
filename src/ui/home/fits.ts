/** Whether a model goes into this device, as far as a browser tells. Pure. */
import { formatBytes } from '../format.ts';

/** Training takes more than the weights: activations of short rows, logits, the adapter. */
const BESIDE_WEIGHTS = 1.3;
/** NF4 blocks with their scales; embeddings stay in 8 bits, which small models feel. */
const FOUR_BIT_SHARE = 0.4;

export type Fit = { word: 'fits' | 'fits in 4-bit' | 'may not fit'; why: string };

/** @param training bytes at batch 1 x 512 where they were planned, else null; `limit` bytes, null while unknown */
export function fitOf(weights: number, training: number | null, limit: number | null): Fit | null {
  if (limit === null) return null;
  const needed = training ?? weights * BESIDE_WEIGHTS;
  const said = `${training === null ? 'About ' : ''}${formatBytes(needed)} to train on short rows; ${formatBytes(limit)} are taken to be there.`;
  if (needed <= limit) return { word: 'fits', why: said };
  const quantised = needed - weights * (1 - FOUR_BIT_SHARE);
  if (quantised <= limit) return { word: 'fits in 4-bit', why: `${said} In 4-bit about ${formatBytes(quantised)}.` };
  return { word: 'may not fit', why: `${said} Browsers do not tell how much there is, so it may work all the same.` };
}
