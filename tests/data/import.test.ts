import 'fake-indexeddb/auto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { EtudeError } from '../../src/config/errors.ts';
import { openDatabase, type EtudeDatabase } from '../../src/data/db.ts';
import { importDataset, type ImportOptions } from '../../src/data/importers/importDataset.ts';
import { toMessages } from '../../src/data/messages.ts';
import { DatasetStore } from '../../src/data/store.ts';
import type { StoredRow } from '../../src/data/types.ts';

let databases: EtudeDatabase[] = [];
let counter = 0;
async function newStore(): Promise<DatasetStore> {
  const db = await openDatabase(`import-${counter++}`);
  databases.push(db);
  return new DatasetStore(db);
}
afterEach(() => {
  vi.restoreAllMocks();
  for (const db of databases) db.close();
  databases = [];
});

const drop = async (name: string, content: string | Uint8Array<ArrayBuffer>, options?: ImportOptions, store?: DatasetStore) =>
  importDataset({ name, blob: new Blob([content]), kind: 'file' }, store ?? await newStore(), options);
async function rowsOf(store: DatasetStore, id: string): Promise<StoredRow[]> {
  const rows: StoredRow[] = [];
  for await (const row of store.rows(id)) rows.push(row);
  return rows;
}
async function refusal(promise: Promise<unknown>): Promise<EtudeError> {
  const error = await promise.then(() => null, (error: unknown) => error);
  if (!(error instanceof EtudeError)) throw new Error(`expected an EtudeError, got ${String(error)}`);
  // Whatever it is, a person is told what happened and what to do.
  expect(error.userMessage.what).toMatch(/\w+.*\.$/);
  expect(error.userMessage.nextStep).toMatch(/\.$/);
  return error;
}
const excerpt = (name: string): string => readFileSync(fileURLToPath(new URL(`../fixtures/datasets/${name}`, import.meta.url)), 'utf8');
const ALPACA = '{"instruction": "q", "input": "", "output": "a"}';

describe('A dropped file', () => {
  it.each([
    ['rows.jsonl', `${ALPACA}\n${ALPACA}\n`],
    ['rows.json', `[${ALPACA}, ${ALPACA}]`],
    ['rows.json', `{"version": 1, "data": [${ALPACA}, ${ALPACA}]}`],
    ['rows.json', `${ALPACA}\n${ALPACA}`],
    ['rows.jsonl', JSON.stringify([JSON.parse(ALPACA), JSON.parse(ALPACA)], null, 2)],
    ['rows.csv', 'instruction,input,output\nq,,a\nq,,a\n'],
    ['rows.tsv', 'instruction\tinput\toutput\nq\t\ta\nq\t\ta\n'],
    ['rows.csv', '\uFEFFinstruction;input;output\r\nq;;a\r\nq;;a\r\n'],
    ['rows.txt', 'instruction\tinput\toutput\nq\t\ta\nq\t\ta\n'],
  ])('%s is read by what it holds: %j', async (name, content) => {
    const store = await newStore();
    const summary = await drop(name, content, {}, store);
    expect(summary).toMatchObject({ name, source: 'file', rows: 2, skipped: 0, mapping: { shape: 'alpaca', instruction: 'instruction', input: 'input', output: 'output' } });
    expect((await rowsOf(store, summary.id)).map((row) => row.value)).toEqual([JSON.parse(ALPACA), JSON.parse(ALPACA)]);
    expect(await store.list()).toEqual([summary]);
  });

  it('that is one object holds one row', async () => {
    expect(await drop('one.json', '{"prompt": "q", "completion": "a"}')).toMatchObject({ rows: 1, detectedBecause: 'The only row has "prompt" and "completion": prompt and completion.' });
  });

  it('counts and names the lines it cannot read and keeps the others with their line numbers', async () => {
    const store = await newStore();
    const summary = await drop('rows.jsonl', `${ALPACA}\n{"instruction": \n\n${ALPACA}\n`, {}, store);
    expect(summary).toMatchObject({ rows: 2, skipped: 1, skippedLines: [{ line: 2, reason: expect.stringContaining('not JSON') }] });
    expect((await rowsOf(store, summary.id)).map(({ index, line }) => [index, line])).toEqual([[0, 1], [1, 4]]);
  });

  it('names at most 1,000 lines and counts all', async () => {
    const summary = await drop('rows.jsonl', `${ALPACA}\n${'nope\n'.repeat(1500)}`);
    expect(summary.skipped).toBe(1500);
    expect(summary.skippedLines).toHaveLength(1000);
  });

  it('tells how far it is', async () => {
    const seen: number[] = [];
    const content = `${ALPACA}\n`.repeat(5000);
    await drop('rows.jsonl', content, { onProgress: ({ bytes, totalBytes }) => void seen.push(bytes / totalBytes) });
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.toSorted((a, b) => a - b)).toEqual(seen);
    expect(seen.at(-1)).toBe(1);
  });

  it('gives back any rows it was made of, as JSONL and as JSON', async () => {
    const row = fc.record({ prompt: fc.string({ unit: 'grapheme' }), completion: fc.string({ unit: 'grapheme' }) });
    await fc.assert(fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 150 }), fc.boolean(), async (rows, lines) => {
      const store = await newStore();
      const content = lines ? rows.map((value) => JSON.stringify(value)).join('\n') : JSON.stringify(rows, null, 1);
      const { id } = await drop(lines ? 'x.jsonl' : 'x.json', content, {}, store);
      expect((await rowsOf(store, id)).map((stored) => stored.value)).toEqual(rows);
    }), { numRuns: 15 });
  });
});

