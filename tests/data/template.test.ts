import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { inspectRow, knownTemplates, RowEncoder, type EncodedConversation } from '../../src/data/template.ts';
import type { Message, TemplateId } from '../../src/data/types.ts';
import { byteLevel, sentencePiece } from './helpers.ts';

const tokenizer = byteLevel();
const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string, trained?: boolean): Message => (trained === undefined ? { role: 'assistant', content } : { role: 'assistant', content, trained });
const system = (content: string): Message => ({ role: 'system', content });

function encode(messages: Message[], template: TemplateId | { jinja: string } = 'chatml', maxLength: number | null = null): EncodedConversation {
  const encoded = typeof template === 'string'
    ? new RowEncoder(tokenizer, template, maxLength).encode(messages, 7)
    : new RowEncoder(byteLevel(template.jinja), 'model', maxLength).encode(messages, 7);
  if (!encoded.ok) throw new Error(encoded.reason);
  return encoded;
}
const trainedTexts = ({ rendered }: EncodedConversation): string[] => rendered.trained.map(({ start, end }) => rendered.text.slice(start, end));
/** The text of the labelled tokens, run by run. */
function labelledTexts({ row }: EncodedConversation): string[] {
  const runs: number[][] = [];
  row.labels.forEach((label, i) => {
    if (label === -100) return;
    if (i === 0 || row.labels[i - 1] === -100) runs.push([]);
    runs.at(-1)!.push(label);
  });
  return runs.map((ids) => tokenizer.decode(ids));
}

const CHATML = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const TALK = [system('Be brief.'), user('Name the capital of Norway.'), assistant('Oslo.'), user('And of Peru?'), assistant('Lima.')];

describe('The mask', () => {
  it.each(['chatml', 'llama3', 'alpaca', 'model'] as const)('of %s trains every answer with its end-of-turn token, and nothing else', (template) => {
    const end = template === 'llama3' ? '<|eot_id|>' : '<|im_end|>';
    expect(labelledTexts(encode(TALK, template))).toEqual([`Oslo.${end}`, `Lima.${end}`]);
  });

  it('follows the turns, not what their contents say', () => {
    const encoded = encode([user('<|im_start|>assistant\nI am trained!<|im_end|>'), assistant('No.')]);
    expect(labelledTexts(encoded)).toEqual(['No.<|im_end|>']);
  });

  it('leaves out an answer that was switched off, its end included', () => {
    expect(labelledTexts(encode([user('a'), assistant('one', false), user('b'), assistant('two')]))).toEqual(['two<|im_end|>']);
    expect(labelledTexts(encode([user('a'), assistant('one', false), user('b'), assistant('two')], 'model'))).toEqual(['two<|im_end|>']);
  });

  it('keeps the first tokens of a row that is too long and says what it lost', () => {
    const whole = encode(TALK);
    const cut = encode(TALK, 'chatml', whole.row.fullLength - 3);
    expect([...cut.row.inputIds]).toEqual([...whole.row.inputIds].slice(0, -3));
    expect(cut).toMatchObject({ cut: true, endOfTurnMissing: true, labelsCut: 2 });
    expect(whole).toMatchObject({ cut: false, endOfTurnMissing: false, labelsCut: 0 });
  });

  it('has no target where truncation leaves only the prompt', () => {
    expect(encode(TALK, 'chatml', 8).row.numTargets).toBe(0);
  });

  it('equals labels and ids wherever it trains, for any conversation and template', () => {
    const content = fc.string({ unit: fc.constantFrom('a', 'Ω', '👍', ' ', '\n', '.', '<|im_end|>', '{{x}}', '\uE000'), maxLength: 8 });
    const talk = fc.array(fc.record({ role: fc.constantFrom('system' as const, 'user' as const, 'assistant' as const), content }), { minLength: 1, maxLength: 5 });
    fc.assert(fc.property(talk, fc.constantFrom('chatml', 'alpaca', 'model'), fc.option(fc.integer({ min: 1, max: 40 })), (messages, template, maxLength) => {
      const encoded = encode(messages, template as TemplateId, maxLength);
      const { row, rendered } = encoded;
      expect(row.inputIds.length).toBe(Math.min(row.fullLength, maxLength ?? Infinity));
      row.labels.forEach((label, i) => expect(label === -100 || label === row.inputIds[i]).toBe(true));
      expect(row.numTargets).toBe(row.labels.slice(1).filter((label) => label !== -100).length);
      expect(rendered.trained).toHaveLength(messages.filter((message) => message.role === 'assistant').length);
      // The model's template here is ChatML too: the sentinels find what our own template knows.
      if (template === 'model') expect(rendered.trained).toEqual(encode(messages, 'chatml').rendered.trained);
      expect(rendered.turns.map(({ start, end }) => rendered.text.slice(start, end)).join('')).toBe(rendered.text);
    }), { numRuns: 150 });
  });
});

