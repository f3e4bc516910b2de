/** Owns what a person may type as a row: turns with roles and texts, one text in a set of plain texts. */
import { EtudeError } from '../../config/errors.ts';
import type { Mapping, Message, ToolCall } from '../types.ts';

const ROLES: ReadonlySet<string> = new Set(['system', 'user', 'assistant', 'tool']);
/** Characters of all turns; a line of a file may have as many. */
const MOST_CHARS = 2 ** 24;
const MOST_TURNS = 1000;

const bad = (what: string, expected: string): EtudeError => new EtudeError({ code: 'data.badRow', what, expected, nextStep: 'Correct the row and save it again. Nothing was changed.' });

/** The turns with their known parts alone. Throws EtudeError 'data.badRow'. */
export function typedRow(messages: unknown, mapping: Mapping): Message[] {
  if (!Array.isArray(messages) || messages.length === 0) throw bad('The row has no turns.', 'at least one turn');
  if (messages.length > MOST_TURNS) throw bad(`The row has ${messages.length.toLocaleString('en')} turns.`, `at most ${MOST_TURNS.toLocaleString('en')}`);
  const turns = messages.map((message: Partial<Message> | null, i): Message => {
    const { role, content, trained, toolCalls } = message ?? {};
    if (typeof role !== 'string' || !ROLES.has(role)) throw bad(`Turn ${i + 1} has the role ${JSON.stringify(role)}.`, 'system, user, assistant or tool');
    if (typeof content !== 'string') throw bad(`Turn ${i + 1} has no text.`, 'text, which may be empty');
    const calls = callsOf(toolCalls, i);
    return { role, content, ...(role === 'assistant' && trained === false ? { trained } : {}), ...(calls ? { toolCalls: calls } : {}) };
  });
  const chars = turns.reduce((sum, { content }) => sum + content.length, 0);
  if (chars > MOST_CHARS) throw bad(`The row has ${chars.toLocaleString('en')} characters.`, `at most ${MOST_CHARS.toLocaleString('en')}`);
  if (mapping.shape !== 'text') return turns;
  const [only] = turns;
  if (turns.length > 1 || only!.role !== 'assistant') throw bad('This dataset holds plain texts; the row is a conversation.', 'one text');
  return [{ ...only!, plain: true }];
}

function callsOf(calls: unknown, turn: number): ToolCall[] | null {
  if (calls === undefined || (Array.isArray(calls) && calls.length === 0)) return null;
  if (!Array.isArray(calls) || calls.some((call: Partial<ToolCall> | null) => typeof call?.name !== 'string' || call.name === '')) throw bad(`Turn ${turn + 1} calls a tool without a name.`, 'a name and arguments');
  return calls.map(({ name, arguments: given }: ToolCall) => ({ name, arguments: given ?? {} }));
}