describe('Excerpts of real files', () => {
  it('Alpaca: input joins the user turn, under a heading only for the Alpaca template', async () => {
    const store = await newStore();
    const { id, mapping, rows } = await drop('alpaca.json', excerpt('alpaca.json'), {}, store);
    expect(rows).toBe(6);
    const [first] = await store.rowsAt(id, [0]);
    const { instruction, input, output } = first!.value as Record<string, string>;
    expect(toMessages(first!.value, mapping, 'chatml')).toEqual({ ok: true, messages: [{ role: 'user', content: `${instruction}\n${input}` }, { role: 'assistant', content: output }] });
    expect(toMessages(first!.value, mapping, 'alpaca')).toMatchObject({ messages: [{ content: `${instruction}\n\n### Input:\n${input}` }, {}] });
  });

  it('ShareGPT with tool calls: rows with roles no template writes are refused by name, the others are kept whole', async () => {
    const store = await newStore();
    const { id, mapping, detectedBecause } = await drop('toolcalls.json', excerpt('toolcalls.json'), {}, store);
    expect(mapping).toEqual({ shape: 'sharegpt', messages: 'conversations', tools: 'tools' });
    expect(detectedBecause).toContain("written by the model's own template alone");
    const converted = (await rowsOf(store, id)).map((row) => toMessages(row.value, mapping, 'chatml'));
    expect(converted.map((row) => row.ok)).toEqual([false, false, true, true]);
    expect(converted[0]).toMatchObject({ kind: 'unknown-role', reason: expect.stringMatching(/^turn \d+ has the role "function_call"/) });
  });

  it('preference pairs: the chosen answer is trained', async () => {
    const store = await newStore();
    const { id, mapping, detectedBecause } = await drop('preference.json', excerpt('preference.json'), {}, store);
    expect(mapping).toEqual({ shape: 'sharegpt', messages: 'conversations', output: 'chosen', rejected: 'rejected' });
    expect(detectedBecause).toContain('the rejected answer is not trained');
    for (const row of await rowsOf(store, id)) {
      const converted = toMessages(row.value, mapping, 'chatml');
      expect(converted.ok && converted.messages.at(-1)).toEqual({ role: 'assistant', content: (row.value as { chosen: { value: string } }).chosen.value });
    }
  });
});

