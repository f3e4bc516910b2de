/** Rows in = rows kept + rows named, whatever a file is made of. */
import 'fake-indexeddb/auto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { changesFile } from '../../src/data/changes.ts';
import { openDatabase } from '../../src/data/db.ts';
import { displayRow } from '../../src/data/encodedRows.ts';
import { importDataset } from '../../src/data/importers/importDataset.ts';
import { toMessages } from '../../src/data/messages.ts';
import { DatasetStore } from '../../src/data/store.ts';
import { RowEncoder } from '../../src/data/template.ts';
import { CsvHeaderError, readCsv } from '../../src/formats/csv.ts';
import { NotJsonError, readJsonElements } from '../../src/formats/jsonArray.ts';
import { readJsonl } from '../../src/formats/jsonl.ts';
import type { RowRead } from '../../src/formats/lines.ts';
import { runs } from '../setup/fuzz.ts';
import { byteLevel } from './helpers.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}
interface Read { values: { line: number; value: unknown; changed?: string }[]; problems: { line: number; problem: string }[]; notices: string[] }
async function read(rows: AsyncIterable<RowRead>): Promise<Read> {
  const found: Read = { values: [], problems: [], notices: [] };
  for await (const row of rows) {
    if ('notice' in row) found.notices.push(row.notice);
    else if ('problem' in row) found.problems.push(row);
    else found.values.push(row);
  }
  return found;
}
const lost = (found: Read): boolean => found.problems.length + found.notices.length > 0;
const concat = (parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const chunkSize = fc.integer({ min: 1, max: 40 });

/** A line of a JSONL file: a row, or one of the things people's files have instead. */
const goodLine = fc.oneof(
  fc.record({ instruction: fc.string(), output: fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.double({ noNaN: true, noDefaultInfinity: true })) }).map((row) => utf8(JSON.stringify(row))),
  fc.jsonValue().map((value) => utf8(JSON.stringify(value))),
);
const badLine = fc.oneof(
  fc.constantFrom('{"a": ', '{"a": 1}}', "{'a': 1}", '{"a": NaN}', '{"a": 1,}', 'null x', 'hello', '{', ']', '"open', `${'['.repeat(70)}${']'.repeat(70)}`, '<script>alert(1)</script>').map(utf8),
  fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => concat([utf8('{"a":"'), Uint8Array.from([0xff]), bytes.filter((byte) => byte !== 10), utf8('"}')])),
);
const blankLine = fc.constantFrom('', ' ', '\t', '\r').map(utf8);

describe('JSON Lines', () => {
  it('keep or name every line that is not blank, by its number', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.oneof({ weight: 3, arbitrary: goodLine }, { weight: 2, arbitrary: badLine }, blankLine), { maxLength: 12 }), chunkSize, async (lines, size) => {
      const found = await read(readJsonl(inChunks(concat(lines.flatMap((line) => [line, utf8('\n')])), size)));
      const expected = lines.flatMap((line, i) => (line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d) ? [] : [i + 1]));
      expect([...found.values, ...found.problems].map((row) => row.line).sort((a, b) => a - b)).toEqual(expected);
    }), { numRuns: runs(200) });
  });

  it('of any bytes at all are accounted for line by line', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.array(fc.constantFrom(10, 13, 0x22, 0x7b, 0x7d, 0x5b, 0xef, 0xbb, 0xbf), { maxLength: 8 }), chunkSize, async (bytes, more, size) => {
      const all = Uint8Array.from([...bytes, ...more]);
      const found = await read(readJsonl(inChunks(all, size)));
      const lines = new Set([...found.values, ...found.problems].map((row) => row.line));
      let line = 1;
      // A line with any byte that is neither space nor part of a byte order mark must appear.
      for (const byte of all) {
        if (byte === 10) line++;
        else if (byte > 0x20 && byte < 0x80) expect(lines).toContain(line);
      }
    }), { numRuns: runs(150) });
  });

  it('keep numbers as they are written where JavaScript would round them', async () => {
    const { values } = await read(readJsonl(inChunks(utf8('{"a": 1.0, "b": 12345678901234567890, "c": 7, "d": "1.0 and 2.50", "e": [0.1, 1e400]}'), 7)));
    expect(values[0]).toEqual({ line: 1, value: { a: '1.0', b: '12345678901234567890', c: 7, d: '1.0 and 2.50', e: [0.1, '1e400'] } });
  });

  it('name a field that is given twice, and only then', async () => {
    const { values } = await read(readJsonl(inChunks(utf8('{"a": 1, "\\u0061": 2}\n{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}'), 9)));
    expect(values[0]).toEqual({ line: 1, value: { a: 2 }, changed: 'the field "a" is given twice; the last one was kept' });
    expect(values[1]).not.toHaveProperty('changed');
  });
});