describe("A model's own template", () => {
  it('that trims contents is proven inside the white space', () => {
    const encoded = encode([user(' q '), assistant('\n answer \n')], { jinja: CHATML.replace("m['content']", "m['content'] | trim") });
    expect(trainedTexts(encoded)).toEqual(['answer<|im_end|>']);
  });

  it('that cuts thinking out of earlier answers trains what is left of them', () => {
    const jinja = CHATML.replace("m['content']", "(m['content'].split('</think>')[-1].lstrip('\n') if m['role'] == 'assistant' and not loop.last else m['content'])");
    const encoded = encode([user('a'), assistant('<think>\nhm\n</think>\n\none'), user('b'), assistant('<think>\nhm\n</think>\n\ntwo')], { jinja });
    expect(trainedTexts(encoded)).toEqual(['one<|im_end|>', '<think>\nhm\n</think>\n\ntwo<|im_end|>']);
  });

  it('that rewrites an answer is refused with the number of the turn', () => {
    const encoder = new RowEncoder(byteLevel(CHATML.replace("m['content']", "(m['content'] | upper if m['content'] | length > 3 else 'short')")), 'model', null);
    expect(encoder.encode([user('What?'), assistant('ok')])).toEqual({
      ok: false, kind: 'unproven-mask', reason: 'turn 2: the template rewrites the content, so its place in the text cannot be proven',
    });
  });

  it('that writes an answer twice or leaves it out is refused', () => {
    const twice = new RowEncoder(byteLevel(CHATML.replace("m['content']", "m['content'] + m['content']")), 'model', null);
    expect(twice.encode([user('a'), assistant('b')])).toMatchObject({ ok: false, kind: 'unproven-mask' });
    const never = new RowEncoder(byteLevel("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"), 'model', null);
    expect(never.encode([user('a'), assistant('b')])).toMatchObject({ ok: false, kind: 'unproven-mask' });
  });

  it('that refuses a conversation refuses the row in its own words', () => {
    const encoder = new RowEncoder(byteLevel("{{ raise_exception('System role not supported') }}"), 'model', null);
    expect(encoder.encode(TALK)).toMatchObject({ ok: false, reason: "the model's template refuses the row: System role not supported" });
  });

  it('shows a system turn it adds by itself, ignored by the loss', () => {
    const jinja = `{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are Etude.<|im_end|>\n' }}{% endif %}${CHATML}`;
    const encoded = encode([user('a'), assistant('b')], { jinja });
    expect(encoded.injected).toEqual(['You are Etude.']);
    expect(encoded.rendered.turns[0]).toMatchObject({ role: 'system', messageIndex: null, trained: false });
    expect(labelledTexts(encoded)).toEqual(['b<|im_end|>']);
    expect(encode(TALK, { jinja }).injected).toEqual([]);
  });

  it('shows an empty think block before the last answer, and puts it before an answer to be generated', () => {
    const jinja = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if loop.last and m.role == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}"
      + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}";
    const encoded = encode([user('a'), assistant('b')], { jinja });
    expect(encoded.injected).toEqual(['<think>\n\n</think>']);
    expect(labelledTexts(encoded)).toEqual(['b<|im_end|>']);
    const prompt = new RowEncoder(byteLevel(jinja), 'model', null).prompt([user('a')]);
    expect(encoded.rendered.text.startsWith(prompt.text)).toBe(true);
  });

  it('without an end-of-turn token says that the answer does not learn to end', () => {
    const encoded = encode([user('a'), assistant('b')], { jinja: "{% for m in messages %}{{ m.role + ':\n' + m.content + '\n' }}{% endfor %}" });
    expect(encoded.endOfTurnMissing).toBe(true);
    expect(labelledTexts(encoded)).toEqual(['b']);
  });

  it('prints a pinned date, so that a row gives the same ids on every day', () => {
    const encoded = encode([user('a'), assistant('b')], { jinja: `{{ 'Today is ' + strftime_now('%d %b %Y') + '.\n' }}${CHATML}` });
    expect(encoded.rendered.text).toContain('Today is 26 Jul 2024.');
    expect(encoded.injected).toEqual(['Today is 26 Jul 2024.']);
  });
});

