/** What a detector that judges one row at a time is. */
import type { FindingKind, Message } from '../types.ts';

export interface RowLook {
  kind: FindingKind;
  /** What was found, in a few words to quote; null where the row is in order. */
  look: (messages: readonly Message[]) => string | null;
}
