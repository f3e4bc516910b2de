/** Owns the choice of held-out rows: by groups of equal prompts, so that nothing held out was asked in training. */
import { draw, hashText, STREAMS } from './random.ts';
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

/** Holds out about `share` of `rows` (indices into `promptHashes`). Deterministic in the seed, whatever the order of the rows. */
export function splitByPrompt(rows: Int32Array, promptHashes: Float64Array, share: number, seed: number): Split {
  if (share <= 0 || rows.length < 2) return { train: rows.slice(), heldOut: new Int32Array() };
  const groups = new Map<number, number>();
  for (const row of rows) groups.set(promptHashes[row]!, (groups.get(promptHashes[row]!) ?? 0) + 1);
  const drawn = [...groups].map(([hash, size]) => ({ hash, size, at: draw(seed, STREAMS.split, hash % 2 ** 32 ^ Math.floor(hash / 2 ** 32)) }));
  drawn.sort((a, b) => a.at - b.at || a.hash - b.hash);
  const wanted = Math.max(1, Math.round(share * rows.length));
  const held = new Set<number>();
  let count = 0;
  for (const { hash, size } of drawn) {
    if (count + size > wanted) continue;
    held.add(hash);
    count += size;
  }
  const isHeld = (row: number) => held.has(promptHashes[row]!);
  return { train: rows.filter((row) => !isHeld(row)), heldOut: rows.filter(isHeld) };
}
