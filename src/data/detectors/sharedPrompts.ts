/**
 * Owns rows that ask what an earlier row asks and answer it otherwise: divided between training and validation they would be asked in
 * both. Exact copies and near duplicates have findings of their own. Refuses to know how rows are divided.
 */
import { promptHash } from '../split.ts';

/** A row without a question shares nothing. */
const NO_QUESTION = new Set([0, promptHash([]), promptHash([{ role: 'user', content: '' }])]);

/**
 * @param promptHashes of each row, 0 for one that has none
 * @param told rows that repeat an earlier one exactly or nearly
 */
export function sharedPrompts(promptHashes: Float64Array, told: ReadonlySet<number>): Int32Array {
  const seen = new Set<number>();
  return Int32Array.from(promptHashes.keys()).filter((row) => {
    const hash = promptHashes[row]!;
    if (told.has(row) || NO_QUESTION.has(hash)) return false;
    if (seen.has(hash)) return true;
    seen.add(hash);
    return false;
  });
}
