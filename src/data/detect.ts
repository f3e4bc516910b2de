/**
 * Owns the guess which shape a dataset has, from its first rows, with the reason in words. The mapping it proposes can
 * be corrected by hand; a dataset of no known shape gives null.
 */
import { isObject, listField } from './messages.ts';
import type { DataShape, Mapping } from './types.ts';

export interface Detection {
  mapping: Mapping;
  because: string;
  /** Field names in order of appearance. */
  fields: string[];
}

/** How many rows are looked at. */
export const DETECT_ROWS = 200;

const SHAPE_NAMES: Record<DataShape, string> = {
  alpaca: 'Alpaca', 'prompt-completion': 'prompt and completion', messages: 'OpenAI messages', sharegpt: 'ShareGPT', table: 'a table', text: 'plain text',
};

const ANSWER_NAMES = ['output', 'response', 'answer', 'completion', 'chosen', 'target', 'reply', 'assistant'];
const PROMPT_NAMES = ['prompt', 'question', 'query', 'input', 'text', 'user', 'source', 'problem'];

/** Proposals for one row, best first. */
function proposals(row: unknown): Mapping[] {
  if (!isObject(row)) return [];
  const found: Mapping[] = [];
  const has = (name: string) => row[name] !== undefined;
  const system = ['system', 'system_prompt'].find(has);
  const rejected = has('rejected') ? { rejected: 'rejected' } : {};
  const tools = has('tools') ? { tools: 'tools' } : {};
  const withSystem = (mapping: Mapping): Mapping => (system === undefined ? mapping : { ...mapping, system });

  const pairOf = (answer: string) => (answer === 'chosen' ? rejected : {});
  const turnFields = Object.keys(row).filter((name) => turnShape(row[name]) !== null);
  turnFields.sort((a, b) => rank(a) - rank(b));
  for (const name of turnFields) {
    const shape = turnShape(row[name])!;
    const answered = turnFields.length > 1 || !isTurn(row['chosen']);
    const pair = answered ? (name === 'chosen' ? rejected : {}) : { output: 'chosen', ...rejected };
    found.push(withSystem({ shape, messages: name, ...pair, ...tools }));
  }
  const answer = ANSWER_NAMES.find(has);
  if (has('instruction') && answer !== undefined) {
    found.push(withSystem({ shape: 'alpaca', instruction: 'instruction', ...(has('input') ? { input: 'input' } : {}), output: answer, ...(listField(row['history']) ? { history: 'history' } : {}), ...pairOf(answer) }));
  }
  if (has('prompt') && answer !== undefined && turnShape(row['prompt']) === null && turnShape(row[answer]) === null) {
    found.push(withSystem({ shape: 'prompt-completion', instruction: 'prompt', output: answer, ...pairOf(answer) }));
  }
  const prompt = PROMPT_NAMES.find((name) => has(name) && name !== answer);
  if (prompt !== undefined && answer !== undefined && isText(row[prompt])) found.push(withSystem({ shape: 'table', instruction: prompt, output: answer, ...pairOf(answer) }));
  return found;
}

/** Fields that hold the conversation go before those that hold a variant of it. */
const rank = (name: string): number => {
  const at = ['messages', 'conversations', 'conversation', 'dialogue', 'turns', 'chosen'].indexOf(name);
  return at < 0 ? 99 : name === 'rejected' ? 100 : at;
};

const isText = (value: unknown): boolean => typeof value === 'string';
const isTurn = (value: unknown): boolean => isObject(value) && (typeof value['role'] === 'string' || typeof value['from'] === 'string');

function turnShape(value: unknown): 'messages' | 'sharegpt' | null {
  const first = listField(value)?.[0];
  if (!isObject(first)) return null;
  if (typeof first['role'] === 'string') return 'messages';
  return typeof first['from'] === 'string' ? 'sharegpt' : null;
}

