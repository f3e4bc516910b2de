/**
 * Owns the choice of the next token from its logits: temperature, then top-k, then top-p, as transformers orders them.
 * A vocabulary has 150,000 entries and a choice looks at a few: they are taken off a heap, best first, never sorted.
 */
import { uniformStream } from './lora.ts';

export interface Sampling {
  /** 0 is greedy. */
  temperature: number;
  /** 0 is off. */
  topK: number;
  /** 1 is off. */
  topP: number;
  seed: number;
}

export const GREEDY: Sampling = { temperature: 0, topK: 0, topP: 1, seed: 0 };

/** Picks a token: the first largest when greedy; else by the seed's random numbers, one a token. */
export function sampler(s: Sampling): (logits: Float32Array) => number {
  const random = uniformStream(s.seed);
  return (logits) => {
    let best = 0;
    for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
    if (s.temperature <= 0) return best;
    const max = logits[best]!;
    const weightOf = (id: number): number => Math.exp((logits[id]! - max) / s.temperature);
    const next = bestFirst(logits);
    const most = s.topK > 0 ? Math.min(s.topK, logits.length) : logits.length;
    const ids: number[] = [];
    const weights: number[] = [];
    const take = (): number => {
      ids.push(next());
      weights.push(weightOf(ids.at(-1)!));
      return weights.at(-1)!;
    };
    let total = 0;
    if (s.topK > 0) while (ids.length < most) total += take();
    else for (let i = 0; i < logits.length; i++) total += weightOf(i);
    let kept = most;
    let mass = total;
    if (s.topP < 1) {
      mass = 0;
      for (kept = 0; kept < most && mass < s.topP * total; kept++) mass += weights[kept] ?? take();
    }
    let u = random() * mass;
    for (let i = 0; i < kept; i++) {
      u -= weights[i] ?? take();
      if (u <= 0) return ids[i]!;
    }
    return ids[kept - 1]!;
  };
}

/** Ids from the largest logit downwards, the smaller id first among equals: a heap, built in one pass. */
function bestFirst(logits: Float32Array): () => number {
  const heap = Int32Array.from(logits, (_, i) => i);
  let size = heap.length;
  const before = (a: number, b: number): boolean => {
    const difference = logits[a]! - logits[b]!;
    return difference > 0 || (difference === 0 && a < b);
  };
  const sink = (from: number): void => {
    const id = heap[from]!;
    let at = from;
    for (let child = 2 * at + 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, id)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = id;
  };
  for (let i = (size >> 1) - 1; i >= 0; i--) sink(i);
  return () => {
    const id = heap[0]!;
    heap[0] = heap[--size]!;
    sink(0);
    return id;
  };
}
