import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { guessDelimiter, readCsv } from '../../src/formats/csv.ts';
import { ElementSplitter, NotJsonError, readJsonElements } from '../../src/formats/jsonArray.ts';
import { readJsonl } from '../../src/formats/jsonl.ts';
import { chunksOf, readLines, type RowRead } from '../../src/formats/lines.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The bytes in pieces of the given sizes, over and over. */
async function* inChunks(bytes: Uint8Array, sizes: number[] = [bytes.length]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length]!);
    yield bytes.slice(at, at + size);
    at += size;
  }
}
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
const jsonl = (text: string | Uint8Array, sizes?: number[]) => all(readJsonl(inChunks(typeof text === 'string' ? utf8(text) : text, sizes)));
const json = (text: string | Uint8Array, sizes?: number[]) => all(readJsonElements(inChunks(typeof text === 'string' ? utf8(text) : text, sizes)));
const csv = (text: string | Uint8Array, delimiter = ',', sizes?: number[]) => all(readCsv(inChunks(typeof text === 'string' ? utf8(text) : text, sizes), delimiter));
const chunkSizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
const values = (rows: RowRead[]): unknown[] => rows.flatMap((row) => ('value' in row ? [row.value] : []));
const problems = (rows: RowRead[]): [number, string][] => rows.flatMap((row) => ('problem' in row ? [[row.line, row.problem] as [number, string]] : []));

describe('JSON Lines', () => {
  it('come out with their line numbers, blank lines left out, however the bytes are cut', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.oneof(fc.jsonValue(), fc.constant(undefined)), { maxLength: 8 }), fc.constantFrom('\n', '\r\n'), fc.boolean(), chunkSizes,
      async (rows, newline, final, sizes) => {
        const text = rows.map((row) => (row === undefined ? '  ' : JSON.stringify(row))).join(newline) + (final ? newline : '');
        const expected = rows.flatMap((row, i) => (row === undefined ? [] : [{ line: i + 1, value: JSON.parse(JSON.stringify(row)) as unknown }]));
        expect(await jsonl(text, sizes)).toEqual(expected);
      }), { numRuns: 100 });
  });

  it('keep what parses and name what does not', async () => {
    const rows = await jsonl('{"a": 1}\n{"a": 2\nhello\n{"a": 3}');
    expect(values(rows)).toEqual([{ a: 1 }, { a: 3 }]);
    expect(problems(rows)).toEqual([[2, expect.stringContaining('not JSON')], [3, expect.stringContaining('not JSON')]]);
  });

  it('name a line with broken UTF-8 and go on behind it', async () => {
    const rows = await jsonl(Uint8Array.from([...utf8('{"a":"é"}\n{"a":"'), 0xc3, 0x28, ...utf8('"}\n{"a":"日"}\n')]), [3]);
    expect(rows).toEqual([{ line: 1, value: { a: 'é' } }, { line: 2, problem: 'broken UTF-8: these bytes are no text' }, { line: 3, value: { a: '日' } }]);
  });

  it('lose a byte order mark at the start, and only there', async () => {
    expect(values(await jsonl('\uFEFF"x"\n"\uFEFFy"'))).toEqual(['x', '\uFEFFy']);
  });

  it('do not repeat the data in a reason', async () => {
    const [[, reason]] = problems(await jsonl('secret words that are no JSON')) as [[number, string]];
    expect(reason).not.toContain('secret words');
  });
});

describe('Lines', () => {
  it('longer than the limit are named and never held', async () => {
    const lines = await all(readLines(inChunks(utf8(`short\n${'x'.repeat(500)}\nlast`), [7]), 100));
    expect(lines).toEqual([{ line: 1, text: 'short' }, { line: 2, text: null, problem: 'the line is longer than 100 bytes' }, { line: 3, text: 'last' }]);
  });

  it('stop at a cancelled signal and release the stream', async () => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(utf8('x\n')), cancel: () => void (cancelled = true) });
    const controller = new AbortController();
    await expect((async () => {
      for await (const _ of chunksOf(stream, controller.signal)) controller.abort();
    })()).rejects.toThrow(/abort/i);
    expect(cancelled).toBe(true);
  });
});