export function detect(rows: readonly unknown[]): Detection | null {
  const sample = rows.slice(0, DETECT_ROWS);
  const fields = fieldNames(sample);
  const votes = new Map<string, { mapping: Mapping; count: number }>();
  for (const row of sample) {
    const best = proposals(row)[0];
    if (!best) continue;
    // `input` and `system` are often left out of rows that have none: they do not divide the vote.
    const key = [best.shape, best.messages, best.instruction, best.output].join('\n');
    const vote = votes.get(key) ?? { mapping: best, count: 0 };
    votes.set(key, { mapping: { ...vote.mapping, ...best }, count: vote.count + 1 });
  }
  const winner = [...votes.values()].sort((a, b) => b.count - a.count)[0];
  if (!winner) return plainText(sample, fields) ?? guessTable(sample, fields);
  const { mapping, count } = winner;
  const used = [mapping.messages, mapping.system, mapping.instruction, mapping.input, mapping.output, mapping.history, mapping.tools, mapping.rejected].filter((name) => name !== undefined);
  const share = `${count === sample.length ? 'All' : count} of the first ${sample.length} rows have`;
  const unused = fields.filter((name) => !used.includes(name));
  const ofTurns = unusedOfTurns(sample, mapping);
  const because = `${sample.length === 1 ? 'The only row has' : share} ${list(used)}: ${SHAPE_NAMES[mapping.shape]}.${note(mapping)}${unused.length > 0 ? ` Not used: ${list(unused)}.` : ''}${ofTurns.length > 0 ? ` Of the turns, not used: ${list(ofTurns)}.` : ''}`;
  return { mapping, because, fields };
}

const TURN_FIELDS = new Set(['role', 'from', 'content', 'value', 'weight', 'tool_calls', 'function_call', 'tool_call_id']);

/** Fields of turns that hold something and are left out, e.g. reasoning_content. */
function unusedOfTurns(sample: readonly unknown[], mapping: Mapping): string[] {
  if (mapping.messages === undefined) return [];
  const names = new Set<string>();
  for (const row of sample) {
    for (const turn of (isObject(row) ? listField(row[mapping.messages]) : null) ?? []) {
      if (!isObject(turn)) continue;
      for (const [name, value] of Object.entries(turn)) if (!TURN_FIELDS.has(name) && value !== null && value !== '') names.add(name);
    }
  }
  return [...names].slice(0, 20);
}

/** Rows of long text and nothing to answer: continued pretraining. */
function plainText(sample: readonly unknown[], fields: string[]): Detection | null {
  const texts = fields.filter((name) => sample.filter((row) => isObject(row) && isText(row[name])).length > sample.length / 2);
  const text = ['text', 'content', 'document'].find((name) => texts.includes(name));
  if (text === undefined) return null;
  const length = (name: string): number => sample.map((row) => (isObject(row) && isText(row[name]) ? (row[name] as string).length : 0)).sort((a, b) => a - b)[sample.length >> 1]!;
  const others = texts.filter((name) => name !== text);
  if (others.length > 0 && (length(text) < 200 || others.some((name) => length(text) < 4 * length(name)))) return null;
  const unused = fields.filter((name) => name !== text);
  const because = `Rows have text in "${text}" and no answer beside it: plain text for continued pretraining, every token trained, no template.${unused.length > 0 ? ` Not used: ${list(unused)}.` : ''}`;
  return { mapping: { shape: 'text', text }, because, fields };
}

function note(mapping: Mapping): string {
  const answer = mapping.output === undefined ? '' : ` The answer is taken from "${mapping.output}".`;
  if (mapping.rejected !== undefined) return `${answer} Preference pairs: the chosen answer is trained, the rejected answer is not trained; it is kept with its row and shown.`;
  const tools = mapping.tools === undefined ? '' : " Tools and calls are written by the model's own template alone; another one leaves the list of tools out and refuses rows with calls by name.";
  return (mapping.messages === undefined ? '' : answer) + tools;
}

/** Names nobody knows: the first two text fields, said plainly to be a guess. */
function guessTable(sample: readonly unknown[], fields: string[]): Detection | null {
  const texts = fields.filter((name) => sample.filter((row) => isObject(row) && isText(row[name])).length > sample.length / 2);
  const [instruction, output] = texts;
  if (instruction === undefined || output === undefined) return null;
  const because = `None of the field names is known. "${instruction}" was taken as the prompt and "${output}" as the answer: check this.`;
  return { mapping: { shape: 'table', instruction, output }, because, fields };
}

function fieldNames(rows: readonly unknown[]): string[] {
  const names = new Set<string>();
  for (const row of rows) if (isObject(row)) for (const name of Object.keys(row)) names.add(name);
  return [...names].slice(0, 100);
}

const list = (names: string[]): string =>
  names.length < 2 ? `"${names.join('')}"` : `${names.slice(0, -1).map((name) => `"${name}"`).join(', ')} and "${names.at(-1)}"`;
