/**
 * Owns what is known of an adapter's memory. WebGPU tells no total, so it is what a person set, what once failed, or a guess from the
 * largest buffer; and it is always said which.
 */
import { bytesInWords } from '../config/units.ts';

export interface MemoryBudget {
  bytes: number;
  basis: 'person' | 'failure' | 'largestBuffer';
  /** A sentence that says where the number comes from. */
  words: string;
}

export interface MemoryKnowledge {
  /** A person's own limit, bytes. */
  set: number | null;
  /** The least that did not fit so far, bytes in all. */
  failedAt: number | null;
}

const SHARE_OF_FAILED = 0.9;
/** Adapters' largest buffers are a quarter of their memory to nearly all of it; drivers cap them at 2 or 4 GiB. */
const LARGEST_BUFFERS = 2;
const LEAST = 2 * 2 ** 30;

export function memoryBudget({ set, failedAt }: MemoryKnowledge, maxBufferSize: number): MemoryBudget {
  if (set !== null) return { bytes: set, basis: 'person', words: `You set a limit of ${bytesInWords(set)}.` };
  const guess = Math.max(LEAST, LARGEST_BUFFERS * maxBufferSize);
  if (failedAt !== null && failedAt * SHARE_OF_FAILED < guess) {
    const bytes = Math.floor(failedAt * SHARE_OF_FAILED);
    return { bytes, basis: 'failure', words: `${bytesInWords(failedAt)} did not fit on this device, so nine tenths of that are taken as its limit.` };
  }
  return {
    bytes: guess, basis: 'largestBuffer',
    words: `Browsers do not tell how much memory an adapter has. ${bytesInWords(guess)} are assumed until something fails: ${
      guess > LEAST ? `twice its largest buffer, ${bytesInWords(maxBufferSize)}` : 'few devices that run WebGPU have less'}.`,
  };
}

/** What is known after an allocation failed that would have made `bytes` in all. */
export const afterFailure = (known: MemoryKnowledge, bytes: number): MemoryKnowledge => ({ ...known, failedAt: Math.min(known.failedAt ?? Infinity, bytes) });