describe('Bad input', () => {
  it.each([
    ['empty.jsonl', '', 'data.emptyFile'],
    ['blank.jsonl', ' \n\n\t\n', 'data.emptyFile'],
    ['empty.json', '[]', 'data.emptyFile'],
    ['prose.json', 'Dear reader, this is a letter.', 'data.notJson'],
    ['prose.jsonl', 'Dear reader,\nthis is a letter.', 'data.notJson'],
    ['page.html', '<!doctype html><title>x</title>', 'data.notJson'],
    ['numbers.json', '[1, 2, 3]', 'data.unknownShape'],
    ['settings.json', '{"theme": "dark", "size": 3}', 'data.unknownShape'],
    ['results.jsonl', '{"loss": 1.5}\n{"loss": 1.4}', 'data.unknownShape'],
    ['broken.jsonl', '{"a": }\n{"a": ]\n', 'data.notJson'],
    ['cut.json', '[{"instruction": "q", "out', 'data.notJson'],
    ['ragged.csv', 'instruction,output\nonly one\n', 'data.noUsableRows'],
    ['tools.json', '[{"conversations": [{"from": "observation", "value": "x"}]}]', 'data.noUsableRows'],
    ['noanswer.jsonl', '{"instruction": "q", "output": null}\n{"instruction": "q", "output": null}', 'data.noUsableRows'],
    ['header.csv', 'instruction,output\n', 'data.emptyFile'],
  ])('%s gives a clear error and leaves nothing behind', async (name, content, code) => {
    const store = await newStore();
    expect((await refusal(drop(name, content, {}, store))).code).toBe(code);
    expect(await store.list()).toEqual([]);
    expect(await databases.at(-1)!.count('rows')).toBe(0);
    expect(await databases.at(-1)!.count('datasets')).toBe(0);
  });

  it.each([
    ['rows.xlsx', [0x50, 0x4b, 3, 4], 'Excel'],
    ['rows.csv', [0xff, 0xfe, 0x61, 0], 'UTF-16'],
  ])('%s is named for what it is', async (name, bytes, kind) => {
    const error = await refusal(drop(name, Uint8Array.from(bytes)));
    expect(error.code).toBe('data.binary');
    expect(error.message).toContain(kind);
  });

  it('broken UTF-8 is named by line and costs only its line', async () => {
    const bytes = Uint8Array.from([...new TextEncoder().encode(`${ALPACA}\n{"instruction": "`), 0xc3, 0x28, ...new TextEncoder().encode(`"}\n${ALPACA}`)]);
    expect(await drop('rows.jsonl', bytes)).toMatchObject({ rows: 2, skipped: 1, skippedLines: [{ line: 2, reason: 'broken UTF-8: these bytes are no text' }] });
  });

  it('a file larger than the quota left is refused before anything is read or written', async () => {
    const store = await newStore();
    const create = vi.spyOn(store, 'create');
    const blob = new Blob([`${ALPACA}\n`.repeat(1000)]);
    const stream = vi.spyOn(blob, 'stream');
    const error = await refusal(importDataset({ name: 'big.jsonl', blob, kind: 'file' }, store, { estimate: async () => ({ usage: 900, quota: 10_000 }) }));
    expect(error.code).toBe('storage.tooLarge');
    expect(error.message).toMatch(/49 kB.* 10 kB left/);
    expect(create).not.toHaveBeenCalled();
    expect(stream).not.toHaveBeenCalled();
  });

  it('a cancelled import says so and leaves nothing behind', async () => {
    const store = await newStore();
    const controller = new AbortController();
    const importing = drop('rows.jsonl', `${ALPACA}\n`.repeat(20_000), { signal: controller.signal, onProgress: ({ rows }) => rows > 500 && controller.abort() }, store);
    expect((await refusal(importing)).code).toBe('data.importCancelled');
    expect(await store.list()).toEqual([]);
    expect(await databases.at(-1)!.count('rows')).toBe(0);
  });

  it('a full disk in the middle of an import says so and leaves nothing behind', async () => {
    const store = await newStore();
    let writes = 0;
    const put = Object.getOwnPropertyDescriptor(IDBObjectStore.prototype, 'put')!.value as (this: IDBObjectStore, ...args: unknown[]) => IDBRequest<IDBValidKey>;
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args) {
      if (this.name === 'rows' && ++writes > 2) throw new DOMException('full', 'QuotaExceededError');
      return put.apply(this, args);
    });
    const error = await refusal(drop('rows.jsonl', `${ALPACA}\n`.repeat(1000), {}, store));
    expect(error.code).toBe('storage.full');
    vi.restoreAllMocks();
    expect(await store.list()).toEqual([]);
    expect(await databases.at(-1)!.count('rows')).toBe(0);
  });
});
