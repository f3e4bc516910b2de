/** What the table of rows is made of: quality, columns, order, search, split, typed rows. */
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';

import { factsOf, MARKS, qualityOf, qualityParts } from '../../src/data/quality.ts';
import { ColumnWriter, repeatsOf, type Columns } from '../../src/data/table/columns.ts';
import { heldRule, makeSplit, ownGroup, wasHeld } from '../../src/data/table/rowSplit.ts';
import { sortRows } from '../../src/data/table/sortRows.ts';
import { TableIndex } from '../../src/data/table/tableIndex.ts';
import { matcher } from '../../src/data/table/textSearch.ts';
import { TextScan } from '../../src/data/table/textScan.ts';
import { typedRow } from '../../src/data/table/typedRow.ts';
import type { Message } from '../../src/data/types.ts';

const pair = (question: string, answer: string): Message[] => [{ role: 'user', content: question }, { role: 'assistant', content: answer }];
const GOOD = pair('Write a short story about a river.', 'The river ran through three towns before it met the sea.');
const QUESTION = 'What is the highest mountain of the country of Nepal?';
const anyMessages = fc.array(fc.record({ role: fc.constantFrom('system', 'user', 'assistant', 'tool'), content: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('{{name}}', 'As an AI language model, I', 'cafÃ©', '')) }), { maxLength: 5 }) as fc.Arbitrary<Message[]>;

describe('The quality of a row', () => {
  it.each<[string, Message[] | null, number, number]>([
    ['a good row', GOOD, 0, 100],
    ['no conversation', null, MARKS.noConversation, 50],
    ['a question without an answer', [{ role: 'user', content: 'Why?' }], MARKS.noConversation | MARKS.outOfTurn, 25],
    ['an empty answer', pair('Tell me of rivers.', ' '), MARKS.emptyAnswer, 25],
    ['a placeholder', pair('Who are you?', 'I am {{ name }}, made to help you with all of it.'), MARKS.placeholder, 75],
    ['a wrong encoding', pair('Tell me a word.', 'A cafÃ© is a place where one drinks coffee.'), MARKS.mojibake, 75],
    ['an echo', pair(QUESTION, `${QUESTION} It is Everest.`), MARKS.echo, 75],
    ['a refusal', pair('Book me a table.', "I'm sorry, but I cannot book tables for anyone."), MARKS.refusal, 75],
    ['the words of a model far behind', pair('Tell me.', `${'Many words go before it. '.repeat(30)}As an AI language model, I do not know.`), MARKS.refusal, 58],
    ['turns out of order', [...GOOD, { role: 'assistant', content: 'And then it rained, for a long time.' }], MARKS.outOfTurn, 75],
    ['a word to a question', pair('Is water wet?', 'Yes'), 0, 100],
    ['a word to a task that wants more', pair('Write a story.', 'Once'), 0, 83],
  ])('%s is seen and counted', (_, messages, marks, score) => {
    const facts = factsOf(messages);
    expect([facts.marks, qualityOf(facts)]).toEqual([marks, score]);
  });

  it('is the sum of its parts, whose weights add up to 100, whatever the row', () => {
    fc.assert(fc.property(anyMessages, fc.boolean(), (messages, repeats) => {
      const facts = factsOf(messages);
      if (repeats) facts.marks |= MARKS.repeats;
      const parts = qualityParts(facts);
      expect(parts.reduce((sum, { weight }) => sum + weight, 0)).toBe(100);
      expect(qualityOf(facts)).toBe(Math.round(parts.reduce((sum, { weight, value }) => sum + weight * value, 0)));
      for (const { value } of parts) expect(value >= 0 && value <= 1).toBe(true);
    }), { numRuns: 100 });
  });

  it('falls where an answer says the same again and again', () => {
    const said = (times: number) => qualityOf(factsOf(pair('Write about rivers.', 'The long river runs down to the quiet sea. '.repeat(times))));
    expect([said(1), said(20) < 90]).toEqual([100, true]);
  });
});