describe('A JSON array', () => {
  const row = fc.record({ q: fc.string(), a: fc.oneof(fc.string(), fc.integer(), fc.constant(null)) });
  const broken = fc.constantFrom('{"a": nope}', '{"a": 01}', '{"a" 1}', '{"a": "\\x"}', 'nope', '{"a": "x\ny"}', "{'a': 1}");

  it('keeps or names every element, in order', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.oneof(row.map((value) => JSON.stringify(value)), broken), { maxLength: 10 }), fc.boolean(), chunkSize, async (elements, wrapped, size) => {
      const list = `[${elements.join(', ')}]`;
      const found = await read(readJsonElements(inChunks(utf8(wrapped && elements[0]?.startsWith('{') ? `{"data": ${list}}` : list), size)));
      expect([...found.values, ...found.problems].map((row) => row.line).sort((a, b) => a - b)).toEqual(elements.map((_, i) => i + 1));
    }), { numRuns: runs(100) });
  });

  it('that is damaged anywhere says so, or gives as many rows as before', async () => {
    const damage = fc.record({ at: fc.nat(), bytes: fc.uint8Array({ maxLength: 3 }), remove: fc.nat({ max: 3 }) });
    await fc.assert(fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 6 }), fc.constantFrom(0, 1), damage, fc.boolean(), chunkSize, async (rows, indent, { at, bytes, remove }, cut, size) => {
      const whole = utf8(JSON.stringify(rows, null, indent));
      const place = at % whole.length;
      const damaged = cut ? whole.slice(0, place) : concat([whole.slice(0, place), bytes, whole.slice(place + remove)]);
      let found: Read;
      try {
        found = await read(readJsonElements(inChunks(damaged, size)));
      } catch (error) {
        expect(error).toBeInstanceOf(NotJsonError);
        return;
      }
      if (damaged.length > 0 && found.values.length < rows.length) expect(lost(found)).toBe(true);
    }), { numRuns: runs(120) });
  });

  it('that ends between two rows, and lists beside the rows, are said', async () => {
    expect((await read(readJsonElements(inChunks(utf8('[{"a": 1},'), 4)))).notices).toEqual(['the file ends before its list of rows is closed, after row 1: rows may be missing']);
    const two = await read(readJsonElements(inChunks(utf8('{"version": [1], "train": [{"a": 1}], "test": [{"b": "]}"}], "n": 2} trailing'), 5)));
    expect(two.values).toHaveLength(1);
    expect(two.notices).toEqual(['rows were taken from "train"; not read: "version", "test", "n", "text behind the object"']);
  });
});

