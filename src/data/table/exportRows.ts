/**
 * Owns the export of rows as JSON Lines in the form that OpenAI and Etude's own import read: a list of messages a row;
 * preference pairs as prompt, chosen and rejected; plain text as text. A row that makes no conversation goes out as the
 * file had it. The text is handed to the browser in pieces, so that no more than one is held.
 */
import { isObject, messagesOfRow } from '../messages.ts';
import type { Mapping, Message, StoredRow, ToolCall } from '../types.ts';

const PIECE_CHARS = 2 ** 22;

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
    const line = `${JSON.stringify(exportedRow(row, mapping))}\n`;
    held.push(line);
    chars += line.length;
    if (chars > PIECE_CHARS) hand();
    if (++count % 1000 === 0) options.onProgress(count);
  }
  hand();
  return { blob: new Blob(pieces, { type: 'application/jsonl' }), rows: count };
}

/** Rows of a block are held while they are put in order. */
const BLOCK = 50_000;
const AT_ONCE = 256;

/** Rows in any order, read from the disk in the order they lie there, block by block. */
export async function* inOrder(read: (rows: Int32Array) => Promise<StoredRow[]>, order: Int32Array): AsyncGenerator<StoredRow> {
  const isSorted = order.every((row, i) => i === 0 || order[i - 1]! < row);
  const size = isSorted ? AT_ONCE : BLOCK;
  for (let from = 0; from < order.length; from += size) {
    const block = order.subarray(from, from + size);
    const sorted = block.slice().sort();
    const found = new Map<number, StoredRow>();
    for (let at = 0; at < sorted.length; at += AT_ONCE) for (const row of await read(sorted.subarray(at, at + AT_ONCE))) found.set(row.index, row);
    for (const row of block) yield found.get(row)!;
  }
}
