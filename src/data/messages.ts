/**
 * Owns the way from a raw row to messages under a mapping. A row that cannot be taken whole is refused by name, never
 * shortened: an unknown role, a missing field, a content that is no text.
 */
import type { FindingKind, Mapping, Message, StoredRow, TemplateId, ToolCall } from './types.ts';

/** `tools`: what the answers may call, as the model's template takes it. */
export type RowMessages = { ok: true; messages: Message[]; tools?: unknown[] } | { ok: false; kind: FindingKind; reason: string };

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

/** Turns that only a model's own template can write. */
const TOOL_ROLES = new Map<string, 'call' | 'result'>([
  ['function_call', 'call'], ['tool_call', 'call'], ['observation', 'result'], ['tool', 'result'], ['function', 'result'], ['ipython', 'result'],
]);

/** The row's conversation. `template` matters for two things: Alpaca puts `input` under a heading of its own, and only 'model' can write tools. */
export function toMessages(value: unknown, mapping: Mapping, template: TemplateId): RowMessages {
  try {
    if (!isObject(value)) throw new RowProblem('missing-field', `the row is ${nameOf(value)}, expected an object with fields`);
    if (mapping.shape === 'text') return { ok: true, messages: [fromText(value, mapping)] };
    const messages = mapping.messages === undefined ? fromFields(value, mapping, template) : fromTurns(value, mapping, mapping.messages, template);
    if (messages.length === 0) throw new RowProblem('missing-field', 'the row holds no turns');
    const tools = mapping.tools === undefined || template !== 'model' ? null : toolList(value[mapping.tools], mapping.tools);
    return tools ? { ok: true, messages, tools } : { ok: true, messages };
  } catch (error) {
    if (error instanceof RowProblem) return { ok: false, kind: error.kind, reason: error.message };
    throw error;
  }
}

/** The conversation of a stored row: what a person wrote in its place, else what the mapping makes of it. */
export function messagesOfRow({ value, edited }: Pick<StoredRow, 'value' | 'edited'>, mapping: Mapping, template: TemplateId): RowMessages {
  if (!edited) return toMessages(value, mapping, template);
  const tools = edited.findIndex((message) => message.role === 'tool' || message.toolCalls);
  if (tools >= 0 && template !== 'model') return { ok: false, kind: 'unknown-role', reason: `turn ${tools + 1} is about a tool, which only the model's own template can write` };
  const stored = toMessages(value, mapping, 'model');
  const listed = stored.ok && stored.tools && template === 'model' ? { tools: stored.tools } : {};
  return { ok: true, messages: template === 'alpaca' && stored.ok ? asAlpaca(edited, stored.messages, value, mapping) : edited, ...listed };
}

/** Turns that were not touched keep the heading that Alpaca gives to an input. */
function asAlpaca(edited: Message[], stored: readonly Message[], value: unknown, mapping: Mapping): Message[] {
  const alpaca = toMessages(value, mapping, 'alpaca');
  return edited.map((message, i) => (alpaca.ok && message.role === stored[i]?.role && message.content === stored[i]?.content ? { ...message, content: alpaca.messages[i]!.content } : message));
}

/** Applies switches of the mask inspector: trained or not, by message index. */
export function withTrainedTurns(messages: Message[], trainedTurns: Record<number, boolean> | undefined): Message[] {
  if (!trainedTurns) return messages;
  return messages.map((message, i) => (trainedTurns[i] === undefined ? message : { ...message, trained: trainedTurns[i] }));
}

function fromText(row: Record<string, unknown>, mapping: Mapping): Message {
  if (mapping.text === undefined) throw new RowProblem('missing-field', 'the mapping does not say which field is the text');
  return { role: 'assistant', content: textField(row, mapping.text, 'required'), plain: true };
}

/** Tools as OpenAI lists them, or as ShareGPT files carry them: a list of functions, often as JSON text. */
function toolList(value: unknown, field: string): unknown[] | null {
  if (value === undefined || value === null || value === '') return null;
  const list = listField(value);
  if (!list) throw new RowProblem('missing-field', `"${field}" is ${nameOf(value)}, expected a list of tools`);
  if (list.length === 0) return null;
  return list.map((tool) => (isObject(tool) && tool['type'] === undefined && typeof tool['name'] === 'string' ? { type: 'function', function: tool } : tool));
}

/** Alpaca's `history`: earlier [question, answer] pairs, which are trained as every answer is. */
function historyOf(row: Record<string, unknown>, field: string | undefined): Message[] {
  const value = field === undefined ? undefined : row[field];
  if (value === undefined || value === null || value === '') return [];
  const pairs = listField(value);
  if (!pairs) throw new RowProblem('missing-field', `"${field}" is ${nameOf(value)}, expected a list of [question, answer] pairs`);
  return pairs.flatMap((pair, i): Message[] => {
    const [question, answer] = Array.isArray(pair) ? (pair as unknown[]) : [];
    if (typeof question !== 'string' || typeof answer !== 'string') throw new RowProblem('missing-field', `pair ${i + 1} of "${field}" is not a question and an answer`);
    return [{ role: 'user', content: question }, { role: 'assistant', content: answer }];
  });
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
  const messages: Message[] = [...historyOf(row, mapping.history), { role: 'user', content: user }, { role: 'assistant', content: output }];
  return system === '' ? messages : [{ role: 'system', content: system }, ...messages];
}

