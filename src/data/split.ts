/** Owns the choice of held-out rows: by groups of equal prompts, so that nothing held out was asked in training. */
import { draw, hashText, STREAMS } from './random.ts';
import { sortRows } from './table/sortRows.ts';
import type { Message } from './types.ts';

export interface Split {
  /** Row indices in file order. */
  train: Int32Array;
  heldOut: Int32Array;
}

/** What makes two prompts the same: everything before the last answer, without case, accents' spelling and spacing. */
export function promptHash(messages: readonly Message[]): number {
  const [only] = messages;
  // Plain text asks nothing: it is told apart by itself.
  if (only?.plain) return hashText(only.content);
  const lastAnswer = messages.findLastIndex((message) => message.role === 'assistant');
  const prompt = messages.slice(0, lastAnswer < 0 ? messages.length : lastAnswer);
  const normalise = (text: string) => text.normalize('NFKC').toLowerCase().replaceAll(/\s+/g, ' ').trim();
  return hashText(prompt.map(({ role, content }) => `${role}\u0000${normalise(content)}`).join('\u0001'));
}

/** Holds out about `share` of `rows` (indices into `promptHashes`). Deterministic in the seed, whatever the order of the rows. About 33 bytes a row, let go at the end. */
export function splitByPrompt(rows: Int32Array, promptHashes: Float64Array, share: number, seed: number): Split {
  if (share <= 0 || rows.length < 2) return { train: rows.slice(), heldOut: new Int32Array() };
  const { hashes, sizes } = groupsByHash(rows, promptHashes);
  const order = new Int32Array(hashes.length);
  const drawn = new Uint32Array(hashes.length);
  for (let group = 0; group < hashes.length; group++) {
    const hash = hashes[group]!;
    order[group] = group;
    drawn[group] = draw(seed, STREAMS.split, hash % 2 ** 32 ^ Math.floor(hash / 2 ** 32));
  }
  const wanted = Math.max(1, Math.round(share * rows.length));
  const held = new Uint8Array(hashes.length);
  let count = 0;
  // Groups that draw the same number stay in the order of their hashes.
  for (const group of sortRows(order, drawn, false)) {
    if (count + sizes[group]! > wanted) continue;
    held[group] = 1;
    count += sizes[group]!;
  }
  const isHeld = new Uint8Array(rows.length);
  for (let i = 0; i < rows.length; i++) isHeld[i] = held[placeOf(hashes, promptHashes[rows[i]!]!)]!;
  return { train: rows.filter((_, i) => isHeld[i] === 0), heldOut: rows.filter((_, i) => isHeld[i] === 1) };
}

/** Every hash once, ascending, and how many rows have it. */
function groupsByHash(rows: Int32Array, promptHashes: Float64Array): { hashes: Float64Array; sizes: Int32Array } {
  const all = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) all[i] = promptHashes[rows[i]!]!;
  all.sort();
  const sizes = new Int32Array(all.length);
  let groups = 0;
  for (let i = 0; i < all.length; i++) {
    if (i === 0 || all[i] !== all[groups - 1]) all[groups++] = all[i]!;
    sizes[groups - 1]!++;
  }
  return { hashes: all.subarray(0, groups), sizes };
}

/** Where a number stands in an ascending list that has it. */
function placeOf(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
