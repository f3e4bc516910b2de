/** Turns while a row is written: their keys, the role that comes next, what is still missing. */
import type { Message } from '../../../stores/types.ts';

export interface KeyedTurn { key: number; message: Message }

export const ROLES: readonly Message['role'][] = ['system', 'user', 'assistant', 'tool'];

/** What a new row begins with. */
export const NEW_ROW: readonly Message[] = [{ role: 'user', content: '' }, { role: 'assistant', content: '' }];

let lastKey = 0;

/** Turns change places when one is taken away: each keeps a key of its own. */
export const withKeys = (messages: readonly Message[]): KeyedTurn[] => messages.map((message) => ({ key: ++lastKey, message }));

/** Question and answer take turns. Pure. */
export const nextRole = (messages: readonly Message[]): Message['role'] => (messages.at(-1)?.role === 'user' ? 'assistant' : 'user');

/** Why a row cannot be saved, in a sentence; null where it can. Pure. */
export function rowProblem(messages: readonly Message[]): string | null {
  if (messages.length === 0) return 'A row needs a turn.';
  if (messages[0]!.plain) return messages[0]!.content.trim() === '' ? 'A row needs some text.' : null;
  const answer = messages.findLast((m) => m.role === 'assistant');
  if (!answer) return 'A row needs an assistant turn: it is what is trained.';
  const empty = messages.findIndex((m) => m.content.trim() === '' && !m.toolCalls?.length);
  return empty < 0 ? null : `Turn ${empty + 1} is empty.`;
}