describe('The scan of a text', () => {
  it('has one hash for the same texts and roles, and others for others', () => {
    const hashOf = (...texts: [string, number][]) => {
      const scan = new TextScan();
      scan.begin();
      for (const [text, role] of texts) scan.add(text, role, false);
      return scan.hash;
    };
    expect(hashOf(['ab', 1], ['c', 2])).toBe(hashOf(['ab', 1], ['c', 2]));
    const others = [hashOf(['ab', 1], ['c', 2]), hashOf(['a', 1], ['bc', 2]), hashOf(['ab', 2], ['c', 2]), hashOf(['ab', 1]), hashOf(['c', 2], ['ab', 1]), hashOf()];
    expect(new Set(others).size).toBe(others.length);
  });

  it('gives the same share of repetition whatever row went before', () => {
    const scan = new TextScan();
    const share = (text: string) => {
      scan.begin();
      scan.add(text, 3, true);
      return scan.repeatedShare;
    };
    const text = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');
    expect([share(text), share(text), share(`${text} ${text}`)]).toEqual([0, 0, expect.closeTo(0.5, 1)]);
  });
});

describe('The order of rows', () => {
  it('is that of a stable sort, up and down', () => {
    fc.assert(fc.property(fc.array(fc.oneof(fc.nat(20), fc.nat(2 ** 32 - 1)), { maxLength: 200 }), fc.boolean(), (keys, descending) => {
      const expected = keys.map((_, i) => i).sort((a, b) => (descending ? keys[b]! - keys[a]! : keys[a]! - keys[b]!) || a - b);
      expect([...sortRows(Int32Array.from(keys.keys()), Uint32Array.from(keys), descending)]).toEqual(expected);
    }), { numRuns: 60 });
  });
});

describe('Rows that repeat others', () => {
  it('are all but the first of each', () => {
    fc.assert(fc.property(fc.array(fc.nat(30)), (hashes) => {
      const expected = hashes.flatMap((hash, i) => (hash !== 0 && hashes.indexOf(hash) < i ? [i] : []));
      expect([...repeatsOf(Float64Array.from(hashes))]).toEqual(expected);
    }), { numRuns: 60 });
  });

  it('are the same after single rows were written as when all are looked at', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 12 }), fc.array(fc.tuple(fc.nat(14), fc.option(fc.constantFrom('a', 'b', 'c', 'd'))), { maxLength: 12 }), async (answers, writes) => {
      const chunks: Columns[] = [];
      let repeats = new Int32Array();
      let contents = new Float64Array();
      const writer = new ColumnWriter({
        async putColumns(_, columns, hashes) {
          chunks.push(columns);
          contents = hashes.content.slice();
        },
        putRepeats: async (rows) => void (repeats = rows.slice()),
      });
      answers.forEach((answer, i) => writer.add(i + 1, pair('Tell me.', answer)));
      await writer.finish();
      const table = new TableIndex(chunks, repeats);
      table.setContents(contents);
      for (const [row, answer] of writes) table.write(row, answer === null ? null : { line: 0, messages: pair('Tell me.', answer), byHand: true });
      const marked = () => Array.from({ length: table.rows }, (_, row) => table.is(row).repeats);
      const after = marked();
      table.remark();
      expect(after).toEqual(marked());
    }), { numRuns: 60 });
  });
});

describe('The search for a text', () => {
  const found = (search: string, value: unknown, edited?: Message[]) => matcher(search)({ index: 0, line: 1, value, ...(edited ? { edited } : {}) });

  it('looks into every field, at any depth, whatever the case', () => {
    const row = { instruction: 'Où est Zürich?', messages: [{ role: 'user', content: [{ type: 'text', text: 'a (b) [c] $x' }] }], score: 1234, none: null };
    expect(['zÜRICH', 'OÙ', '(b) [c] $', '234'].map((text) => found(text, row))).toEqual([true, true, true, true]);
    expect(['instruction', 'null', 'a.b', 'Bern'].map((text) => found(text, row))).toEqual([false, false, false, false]);
  });

  it('reads what JSON text in a field says, not how it is written', () => {
    const row = { conversations: JSON.stringify([{ from: 'human', value: 'say "cafés"\nnow' }]).replace('é', '\\u00e9') };
    expect(['"CAFÉS"', 'now'].map((text) => found(text, row))).toEqual([true, true]);
  });

  it('looks into what was written by hand instead of what the file says', () => {
    expect([found('old', { output: 'old' }, pair('q', 'new')), found('NEW', { output: 'old' }, pair('q', 'new'))]).toEqual([false, true]);
  });

  it('finds a part of any text that is there', () => {
    fc.assert(fc.property(fc.string({ minLength: 1 }), fc.string(), fc.string(), (text, before, behind) => {
      expect(found(text, { field: [before + text + behind] })).toBe(true);
    }), { numRuns: 100 });
  });
});

