/** Owns the way from a stored row to an encoded one under a dataset's mapping and switches, for report, inspector and trainer alike. */
import type { RowSource } from './loader.ts';
import { isObject, listField, messagesOfRow, withTrainedTurns, type RowMessages } from './messages.ts';
import { originsOf } from './origins.ts';
import type { DatasetStore } from './store.ts';
import { inspectRow, type EncodedConversation, type RefusedRow, type RowEncoder } from './template.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { DisplayRow, InspectedRow, Mapping, Message, StoredRow } from './types.ts';

/** A row's messages with the inspector's switches applied. */
export function messagesOf(row: StoredRow, mapping: Mapping, encoder: Pick<RowEncoder, 'templateId'>, trainedTurns?: Record<number, boolean>): RowMessages {
  const converted = messagesOfRow(row, mapping, encoder.templateId);
  return converted.ok ? { ...converted, messages: withTrainedTurns(converted.messages, trainedTurns) } : converted;
}

export function encodeStoredRow(
  row: StoredRow, mapping: Mapping, encoder: RowEncoder, trainedTurns?: Record<number, boolean>,
): EncodedConversation | RefusedRow {
  const converted = messagesOf(row, mapping, encoder, trainedTurns);
  return converted.ok ? encoder.encode(converted.messages, row.index, converted.tools) : converted;
}

export function inspectStoredRow(
  row: StoredRow, mapping: Mapping, encoder: RowEncoder, tokenizer: Tokenizer, trainedTurns?: Record<number, boolean>,
): InspectedRow {
  const encoded = encodeStoredRow(row, mapping, encoder, trainedTurns);
  const converted = messagesOf(row, mapping, encoder);
  const origins = encoded.ok && converted.ok ? originsOf(encoded.rendered, row.value, mapping, converted.messages) : [];
  const inspected = inspectRow(encoded, tokenizer, row, row.edited ? origins.map((origin) => ({ ...origin, from: 'typed by hand' })) : origins);
  const rejected = rejectedOf(row, mapping);
  return rejected === null ? inspected : { ...inspected, rejected };
}

/** Encoded rows of a stored dataset by index. Throws for a row that is refused: the report leaves such rows out. */
export function storedRowSource(
  store: Pick<DatasetStore, 'rowsAt'>, datasetId: string, mapping: Mapping, encoder: RowEncoder,
  trainedTurns: ReadonlyMap<number, Record<number, boolean>> = new Map(),
): RowSource {
  return async (indices) => (await store.rowsAt(datasetId, indices)).map((row) => {
    const encoded = encodeStoredRow(row, mapping, encoder, trainedTurns.get(row.index));
    if (!encoded.ok) throw new Error(`row ${row.index} (line ${row.line}) cannot be trained: ${encoded.reason}`);
    return encoded.row;
  });
}

const DISPLAY_CHARS = 400;
const shorten = (text: string): string => (text.length > DISPLAY_CHARS ? `${text.slice(0, DISPLAY_CHARS)}…` : text);

/** An answer with its tool calls, for display. */
const shownText = ({ content, toolCalls = [] }: Message): string => [content, ...toolCalls.map((call) => `${call.name}(${JSON.stringify(call.arguments)})`)].filter((text) => text !== '').join('\n');

/** The rejected answer as text: a text, a turn, or the last turn of a list. */
function rejectedText(value: unknown): string | null {
  const last: unknown = listField(value)?.at(-1) ?? value;
  if (typeof last === 'string') return last;
  const text = isObject(last) ? (last['content'] ?? last['value']) : null;
  return typeof text === 'string' ? text : null;
}

const REJECTED_CHARS = 20_000;

/** The rejected answer of a preference pair as text, cut to a displayable size; null where the row has none. */
export function rejectedOf(row: StoredRow, mapping: Mapping): string | null {
  const text = mapping.rejected === undefined || !isObject(row.value) ? null : rejectedText(row.value[mapping.rejected]);
  return text !== null && text.length > REJECTED_CHARS ? `${text.slice(0, REJECTED_CHARS)}…` : text;
}

/** A row for the table: its first question and last answer, or why it cannot be used. */
export function displayRow(row: StoredRow, mapping: Mapping): DisplayRow {
  const place = { index: row.index, line: row.line };
  const converted = messagesOfRow(row, mapping, 'model');
  if (!converted.ok) return { ...place, prompt: shorten(JSON.stringify(row.value) ?? ''), answer: '', problem: converted.reason };
  const { messages } = converted;
  const first = messages.find((message) => message.role === 'user') ?? messages[0];
  const last = messages.findLast((message: Message) => message.role === 'assistant');
  const rejected = rejectedOf(row, mapping);
  return {
    ...place, prompt: first === last ? '' : shorten(first?.content ?? ''), answer: shorten(last ? shownText(last) : ''),
    ...(rejected === null ? {} : { rejected: shorten(rejected) }), ...(last ? {} : { problem: 'the row holds no answer' }),
  };
}
