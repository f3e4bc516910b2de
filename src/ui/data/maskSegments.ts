/** The ruler of a row: runs of tokens of one kind. Pure. */
import type { InspectedRow, InspectedToken } from '../../stores/types.ts';

export type SegmentKind = 'trained' | 'ignored' | 'special' | 'cut';

export interface Segment { kind: SegmentKind; from: number; length: number }

/** Trained wins over special: what learns is what the ruler is for. */
export const kindOf = (token: InspectedToken): SegmentKind =>
  token.cut ? 'cut' : token.trained ? 'trained' : token.special ? 'special' : 'ignored';

export function segments(row: Pick<InspectedRow, 'turns'>): Segment[] {
  const out: Segment[] = [];
  let at = 0;
  for (const turn of row.turns) {
    for (const token of turn.tokens) {
      const kind = kindOf(token);
      const last = out.at(-1);
      if (last?.kind === kind) last.length++;
      else out.push({ kind, from: at, length: 1 });
      at++;
    }
  }
  return out;
}

/** A tick every 5 tokens and a label every 20; further apart on long rows, so that labels never touch. */
export function rulerSteps(total: number): { tick: number; label: number } {
  let label = 20;
  for (const factor of [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000]) {
    label = 20 * factor;
    if (total / label <= 8) break;
  }
  return { tick: label / 4, label };
}