describe('A split by hand', () => {
  const groupsAndRatio = fc.tuple(fc.array(fc.nat(12), { minLength: 2, maxLength: 80 }), fc.double({ min: 0.05, max: 0.9, noNaN: true }), fc.nat(5));

  it('keeps groups together, comes near the share, and is the same for the same seed', () => {
    fc.assert(fc.property(groupsAndRatio, ([groups, ratio, seed]) => {
      const all = Float64Array.from(groups);
      const rows = Int32Array.from(groups.keys());
      const choice = { ratio, groupBy: 'prompt' as const, seed };
      const split = makeSplit(choice, all, rows, { madeAt: 1, written: [] });
      expect(makeSplit(choice, all, rows, { madeAt: 1, written: [] })).toEqual(split);
      const isHeld = heldRule(split);
      for (const row of rows) expect(wasHeld(split, row)).toBe(isHeld(all[row]! || ownGroup(row)));
      const heldOut = [...rows].filter((row) => wasHeld(split, row));
      expect([split.summary.heldOut, split.summary.train]).toEqual([heldOut.length, rows.length - heldOut.length]);
      expect(heldOut.length).toBeLessThanOrEqual(Math.min(rows.length - 1, Math.max(1, Math.round(ratio * rows.length))));
      // Rows that are groups by themselves (0) fill what is left of the share.
      const single = groups.filter((group) => group === 0).length;
      if (single >= rows.length / 2 && ratio < 0.4) expect(heldOut.length).toBe(Math.max(1, Math.round(ratio * rows.length)));
    }), { numRuns: 100 });
  });

  it('of another seed holds out others', () => {
    const rows = Int32Array.from({ length: 200 }, (_, i) => i);
    const held = (seed: number) => makeSplit({ ratio: 0.2, groupBy: 'none', seed }, new Float64Array(200), rows, { madeAt: 1, written: [] }).held.join();
    expect(held(1)).not.toBe(held(2));
  });
});

describe('A typed row', () => {
  const mapping = { shape: 'messages' as const, messages: 'messages' };
  it('keeps its known parts alone', () => {
    expect(typedRow([{ role: 'user', content: 'q', plain: true, more: 1 }, { role: 'assistant', content: '', trained: false, toolCalls: [{ name: 'f' }] }], mapping))
      .toEqual([{ role: 'user', content: 'q' }, { role: 'assistant', content: '', trained: false, toolCalls: [{ name: 'f', arguments: {} }] }]);
    expect(typedRow([{ role: 'assistant', content: 'a text' }], { shape: 'text', text: 'text' })).toEqual([{ role: 'assistant', content: 'a text', plain: true }]);
  });

  it.each([[[]], ['a'], [[null]], [[{ role: 'god', content: '' }]], [[{ role: 'user' }]], [[{ role: 'user', content: 4 }]], [[{ role: 'assistant', content: '', toolCalls: [{}] }]]])('of %j is refused', (messages) => {
    expect(() => typedRow(messages, mapping)).toThrow(expect.objectContaining({ code: 'data.badRow' }));
  });

  it('of a set of plain texts is one text', () => {
    expect(() => typedRow(pair('q', 'a'), { shape: 'text', text: 'text' })).toThrow(expect.objectContaining({ code: 'data.badRow' }));
  });
});
