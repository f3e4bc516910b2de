/** Owns the numbers behind the report's charts: lengths of prompts and answers, the trained share, groups of rows that repeat each other. */
import type { NearDuplicateResult } from './detectors/nearDuplicates.ts';
import type { DataReport } from './types.ts';

/** Bars of the trained share: tenths of a row's tokens. */
const SHARES = 10;
const LARGEST = 5;
const ROWS_OF_GROUP = 100;

export class RowShapes {
  readonly #answers: Int32Array;
  readonly #shares = Array.from({ length: SHARES }, () => 0);

  constructor(rows: number) {
    this.#answers = new Int32Array(rows);
  }

  /** @param answer trained tokens before the row was cut @param kept tokens after, `trained` of which are trained */
  see(row: number, answer: number, kept: number, trained: number): void {
    this.#answers[row] = answer;
    if (trained > 0) this.#shares[Math.min(SHARES - 1, Math.floor((SHARES * trained) / kept))]!++;
  }

  /** @param fullLengths tokens of each row before it was cut; 0 for rows that were not encoded */
  end(fullLengths: Int32Array, clusters: DataReport['charts']['clusters']): DataReport['charts'] {
    const answers = this.#answers;
    const prompts = fullLengths.map((length, row) => length - answers[row]!);
    return { prompts: histogram(prompts, fullLengths), answers: histogram(answers, fullLengths), shares: this.#shares, clusters };
  }
}

/** About 20 to 40 buckets of a round width, of the rows that `of` has a length for. */
export function histogram(lengths: Int32Array, of: Int32Array = lengths): DataReport['histogram'] {
  const longest = lengths.reduce((max, length) => Math.max(max, length), 0);
  let width = 1;
  while (longest / width >= 40) width *= 2;
  const counts = Array.from({ length: Math.floor(longest / width) + 1 }, () => 0);
  lengths.forEach((length, row) => {
    if (of[row]! > 0) counts[Math.floor(length / width)]!++;
  });
  return { width, counts };
}

/**
 * Groups of rows with the same or nearly the same content. @param hashes of contents, 0 for rows without @param copies rows that
 * repeat an earlier one exactly; they are not in `near`
 */
export function clustersOf(hashes: Float64Array, copies: Int32Array, near: NearDuplicateResult | null): DataReport['charts']['clusters'] {
  const repeated = new Set(Array.from(copies, (row) => hashes[row]!));
  const firstWith = new Map<number, number>();
  hashes.forEach((hash, row) => {
    if (repeated.has(hash) && !firstWith.has(hash)) firstWith.set(hash, row);
  });
  const nearFirst = new Map(Array.from(near?.rows ?? [], (row, i) => [row, near!.firstOf[i]!]));
  const groups = new Map<number, number[]>();
  const join = (row: number, first: number): void => {
    const group = groups.get(first) ?? [first];
    group.push(row);
    groups.set(first, group);
  };
  for (const [row, first] of nearFirst) join(row, first);
  for (const row of copies) {
    const first = firstWith.get(hashes[row]!)!;
    join(row, nearFirst.get(first) ?? first);
  }
  const sizes = new Map<number, number>();
  for (const { length } of groups.values()) sizes.set(length, (sizes.get(length) ?? 0) + 1);
  const largest = [...groups.values()].sort((a, b) => b.length - a.length || a[0]! - b[0]!).slice(0, LARGEST);
  return {
    sizes: [...sizes].sort((a, b) => a[0] - b[0]),
    largest: largest.map((rows) => ({ size: rows.length, rows: rows.sort((a, b) => a - b).slice(0, ROWS_OF_GROUP) })),
  };
}
