/** Whether rows can be changed just now. */
import { runIsLive, useRun } from '../../../stores/run.ts';

const WHILE_TRAINING = 'Rows stay as they are while training goes on.';

/** Why not, in words; null where they can. */
export const useLocked = (): string | null => (useRun(runIsLive) ? WHILE_TRAINING : null);
