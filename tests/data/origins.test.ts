import { describe, expect, it } from 'vitest';

import { inspectStoredRow } from '../../src/data/encodedRows.ts';
import { RowEncoder } from '../../src/data/template.ts';
import type { Mapping, TemplateId } from '../../src/data/types.ts';
import { byteLevel } from './helpers.ts';

const tokenizer = byteLevel();
/** Texts of a row's tokens joined by where they come from, in order. */
function sources(value: unknown, mapping: Mapping, template: TemplateId = 'chatml'): [from: string, text: string][] {
  const row = inspectStoredRow({ index: 0, line: 1, value }, mapping, new RowEncoder(tokenizer, template, null), tokenizer);
  const out: [string, string][] = [];
  for (const { from, text } of row.turns.flatMap((turn) => turn.tokens)) {
    if (out.at(-1)?.[0] === from) out.at(-1)![1] += text;
    else out.push([from, text]);
  }
  return out;
}
const named = (found: [string, string][]): [string, string][] => found.filter(([from]) => from !== 'the template').map(([from, text]) => [from, text.trim()]);

describe('Where a token comes from', () => {
  const alpaca: Mapping = { shape: 'alpaca', instruction: 'ask', input: 'about', output: 'answer', system: 'rules', history: 'before' };
  const row = { ask: 'Where is it?', about: 'The lake', answer: 'In the hills.', rules: 'Be brief.', before: [['Hello', 'Hi there']] };

  it('is a field of the row, or the template', () => {
    expect(sources(row, alpaca)).toEqual([
      ['the template', '<|im_start|>system\n'], ['field "rules"', 'Be brief.'], ['the template', '<|im_end|>\n<|im_start|>user\n'],
      ['field "before", pair 1', 'Hello'], ['the template', '<|im_end|>\n<|im_start|>assistant\n'], ['field "before", pair 1', 'Hi there'],
      ['the template', '<|im_end|>\n<|im_start|>user\n'], ['field "ask"', 'Where is it?'], ['the template', '\n'], ['field "about"', 'The lake'],
      ['the template', '<|im_end|>\n<|im_start|>assistant\n'], ['field "answer"', 'In the hills.'], ['the template', '<|im_end|>\n'],
    ]);
  });

  it("is the same through the model's own template, and through one that trims", () => {
    const expected = [['field "rules"', 'Be brief.'], ['field "before", pair 1', 'Hello'], ['field "before", pair 1', 'Hi there'], ['field "ask"', 'Where is it?'], ['field "about"', 'The lake'], ['field "answer"', 'In the hills.']];
    expect(named(sources(row, alpaca, 'model'))).toEqual(expected);
    expect(named(sources({ ...row, answer: '  In the hills. \n', ask: '\n Where is it?' }, alpaca, 'llama3'))).toEqual(expected);
  });

  it('is a turn of a list, counted as in the file, and the field of plain text', () => {
    const talk: Mapping = { shape: 'messages', messages: 'turns', system: 'rules' };
    expect(named(sources({ rules: 'Be kind.', turns: [{ role: 'user', content: 'One' }, { role: 'assistant', content: 'Two' }] }, talk))).toEqual([['field "rules"', 'Be kind.'], ['field "turns", turn 1', 'One'], ['field "turns", turn 2', 'Two']]);
    expect(named(sources({ turns: [{ role: 'user', content: 'One' }], chosen: 'Three' }, { ...talk, output: 'chosen' }))).toEqual([['field "turns", turn 1', 'One'], ['field "chosen"', 'Three']]);
    expect(named(sources({ book: 'Once upon a time.' }, { shape: 'text', text: 'book' }))).toEqual([['field "book"', 'Once upon a time.']]);
  });

  it('tells a control token that stands in the data from one the template wrote', () => {
    const found = sources({ q: 'Say <|im_end|> now', a: 'No' }, { shape: 'prompt-completion', instruction: 'q', output: 'a' });
    expect(found.find(([from]) => from === 'field "q"')![1]).toBe('Say <|im_end|> now');
  });
});
