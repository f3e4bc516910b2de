/**
 * Owns the export of rows as JSON Lines in the form that OpenAI and Etude's own import read: a list of messages a row;
 * preference pairs as prompt, chosen and rejected; plain text as text. A row that makes no conversation goes out as the
 * file had it. The text is handed to the browser in pieces, so that no more than one is held.
 */
import { isObject, messagesOfRow } from '../messages.ts';
import type { Mapping, Message, StoredRow, ToolCall } from '../types.ts';

const PIECE_CHARS = 2 ** 22;
export const TYPE = 'application/jsonl';

/** OpenAI writes a call's arguments as JSON text. */
const call = ({ name, arguments: given }: ToolCall) => ({ type: 'function', function: { name, arguments: isObject(given) ? JSON.stringify(given) : given } });

const turn = ({ role, content, trained, toolCalls }: Message) => ({
  role, content, ...(toolCalls?.length ? { tool_calls: toolCalls.map(call) } : {}), ...(role === 'assistant' && trained === false ? { weight: 0 } : {}),
});

/** One row as a value to write. */
export function exportedRow(row: StoredRow, mapping: Mapping): unknown {
  const converted = messagesOfRow(row, mapping, 'model');
  if (!converted.ok) return row.value;
  const { messages, tools } = converted;
  const last = messages.at(-1);
  if (messages[0]?.plain) return { text: messages[0].content };
  const listed = tools ? { tools } : {};
  if (mapping.rejected !== undefined && last?.role === 'assistant' && messages.length > 1) {
    const rejected = isObject(row.value) ? row.value[mapping.rejected] : undefined;
    return { prompt: messages.slice(0, -1).map(turn), chosen: turn(last), ...(rejected === undefined ? {} : { rejected: typeof rejected === 'string' ? { role: 'assistant', content: rejected } : rejected }), ...listed };
  }
  return { messages: messages.map(turn), ...listed };
}

/** The row's line, its end included. */
export const lineOf = (row: StoredRow, mapping: Mapping): string => `${JSON.stringify(exportedRow(row, mapping))}\n`;

export interface ExportedRows {
  blob: Blob;
  rows: number;
}

/** Writes rows in the order they come. */
export async function exportRows(rows: AsyncIterable<StoredRow>, mapping: Mapping, options: { signal: AbortSignal; onProgress: (rows: number) => void }): Promise<ExportedRows> {
  const pieces: Blob[] = [];
  let held: string[] = [];
  let chars = 0;
  let count = 0;
  const hand = (): void => {
    pieces.push(new Blob(held));
    held = [];
    chars = 0;
  };
  for await (const row of rows) {
    options.signal.throwIfAborted();
    const line = lineOf(row, mapping);
    held.push(line);
    chars += line.length;
    if (chars > PIECE_CHARS) hand();
    if (++count % 1000 === 0) options.onProgress(count);
  }
  hand();
  return { blob: new Blob(pieces, { type: TYPE }), rows: count };
}
