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
      const question = squeeze(asked.content);
      const given = squeeze(answer.content);
      if (question !== '' && given === question) return 'the answer is the prompt';
      if (question.length >= SHORTEST && given.startsWith(question)) return 'the answer begins with the whole prompt';
    }
    return null;
  },
};
