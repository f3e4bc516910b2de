/** Owns white space at the ends of answers, which most templates train as it is. */
import type { RowLook } from './rowLook.ts';

export const edgeSpace: RowLook = {
  kind: 'edge-space',
  look(messages) {
    const answer = messages.find(({ role, content, plain }) => role === 'assistant' && !plain && content.trim() !== '' && content.trim() !== content);
    return answer ? 'white space' : null;
  },
};