describe('A prompt', () => {
  it.each(['chatml', 'llama3', 'alpaca', 'model'] as const)('of %s is the beginning of the row it asks for', (template) => {
    const encoder = new RowEncoder(tokenizer, template, null);
    const { text, ids } = encoder.prompt(TALK.slice(0, 4));
    const row = encode(TALK, template);
    expect(row.rendered.text.startsWith(text)).toBe(true);
    expect([...row.row.inputIds].slice(0, ids.length)).toEqual(ids);
  });

  it('stops after the end-of-turn token and the end of text', () => {
    expect(new RowEncoder(tokenizer, 'chatml', null).prompt([user('a')]).stopIds).toEqual([2]);
    expect(new RowEncoder(sentencePiece(), 'alpaca', null).stopIds).toEqual([2]);
  });
});

describe('The inspector', () => {
  it('shows every token of every turn, what is trained, special and cut', () => {
    const encoded = encode(TALK, 'chatml', 30);
    const inspected = inspectRow(encoded, tokenizer, { index: 7, line: 12 });
    const tokens = inspected.turns.flatMap((turn) => turn.tokens);
    expect(tokens.map((token) => token.text).join('')).toBe(encoded.rendered.text);
    expect(tokens.filter((token) => !token.cut).map((token) => token.id)).toEqual([...encoded.row.inputIds]);
    expect(tokens.filter((token) => !token.cut && token.trained)).toHaveLength(inspected.trainedTokens);
    expect(tokens.filter((token) => token.special).length).toBe(10);
    expect(inspected).toMatchObject({ index: 7, line: 12, totalTokens: encoded.row.fullLength, keptTokens: 30 });
    expect(inspected.turns.map((turn) => [turn.role, turn.messageIndex, turn.trained])).toEqual([
      ['system', 0, false], ['user', 1, false], ['assistant', 2, true], ['user', 3, false], ['assistant', 4, true],
    ]);
  });

  it('says why a row is refused', () => {
    const refused = new RowEncoder(tokenizer, 'chatml', null).encode([]);
    expect(inspectRow(refused, tokenizer, { index: 0, line: 1 })).toMatchObject({ turns: [], refused: 'the row holds no turns' });
  });
});

describe('Tokens the tokenizer knows and the model has no weights for', () => {
  const highest = Math.max(...tokenizer.encode('<|im_end|>'));

  it('cost a row its place, by name, and a prompt its answer', () => {
    const encoder = new RowEncoder(tokenizer, 'chatml', null, highest);
    expect(encoder.encode([user('a'), assistant('b')])).toMatchObject({
      ok: false, kind: 'token-beyond-model', reason: expect.stringMatching(/^token [\d,]+ \(".*"\) is beyond the [\d,]+ tokens this model has weights for$/),
    });
    expect(() => encoder.prompt([user('a')])).toThrow('cannot be asked');
  });

  it('are no trouble up to the last', () => {
    const vocabSize = Math.max(...['<|im_start|>', '<|im_end|>'].flatMap((text) => tokenizer.encode(text)), ...tokenizer.encode('user assistant\nab')) + 1;
    expect(new RowEncoder(tokenizer, 'chatml', null, vocabSize).encode([user('a'), assistant('b')]).ok).toBe(true);
  });
});

describe('Templates a tokenizer can write', () => {
  it('are those whose marks are single tokens', () => {
    expect(knownTemplates(tokenizer)).toEqual(['model', 'chatml', 'alpaca']);
    expect(knownTemplates(sentencePiece())).toEqual(['alpaca']);
    expect(new RowEncoder(tokenizer, 'llama3', null).splitControlTokens).toEqual(['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>']);
  });

  it('notice two beginning-of-text tokens', () => {
    const encoded = new RowEncoder(sentencePiece(), 'alpaca', null).encode([system('<s>ab'), user('cd'), assistant('a')]);
    expect(encoded).toMatchObject({ ok: true, doubleBos: true });
  });
});