describe('A JSON file of rows', () => {
  const rows = fc.array(fc.jsonValue(), { maxLength: 6 });
  it('comes out element by element, however it is cut and indented', async () => {
    await fc.assert(fc.asyncProperty(rows, fc.constantFrom(0, 2), chunkSizes, async (rows, indent, sizes) => {
      const expected = JSON.parse(JSON.stringify(rows)) as unknown[];
      expect(await json(JSON.stringify(rows, null, indent), sizes)).toEqual(expected.map((value, i) => ({ line: i + 1, value })));
    }), { numRuns: 150 });
  });

  it('may be wrapped in an object', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue(), { maxKeys: 3 }), { minLength: 1, maxLength: 4 }), chunkSizes, async (rows, sizes) => {
      const text = JSON.stringify({ version: '1', meta: { data: [{ no: 1 }] }, data: rows, more: [{ no: 2 }] }, null, 1);
      expect(values(await json(text, sizes))).toEqual(JSON.parse(JSON.stringify(rows)));
    }), { numRuns: 60 });
  });

  it('may be one object, which is the only row, even with a field named like a wrapper', async () => {
    expect(values(await json('{"prompt": "a", "data": ["x", "y"], "completion": "b"}'))).toEqual([{ prompt: 'a', data: ['x', 'y'], completion: 'b' }]);
  });

  it('may be objects one after another', async () => {
    expect(values(await json('{\n "a": 1\n}\n{\n "a": 2\n}\n'))).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it('keeps the elements around one that does not parse, and names it by number and line', async () => {
    const found = await json('[\n{"a": 1},\n{"a": nope},\n{"a": "line\nbreak"},\n{"a": 2}]');
    expect(values(found)).toEqual([{ a: 1 }, { a: 2 }]);
    expect(problems(found)).toEqual([[2, expect.stringContaining('element 2 at line 3: not JSON')], [3, expect.stringContaining('element 3 at line 4: not JSON')]]);
  });

  it('goes on behind a string that is never closed', async () => {
    const found = await json('[\n  {\n    "a": "unclosed\n  },\n  {\n    "a": 2\n  }\n]');
    expect(values(found)).toEqual([{ a: 2 }]);
    expect(problems(found)).toEqual([[1, expect.stringContaining('element 1 at line 2: not JSON')]]);
    expect(values(await json('[\n{"a": "unclosed},\n{"a": 2},\n{"a": 3}\n]'))).toEqual([{ a: 2 }, { a: 3 }]);
  });

  it('that ends in the middle of an element keeps those before it', async () => {
    const found = await json('[{"a": 1}, {"a": "unfini');
    expect(found).toEqual([{ line: 1, value: { a: 1 } }, { line: 2, problem: 'element 2 at line 1: the file ends in the middle of it' }]);
  });

  it('names an element with broken UTF-8', async () => {
    const found = await json(Uint8Array.from([...utf8('[{"a":"'), 0xff, ...utf8('"},{"a":1}]')]));
    expect(values(found)).toEqual([{ a: 1 }]);
    expect(problems(found)[0]![1]).toContain('broken UTF-8');
  });

  it('that is none is refused at its first byte', async () => {
    await expect(json('hello')).rejects.toThrow(NotJsonError);
    await expect(json('42')).rejects.toThrow(NotJsonError);
  });

  it('never throws anything else and never hangs, whatever the bytes', async () => {
    await fc.assert(fc.asyncProperty(fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\\', '\n', 'a', '1', ' ', 'data') }), chunkSizes, async (text, sizes) => {
      try {
        await json(text, sizes);
      } catch (error) {
        expect(error).toBeInstanceOf(NotJsonError);
      }
    }), { numRuns: 300 });
  });

  it('with an element that never closes is given up at 64 MiB', () => {
    const splitter = new ElementSplitter();
    const found: RowRead[] = splitter.push(utf8('[{"a": "'));
    const chunk = new Uint8Array(2 ** 22).fill(0x78);
    for (let i = 0; i < 17; i++) found.push(...splitter.push(chunk));
    expect(problems(found)).toEqual([[1, expect.stringContaining('never ends')]]);
    expect(splitter.end()).toEqual([]);
  });
});

describe('CSV', () => {
  const field = fc.string({ unit: fc.constantFrom('a', 'é', '日', ',', ';', '"', '\n', ' ', '\t'), maxLength: 6 });
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;

  it('gives back every field that was quoted, line breaks and quotes inside included', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(field, field), { maxLength: 5 }), fc.constantFrom(',', ';', '\t'), chunkSizes, async (rows, delimiter, sizes) => {
      const text = [['prompt', 'answer'], ...rows].map((row) => row.map(quote).join(delimiter)).join('\r\n');
      expect(values(await csv(text, delimiter, sizes))).toEqual(rows.map(([prompt, answer]) => ({ prompt, answer })));
    }), { numRuns: 100 });
  });

  it('numbers records by the line they begin on', async () => {
    const rows = await csv('p,a\n"one\ntwo",x\n\nthree,y\n');
    expect(rows).toEqual([{ line: 2, value: { p: 'one\ntwo', a: 'x' } }, { line: 5, value: { p: 'three', a: 'y' } }]);
  });

  it('names a record with too few or too many fields', async () => {
    const rows = await csv('p,a\n1\n1,2\n1,2,3\n');
    expect(problems(rows)).toEqual([[2, '1 fields where the header has 2'], [4, '3 fields where the header has 2']]);
    expect(values(rows)).toEqual([{ p: '1', a: '2' }]);
  });

  it('takes a quote inside an unquoted field for what it is', async () => {
    expect(values(await csv('p,a\n5" pipe,yes\nnext,no\n'))).toEqual([{ p: '5" pipe', a: 'yes' }, { p: 'next', a: 'no' }]);
  });

  it('goes on behind a quote that never closes', async () => {
    const rows = await csv('p,a\n"never closed,x\n2,b\n3,c\n');
    expect(problems(rows)).toEqual([[2, 'a quote that opens here never closes']]);
    expect(values(rows)).toEqual([{ p: '2', a: 'b' }, { p: '3', a: 'c' }]);
  });

  it('names broken UTF-8 by its line, inside a quoted field too', async () => {
    const rows = await csv(Uint8Array.from([...utf8('p,a\n1,'), 0xff, ...utf8('\n"two\n'), 0xfe, ...utf8('\nend",x\n3,c\n')]));
    expect(problems(rows)).toEqual([[2, expect.stringContaining('broken UTF-8')], [4, expect.stringContaining('broken UTF-8')]]);
    expect(values(rows)).toEqual([{ p: '3', a: 'c' }]);
  });

  it('names columns without a name and columns of one name apart', async () => {
    expect(values(await csv('a,,a\n1,2,3'))).toEqual([{ a: '1', column_2: '2', a_3: '3' }]);
  });

  it('is told apart from TSV and semicolons by its first lines', () => {
    expect([guessDelimiter('a\tb\n1\t2'), guessDelimiter('a;b\n1;2'), guessDelimiter('a,b\n1,2'), guessDelimiter('single')]).toEqual(['\t', ';', ',', ',']);
  });
});
