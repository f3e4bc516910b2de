/**
 * Owns the choice of held-out rows by hand: groups of rows on one side, as near to the wanted share as whole groups allow,
 * the same for the same seed. What was chosen is kept as a rule, so that a row that is edited or added later falls on the
 * side of its group. Refuses to know how rows are trained.
 */
import { draw, STREAMS } from '../random.ts';
import type { SplitChoice, SplitSummary } from './types.ts';

export interface StoredSplit {
  choice: SplitChoice;
  madeAt: number;
  /** Groups drawn up to here are held out, */
  upTo: { at: number; group: number } | null;
  /** but for these, which were too large for what was left of the share. */
  except: Float64Array;
  /** Rows it was made for, a bit each: 1 is held out. */
  held: Uint8Array;
  /** Rows that were written by hand then. */
  written: Int32Array;
  summary: SplitSummary;
}

const drawOf = (seed: number, group: number): number => draw(seed, STREAMS.split, (group % 2 ** 32) ^ Math.floor(group / 2 ** 32));

/** The group of a row that shares none. */
export const ownGroup = (row: number): number => Number.MAX_SAFE_INTEGER - row;

/**
 * @param groups of each row in [0, groups.length): equal numbers are one group; 0 stands for a row that is a group by itself
 * @param rows those to divide, in order
 */
export function makeSplit(choice: SplitChoice, groups: Float64Array, rows: Int32Array, at: { madeAt: number; written: readonly number[] }): StoredSplit {
  const groupOf = (row: number): number => groups[row]! || ownGroup(row);
  const sizes = new Map<number, number>();
  for (const row of rows) sizes.set(groupOf(row), (sizes.get(groupOf(row)) ?? 0) + 1);
  const drawn = [...sizes.keys()].map((group) => ({ group, at: drawOf(choice.seed, group) }));
  drawn.sort((a, b) => a.at - b.at || a.group - b.group);
  const wanted = rows.length < 2 ? 0 : Math.min(rows.length - 1, Math.max(1, Math.round(choice.ratio * rows.length)));
  const except: number[] = [];
  let heldOut = 0;
  let upTo: StoredSplit['upTo'] = null;
  for (const { group, at } of drawn) {
    if (heldOut === wanted) break;
    const size = sizes.get(group)!;
    if (heldOut + size > wanted) {
      except.push(group);
    } else {
      heldOut += size;
      upTo = { at, group };
    }
  }
  // Groups beyond the last that is held out need no exception.
  const beyond = ({ at, group }: NonNullable<typeof upTo>, other: number): boolean => isAfter(choice.seed, other, at, group);
  const split: StoredSplit = {
    choice, madeAt: at.madeAt, written: Int32Array.from(at.written), upTo, except: Float64Array.from(upTo ? except.filter((group) => !beyond(upTo, group)) : []), held: new Uint8Array(Math.ceil(groups.length / 8)),
    summary: { ...choice, train: rows.length - heldOut, heldOut, groups: sizes.size },
  };
  const rule = heldRule(split);
  for (const row of rows) if (rule(groupOf(row))) split.held[row >> 3]! |= 1 << (row & 7);
  return split;
}

function isAfter(seed: number, group: number, at: number, last: number): boolean {
  const its = drawOf(seed, group);
  return its > at || (its === at && group > last);
}

/** Whether a group is held out. */
export function heldRule({ choice: { seed }, upTo, except }: StoredSplit): (group: number) => boolean {
  const excepted = new Set(except);
  return (group) => upTo !== null && !excepted.has(group) && !isAfter(seed, group, upTo.at, upTo.group);
}

/** Whether a row the split was made for is held out. */
export const wasHeld = ({ held }: StoredSplit, row: number): boolean => (held[row >> 3]! >> (row & 7)) % 2 === 1;