function fromTurns(row: Record<string, unknown>, mapping: Mapping, field: string, template: TemplateId): Message[] {
  const turns = listField(row[field]);
  if (!turns) throw new RowProblem('missing-field', `"${field}" is ${nameOf(row[field])}, expected a list of turns`);
  const messages = turns.map((turn, i) => fromTurn(turn, i, template));
  const system = mapping.system === undefined ? '' : textField(row, mapping.system, 'optional');
  if (system !== '') messages.unshift({ role: 'system', content: system });
  // Preference pairs keep the answer outside the conversation.
  if (mapping.output !== undefined) messages.push({ role: 'assistant', content: answerField(row, mapping.output) });
  return messages;
}

function fromTurn(turn: unknown, index: number, template: TemplateId): Message {
  const place = `turn ${index + 1}`;
  if (!isObject(turn)) throw new RowProblem('missing-field', `${place} is ${nameOf(turn)}, expected an object`);
  const name = turn['role'] ?? turn['from'];
  const known = typeof name === 'string' ? name.toLowerCase() : '';
  const role = ROLES.get(known);
  const tool = TOOL_ROLES.get(known);
  if (role === undefined && (tool === undefined || template !== 'model')) {
    const why = tool === undefined ? `known are ${[...ROLES.keys()].join(', ')}` : "which only the model's own template can write";
    throw new RowProblem('unknown-role', typeof name === 'string' ? `${place} has the role "${name}", ${why}` : `${place} names no role`);
  }
  const content = Object.hasOwn(turn, 'content') ? turn['content'] : turn['value'];
  if (tool === 'call') return { role: 'assistant', content: '', toolCalls: callsOfText(content, place) };
  if (tool === 'result') return { role: 'tool', content: typeof content === 'string' || Array.isArray(content) ? contentText(content, place) : JSON.stringify(content ?? '') };
  const calls = callsOfTurn(turn, place);
  if (calls.length > 0 && template !== 'model') throw new RowProblem('unknown-role', `${place} calls a tool, which only the model's own template can write`);
  const text = contentText(calls.length > 0 && (content === null || content === undefined) ? '' : content, place);
  const message: Message = { role: role!, content: text, ...(calls.length > 0 ? { toolCalls: calls } : {}) };
  // OpenAI's fine-tuning format: weight 0 leaves an answer out of the loss.
  return role === 'assistant' && turn['weight'] !== undefined && Number(turn['weight']) === 0 ? { ...message, trained: false } : message;
}

/** OpenAI's tool_calls, or the single function_call of before. */
function callsOfTurn(turn: Record<string, unknown>, place: string): ToolCall[] {
  const list = Array.isArray(turn['tool_calls']) ? (turn['tool_calls'] as unknown[]) : [];
  const single = turn['function_call'];
  return [...list, ...(single === undefined || single === null ? [] : [single])].map((call) => toolCall(call, place));
}

/** ShareGPT's function_call turn: one call or a list of calls, as JSON text. */
function callsOfText(content: unknown, place: string): ToolCall[] {
  let value = content;
  if (typeof content === 'string') {
    try {
      value = JSON.parse(content);
    } catch {
      throw new RowProblem('unknown-role', `${place} calls a tool, but its text is no JSON`);
    }
  }
  return (Array.isArray(value) ? (value as unknown[]) : [value]).map((call) => toolCall(call, place));
}

function toolCall(call: unknown, place: string): ToolCall {
  const inner = isObject(call) && isObject(call['function']) ? call['function'] : call;
  if (!isObject(inner) || typeof inner['name'] !== 'string' || inner['name'] === '') throw new RowProblem('unknown-role', `${place} calls a tool without a name`);
  const given = inner['arguments'] ?? inner['parameters'] ?? {};
  if (typeof given !== 'string') return { name: inner['name'], arguments: given };
  try {
    const parsed: unknown = JSON.parse(given);
    return { name: inner['name'], arguments: isObject(parsed) ? parsed : given };
  } catch {
    return { name: inner['name'], arguments: given };
  }
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
    const turn = fromTurn(value, 0, 'chatml');
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

/** A list of turns; tables carry it as JSON text, and some Parquet files as an object of lists. */
export function listField(value: unknown): unknown[] | null {
  if (Array.isArray(value)) return value as unknown[];
  if (isObject(value)) return turnsOfColumns(value);
  if (typeof value !== 'string' || !value.trimStart().startsWith('[')) return null;
  try {
    return JSON.parse(value) as unknown[];
  } catch {
    return null;
  }
}

/** {role: […], content: […]} as a list of turns. */
function turnsOfColumns(value: Record<string, unknown>): unknown[] | null {
  const columns = Object.entries(value);
  const first = columns[0]?.[1];
  if (!Array.isArray(first) || !(Array.isArray(value['role']) || Array.isArray(value['from']))) return null;
  if (columns.some(([, list]) => !Array.isArray(list) || list.length !== first.length)) return null;
  return first.map((_, i) => Object.fromEntries(columns.map(([name, list]) => [name, (list as unknown[])[i]])));
}

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function nameOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : typeof value === 'string' ? 'text' : `a ${typeof value}`;
}
