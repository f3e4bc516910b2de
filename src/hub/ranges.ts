/** Owns which bytes of a file are there: ranges that are added, joined, and what is missing between them. Also their journal, a line each. */

export interface Range { start: number; end: number }

/** Sorted, apart from each other. */
export class RangeSet {
  #ranges: Range[] = [];

  get total(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** Bytes from 0 without a gap. */
  get prefix(): number {
    const [first] = this.#ranges;
    return first?.start === 0 ? first.end : 0;
  }

  add(start: number, end: number): void {
    if (end <= start) return;
    const apart = this.#ranges.filter((r) => r.end < start || r.start > end);
    const touching = this.#ranges.filter((r) => r.end >= start && r.start <= end);
    const joined = { start: Math.min(start, ...touching.map((r) => r.start)), end: Math.max(end, ...touching.map((r) => r.end)) };
    this.#ranges = [...apart, joined].sort((a, b) => a.start - b.start);
  }

  /** What is missing of a file of `size` bytes, in pieces of at most `longest`. */
  missing(size: number, longest: number): Range[] {
    const pieces: Range[] = [];
    let at = 0;
    for (const { start, end } of [...this.#ranges, { start: size, end: size }]) {
      for (; at < start; at = Math.min(start, at + longest)) pieces.push({ start: at, end: Math.min(start, at + longest) });
      at = Math.max(at, end);
    }
    return pieces;
  }
}

export const journalLine = ({ start, end }: Range): string => `${start} ${end}\n`;

/** Whole lines that make sense inside `size`; the last one may be torn by a crash. */
export function readJournal(text: string, size: number): RangeSet {
  const set = new RangeSet();
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    const match = /^(\d{1,15}) (\d{1,15})$/.exec(line);
    if (match && Number(match[2]) <= size) set.add(Number(match[1]), Number(match[2]));
  }
  return set;
}