describe('CSV', () => {
  const cell = fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'é', '日', '.', '<b>'), maxLength: 5 });
  const tricky = fc.string({ unit: fc.constantFrom('a', '"', '\n', '\r\n', ';', ',', '\t', 'ü'), maxLength: 6 });
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

  it('without quotes is accounted for line by line, however many fields a line has', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { maxLength: 12 }), fc.constantFrom(',', ';', '\t'), fc.constantFrom('\n', '\r\n'), fc.boolean(), chunkSize,
      async (rows, delimiter, newline, bom, size) => {
        const text = [['p', 'a'], ...rows].map((fields) => fields.join(delimiter)).join(newline);
        const found = await read(readCsv(inChunks(utf8((bom ? '\uFEFF' : '') + text), size), delimiter));
        const expected = rows.flatMap((fields, i) => (fields.join(delimiter) === '' ? [] : [i + 2]));
        expect([...found.values, ...found.problems].map((row) => row.line).sort((a, b) => a - b)).toEqual(expected);
        for (const { value } of found.values) expect(Object.keys(value as object)).toEqual(['p', 'a']);
      }), { numRuns: runs(60) });
  });

  it('with every field quoted gives every row back; a line break it rewrites is named', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(tricky, tricky), { maxLength: 6 }), fc.constantFrom(',', ';', '\t'), chunkSize, async (rows, delimiter, size) => {
      const text = [['p', 'a'], ...rows].map((fields) => fields.map(quoted).join(delimiter)).join('\r\n');
      const found = await read(readCsv(inChunks(utf8(text), size), delimiter));
      expect(found.problems).toEqual([]);
      expect(found.values.map(({ value }) => value)).toEqual(rows.map(([p, a]) => ({ p: p.replaceAll('\r\n', '\n'), a: a.replaceAll('\r\n', '\n') })));
      expect(found.values.map(({ changed }) => changed !== undefined)).toEqual(rows.map(([p, a]) => (p + a).includes('\r\n') || `${p}${delimiter}${a}`.includes('\r\n')));
    }), { numRuns: runs(40) });
  });

  it('that is damaged anywhere loses no line without a word', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(tricky, tricky), { minLength: 1, maxLength: 6 }), fc.nat(), fc.constantFrom('"', '\n', 'x', ',', '""', '\u0000'), chunkSize, async (rows, at, insert, size) => {
      const whole = ['p,a', ...rows.map((fields) => fields.map(quoted).join(','))].join('\n');
      const place = 4 + (at % (whole.length - 3));
      const found = await read(readCsv(inChunks(utf8(whole.slice(0, place) + insert + whole.slice(place)), size), ','));
      // A damaged quote may join rows; a row may then hold what was two, but no text is gone unnamed.
      const kept = found.values.flatMap(({ value }) => Object.values(value as Record<string, string>)).join('');
      const letters = (text: string): number => text.replaceAll(/[^aüx]/g, '').length;
      if (found.problems.length === 0) expect(letters(kept)).toBe(letters(rows.flat().join('')) + (insert === 'x' ? 1 : 0));
    }), { numRuns: runs(40) });
  });

  it('names each line behind a quote that never closes, and refuses a header it cannot read', async () => {
    const found = await read(readCsv(inChunks(utf8('p,a\n"0\n"1\n1,2\n"open,3\n4,5'), 50), ','));
    expect(found.values).toEqual([{ line: 4, value: { p: '1', a: '2' } }, { line: 6, value: { p: '4', a: '5' } }]);
    expect(found.problems).toEqual([{ line: 2, problem: expect.stringContaining('(lines 2 to 3)') }, { line: 5, problem: 'a quote that opens here never closes' }]);
    await expect(read(readCsv(inChunks(Uint8Array.from([0xff, 10, 0x31, 0x2c, 0x32, 10]), 3), ','))).rejects.toThrow(CsvHeaderError);
    expect((await read(readCsv(inChunks(utf8('a,,a\n1,2,3'), 3), ','))).notices[0]).toContain('column 3 "a" is called "a_3"');
  });
});

