/** Owns the order of turns: system first, then question and answer in turn, an answer last; tools speak between answers. */
import type { RowLook } from './rowLook.ts';

export const alternation: RowLook = {
  kind: 'broken-alternation',
  look(messages) {
    if (messages[0]?.plain) return null;
    let before: string | null = null;
    for (const [i, { role, toolCalls }] of messages.entries()) {
      const turn = `turn ${i + 1}`;
      if (role === 'system' && i > 0) return `${turn} is a system turn that does not stand first`;
      if (role === 'user' && before === 'user') return `${turn} asks again before an answer`;
      if (role === 'assistant' && before === null) return `${turn} answers before a question`;
      if (role === 'assistant' && before === 'assistant') return `${turn} answers twice`;
      if (role === 'tool' && before !== 'call' && before !== 'tool') return `${turn} is a tool's result nobody asked for`;
      if (role === 'user' && before === 'call') return `${turn} follows a tool call without its result`;
      if (role !== 'system') before = role === 'assistant' && toolCalls ? 'call' : role;
    }
    return before === 'user' ? 'the last turn is a question without an answer' : null;
  },
};
