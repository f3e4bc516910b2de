/**
 * Owns the way from a raw row to messages under a mapping. A row that cannot be taken whole is refused by name, never
 * shortened: an unknown role, a missing field, a content that is no text.
 */
import type { FindingKind, Mapping, Message, TemplateId } from './types.ts';

export type RowMessages = { ok: true; messages: Message[] } | { ok: false; kind: FindingKind; reason: string };

class RowProblem extends Error {
  readonly kind: FindingKind;

  constructor(kind: FindingKind, reason: string) {
    super(reason);
    this.kind = kind;
  }
}

const ROLES = new Map<string, Message['role']>([
  ['system', 'system'], ['developer', 'system'],
  ['user', 'user'], ['human', 'user'],
  ['assistant', 'assistant'], ['gpt', 'assistant'], ['chatgpt', 'assistant'], ['bot', 'assistant'], ['model', 'assistant'],
]);

/** The row's conversation. `template` matters for one thing: Alpaca puts `input` under a heading of its own. */
export function toMessages(value: unknown, mapping: Mapping, template: TemplateId): RowMessages {
  try {
    if (!isObject(value)) throw new RowProblem('missing-field', `the row is ${nameOf(value)}, expected an object with fields`);
    const messages = mapping.messages === undefined ? fromFields(value, mapping, template) : fromTurns(value, mapping, mapping.messages);
    if (messages.length === 0) throw new RowProblem('missing-field', 'the row holds no turns');
    return { ok: true, messages };
  } catch (error) {
    if (error instanceof RowProblem) return { ok: false, kind: error.kind, reason: error.message };
    throw error;
  }
}

/** Applies switches of the mask inspector: trained or not, by message index. */
export function withTrainedTurns(messages: Message[], trainedTurns: Record<number, boolean> | undefined): Message[] {
  if (!trainedTurns) return messages;
  return messages.map((message, i) => (trainedTurns[i] === undefined ? message : { ...message, trained: trainedTurns[i] }));
}

function fromFields(row: Record<string, unknown>, mapping: Mapping, template: TemplateId): Message[] {
  if (mapping.instruction === undefined || mapping.output === undefined) {
    throw new RowProblem('missing-field', 'the mapping does not say which field is the prompt and which the answer');
  }
  const instruction = textField(row, mapping.instruction, 'required');
  const input = mapping.input === undefined ? '' : textField(row, mapping.input, 'optional');
  const output = answerField(row, mapping.output);
  const system = mapping.system === undefined ? '' : textField(row, mapping.system, 'optional');
  const heading = template === 'alpaca' ? '\n\n### Input:\n' : '\n';
  const user = input === '' ? instruction : instruction === '' && template !== 'alpaca' ? input : instruction + heading + input;
  const messages: Message[] = [{ role: 'user', content: user }, { role: 'assistant', content: output }];
  return system === '' ? messages : [{ role: 'system', content: system }, ...messages];
}

function fromTurns(row: Record<string, unknown>, mapping: Mapping, field: string): Message[] {
  const turns = listField(row[field]);
  if (!turns) throw new RowProblem('missing-field', `"${field}" is ${nameOf(row[field])}, expected a list of turns`);
  const messages = turns.map(fromTurn);
  const system = mapping.system === undefined ? '' : textField(row, mapping.system, 'optional');
  if (system !== '') messages.unshift({ role: 'system', content: system });
  // Preference pairs keep the answer outside the conversation.
  if (mapping.output !== undefined) messages.push({ role: 'assistant', content: answerField(row, mapping.output) });
  return messages;
}

function fromTurn(turn: unknown, index: number): Message {
  const place = `turn ${index + 1}`;
  if (!isObject(turn)) throw new RowProblem('missing-field', `${place} is ${nameOf(turn)}, expected an object`);
  const name = turn['role'] ?? turn['from'];
  const role = typeof name === 'string' ? ROLES.get(name.toLowerCase()) : undefined;
  if (role === undefined) {
    throw new RowProblem('unknown-role', typeof name === 'string' ? `${place} has the role "${name}", known are ${[...ROLES.keys()].join(', ')}` : `${place} names no role`);
  }
  if (hasEntries(turn['tool_calls']) || turn['function_call'] !== undefined && turn['function_call'] !== null) {
    throw new RowProblem('unknown-role', `${place} calls a tool, which no template here can write`);
  }
  const content = contentText(Object.hasOwn(turn, 'content') ? turn['content'] : turn['value'], place);
  // OpenAI's fine-tuning format: weight 0 leaves an answer out of the loss.
  return role === 'assistant' && turn['weight'] === 0 ? { role, content, trained: false } : { role, content };
}

/** A content is text or, in OpenAI's newer form, a list of text parts. */
function contentText(content: unknown, place: string): string {
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) {
    const parts = content.map((part) => (isObject(part) && part['type'] === 'text' && typeof part['text'] === 'string' ? part['text'] : null));
    if (parts.every((part) => part !== null)) return parts.join('');
    throw new RowProblem('missing-field', `${place} holds a part that is no text`);
  }
  throw new RowProblem('missing-field', `${place} has ${nameOf(content)} for content, expected text`);
}

/** An answer is text, or a turn that holds it (the `chosen` of preference pairs). */
function answerField(row: Record<string, unknown>, field: string): string {
  const value = row[field];
  if (isObject(value)) {
    const turn = fromTurn(value, 0);
    if (turn.role === 'assistant') return turn.content;
    throw new RowProblem('unknown-role', `"${field}" is a ${turn.role} turn, expected an answer`);
  }
  return textField(row, field, 'required');
}

function textField(row: Record<string, unknown>, field: string, need: 'required' | 'optional'): string {
  const value = row[field];
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if ((value === undefined || value === null) && need === 'optional') return '';
  throw new RowProblem('missing-field', `"${field}" is ${nameOf(value)}, expected text`);
}

/** A list of turns; tables carry it as JSON text. */
export function listField(value: unknown): unknown[] | null {
  if (Array.isArray(value)) return value as unknown[];
  if (typeof value !== 'string' || !value.trimStart().startsWith('[')) return null;
  try {
    return JSON.parse(value) as unknown[];
  } catch {
    return null;
  }
}

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const hasEntries = (value: unknown): boolean => Array.isArray(value) && value.length > 0;

function nameOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : typeof value === 'string' ? 'text' : `a ${typeof value}`;
}
