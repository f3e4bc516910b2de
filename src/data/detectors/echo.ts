/** Owns answers that repeat their prompt: the answer begins with the whole question, or is nothing else. */
import type { RowLook } from './rowLook.ts';
import { squeeze } from './words.ts';

/** A shorter question is repeated by good answers too ("Paris" -> "Paris is …"). */
const SHORTEST = 40;

export const echo: RowLook = {
  kind: 'echo',
  look(messages) {
    for (const [i, answer] of messages.entries()) {
      const asked = messages[i - 1];
      if (answer.role !== 'assistant' || asked?.role !== 'user') continue;
      if (beginOtherwise(asked.content, answer.content)) continue;
      const question = squeeze(asked.content);
      const given = squeeze(answer.content);
      if (question !== '' && given === question) return 'the answer is the prompt';
      if (question.length >= SHORTEST && given.startsWith(question)) return 'the answer begins with the whole prompt';
    }
    return null;
  },
};

/** The first characters are different letters of ASCII: a cheap look that spares most rows the comparison. */
function beginOtherwise(one: string, other: string): boolean {
  const [a, b] = [one.charCodeAt(0), other.charCodeAt(0)];
  const isPlain = (unit: number): boolean => unit > 0x20 && unit < 0x7f;
  return isPlain(a) && isPlain(b) && (a | 0x20) !== (b | 0x20);
}