describe('An import', () => {
  const HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)>"\'`${7*7}\u0000\u202E';
  let counter = 0;
  const drop = async (name: string, content: string) => {
    const store = new DatasetStore(await openDatabase(`never-silent-${counter++}`));
    return { store, summary: await importDataset({ name, blob: new Blob([content]), kind: 'file' }, store) };
  };

  it('names every line it drops, far beyond a thousand, in the record of changes', async () => {
    const good = '{"instruction": "q", "output": "a"}';
    const { store, summary } = await drop('rows.jsonl', `${good}\n${'nope\n'.repeat(2500)}{"instruction": "q", "output": "a", "output": "b"}\n`);
    expect(summary).toMatchObject({ rows: 2, skipped: 2500, changed: 1 });
    const made = await changesFile({ dataset: summary, notes: store.notes(summary.id) }, 'json');
    const record = JSON.parse(await made.blob.text()) as { changes: { line: number; action: string }[] };
    expect(made.entries).toBe(2501);
    expect(record.changes.map(({ line }) => line)).toEqual(Array.from({ length: 2501 }, (_, i) => i + 2));
    expect(record.changes.at(-1)).toMatchObject({ action: 'changed' });
    await store.delete(summary.id);
    expect(await store.notes(summary.id).next()).toMatchObject({ done: true });
  });

  it('and training together name every row that is dropped or cut', async () => {
    const row = (instruction: string, output: unknown) => JSON.stringify({ instruction, output });
    const { store, summary } = await drop('rows.jsonl', [row('q', 'a'), row('q', null), row('word '.repeat(100), 'a'), row('q', 'word '.repeat(100)), 'nope', row('q', 7)].join('\n'));
    const encoder = new RowEncoder(byteLevel(), 'chatml', 40);
    const made = await changesFile({ dataset: summary, notes: store.notes(summary.id), training: { rows: store.rows(summary.id), encoder } }, 'text');
    const text = await made.blob.text();
    expect(made).toMatchObject({ entries: 4, fileName: 'rows-changes.txt' });
    expect(text).toContain('line 5: dropped by the import: not JSON');
    expect(text).toContain('line 2 (row 2): dropped by the training: "output" is null, expected text');
    expect(text).toMatch(/line 3 \(row 3\): dropped by the training: its answer begins beyond the maximum length of 40 tokens/);
    expect(text).toMatch(/line 4 \(row 4\): cut by the training: \d+ tokens cut to 40; \d+ trained tokens lost/);
  });

  it.each(['jsonl', 'json', 'csv'])('keeps hostile markup in every field as the text it is (%s)', async (kind) => {
    const value = { instruction: HOSTILE, input: HOSTILE, output: HOSTILE };
    const cell = `"${HOSTILE.replaceAll('"', '""')}"`;
    const content = { jsonl: JSON.stringify(value), json: JSON.stringify([value]), csv: `instruction,input,output\n${cell},${cell},${cell}\n` }[kind]!;
    const { store, summary } = await drop(`rows.${kind}`, content);
    const [row] = await store.rowsAt(summary.id, [0]);
    expect(row!.value).toEqual(value);
    expect(displayRow(row!, summary.mapping)).toMatchObject({ answer: HOSTILE });
    expect(toMessages(row!.value, summary.mapping, 'chatml')).toMatchObject({ ok: true, messages: [{ content: `${HOSTILE}\n${HOSTILE}` }, { content: HOSTILE }] });
  });

  it('of numbers, nulls, lists and markup where text should be keeps every row, and training takes it or says why not', async () => {
    const field = fc.oneof(fc.constantFrom<unknown>(HOSTILE, null, 7, -0.5, true, '', ' ', [], {}, ['a', null], { text: 1 }), fc.string(), fc.jsonValue());
    const mapping = { shape: 'alpaca', instruction: 'instruction', input: 'input', output: 'output' } as const;
    await fc.assert(fc.asyncProperty(fc.array(fc.record({ instruction: field, input: field, output: field }, { requiredKeys: [] }), { maxLength: 8 }), chunkSize, async (rows, size) => {
      const found = await read(readJsonl(inChunks(utf8(rows.map((row) => `${JSON.stringify(row)}\n`).join('')), size)));
      expect(found.values.length + found.problems.length).toBe(rows.length);
      for (const { value } of found.values) {
        const made = toMessages(value, mapping, 'chatml');
        if (!made.ok) expect(made.reason).toMatch(/\w/);
        else for (const { content } of made.messages) expect(typeof content).toBe('string');
      }
    }), { numRuns: runs(60) });
  });

  it('reads a row of 50 MB on one line', async () => {
    const { summary, store } = await drop('long.jsonl', `${JSON.stringify({ instruction: 'q', output: 'x'.repeat(50e6) })}\n{"instruction": "q", "output": "a"}\n`);
    expect(summary).toMatchObject({ rows: 2, skipped: 0 });
    const [row] = await store.rowsAt(summary.id, [0]);
    expect((row!.value as { output: string }).output).toHaveLength(50e6);
  });
});
