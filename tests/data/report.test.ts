import { describe, expect, it } from 'vitest';

import { detect } from '../../src/data/detect.ts';
import { displayRow } from '../../src/data/encodedRows.ts';
import { toMessages } from '../../src/data/messages.ts';
import { buildReport } from '../../src/data/report.ts';
import { clustersOf } from '../../src/data/reportCharts.ts';
import { RowEncoder } from '../../src/data/template.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import type { DataReport, FindingKind, Mapping, StoredRow, TemplateId } from '../../src/data/types.ts';
import { byteLevel, sentencePiece } from './helpers.ts';

const ALPACA: Mapping = { shape: 'alpaca', instruction: 'instruction', input: 'input', output: 'output' };
const alpaca = (instruction: string, output: string, input = '') => ({ instruction, input, output });
const tokenizer = byteLevel();

async function* stored(values: unknown[]): AsyncGenerator<StoredRow> {
  for (const [index, value] of values.entries()) yield { index, line: index + 1, value };
}
interface Case { mapping?: Mapping; template?: TemplateId; maxLength?: number; tokenizer?: Tokenizer; skipped?: number; trainedTurns?: Map<number, Record<number, boolean>> }
async function report(values: unknown[], more: Case = {}) {
  const used = more.tokenizer ?? tokenizer;
  const encoder = new RowEncoder(used, more.template ?? 'chatml', more.maxLength ?? 1024);
  return buildReport({
    rows: stored(values), dataset: { rows: values.length, skipped: more.skipped ?? 0, mapping: more.mapping ?? ALPACA },
    encoder, tokenizer: used, ...(more.trainedTurns ? { trainedTurns: more.trainedTurns } : {}),
  });
}
const finding = (made: DataReport, kind: FindingKind) => made.findings.find((found) => found.kind === kind);
const kinds = (made: DataReport) => made.findings.map((found) => found.kind);
const GOOD = Array.from({ length: 20 }, (_, i) => alpaca(`What is ${i}?`, `It is ${i}.`));

describe('The report', () => {
  it('of clean rows counts rows, tokens and labels, and finds nothing', async () => {
    const { report: made, index } = await report(GOOD);
    const encoder = new RowEncoder(tokenizer, 'chatml', 1024);
    const rows = GOOD.map((value) => {
      const converted = toMessages(value, ALPACA, 'chatml');
      const encoded = converted.ok ? encoder.encode(converted.messages) : converted;
      if (!encoded.ok) throw new Error(encoded.reason);
      return encoded.row;
    });
    const tokens = rows.reduce((sum, row) => sum + row.inputIds.length, 0);
    const labels = rows.reduce((sum, row) => sum + row.labels.filter((label) => label !== -100).length, 0);
    expect(made).toMatchObject({ rows: 20, usableRows: 20, droppedRows: 0, cutRows: 0, tokens, labelledTokens: labels, findings: [], checksPassed: 27 });
    expect(made.longest).toBe(Math.max(...rows.map((row) => row.fullLength)));
    expect(made.histogram.counts.reduce((a, b) => a + b)).toBe(20);
    expect([...index.usable]).toEqual([...GOOD.keys()]);
    expect([...index.lengths]).toEqual(rows.map((row) => row.inputIds.length));
    expect([...index.targets]).toEqual(rows.map((row) => row.numTargets));
  });

  it('calls an answer empty that says nothing, not one that calls a tool', async () => {
    const mapping: Mapping = { shape: 'sharegpt', messages: 'conversations', tools: 'tools' };
    const row = (...turns: [string, string][]) => ({ tools: '[]', conversations: turns.map(([from, value]) => ({ from, value })) });
    const { report: made } = await report([
      row(['human', 'What time is it?'], ['function_call', '{"name": "clock", "arguments": {}}'], ['observation', '"noon"'], ['gpt', 'Noon.']),
      row(['human', 'And now?'], ['gpt', ' ']),
    ], { mapping, template: 'model' });
    expect(finding(made, 'empty-answer')).toMatchObject({ rows: [1], count: 1 });
  });

  it('puts every row into the bucket of its length', async () => {
    const values = Array.from({ length: 30 }, (_, i) => alpaca('q', 'word '.repeat(i * i)));
    const { report: made } = await report(values);
    const { width, counts } = made.histogram;
    const lengths = values.map((value) => tokenizer.encode(`<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n${value.output}<|im_end|>\n`).length);
    expect(counts.length).toBeLessThanOrEqual(40);
    counts.forEach((count, i) => expect(count).toBe(lengths.filter((length) => Math.floor(length / width) === i).length));
  });

  it('names rows that are cut and how many labels that costs', async () => {
    const { report: made, index } = await report([...GOOD, alpaca('q', 'word '.repeat(100))], { maxLength: 40 });
    expect(made).toMatchObject({ cutRows: 1, droppedRows: 0 });
    expect(finding(made, 'cut')).toMatchObject({ count: 1, rows: [20], title: '1 row longer than 40 tokens', detail: expect.stringMatching(/\d+ labelled tokens are lost/) });
    expect(finding(made, 'no-end-of-turn')).toMatchObject({ count: 1, rows: [20], detail: 'The end-of-turn token was cut off by the maximum length.' });
    expect(index.lengths[20]).toBe(40);
  });

  it('drops and names rows of which truncation leaves only the prompt', async () => {
    const { report: made, index } = await report([...GOOD, alpaca('word '.repeat(100), 'yes')], { maxLength: 40 });
    expect(made).toMatchObject({ usableRows: 20, droppedRows: 1, cutRows: 1 });
    expect(finding(made, 'no-target')).toMatchObject({ severity: 'warning', rows: [20] });
    expect([index.lengths[20], index.targets[20], index.usable.includes(20)]).toEqual([0, 0, false]);
  });

  it('calls it an error when more than 30 % of the rows are dropped', async () => {
    const { report: made } = await report([...GOOD, ...Array.from({ length: 10 }, () => ({ instruction: 'q' }))]);
    expect(finding(made, 'missing-field')).toMatchObject({ severity: 'error', count: 10, detail: expect.stringContaining('"output" is missing') });
  });

  it('names exact copies, the first of them excepted', async () => {
    const { report: made } = await report([...GOOD, GOOD[3], alpaca('other', 'x'), GOOD[3], GOOD[0]]);
    expect(finding(made, 'duplicate')).toMatchObject({ count: 3, rows: [20, 22, 23] });
  });

  it('names empty answers, unfilled placeholders and skipped lines', async () => {
    const { report: made } = await report([...GOOD, alpaca('q', ' '), alpaca('Who are you?', 'I am {{name}} by {{ author }}.')], { skipped: 3 });
    expect(finding(made, 'empty-answer')).toMatchObject({ rows: [20] });
    expect(finding(made, 'unfilled-placeholder')).toMatchObject({ rows: [21], detail: expect.stringContaining('"{{name}}", "{{ author }}"') });
    expect(finding(made, 'skipped-line')).toMatchObject({ count: 3, title: '3 lines could not be read' });
    expect(made.checksPassed).toBe(24);
  });

  it('refuses rows with unknown roles by name', async () => {
    const talk = (...roles: string[]) => ({ conversations: roles.map((from) => ({ from, value: 'x' })) });
    const { report: made } = await report([...Array.from({ length: 9 }, () => talk('human', 'gpt')), talk('human', 'function_call', 'observation', 'gpt')],
      { mapping: { shape: 'sharegpt', messages: 'conversations' } });
    expect(made).toMatchObject({ usableRows: 9, droppedRows: 1 });
    expect(finding(made, 'unknown-role')).toMatchObject({ rows: [9], detail: expect.stringContaining('turn 2 has the role "function_call"') });
  });

  it('says which text the template adds by itself, and which rows it cannot prove', async () => {
    const jinja = "{% for m in messages %}{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}";
    const { report: made } = await report([...GOOD, alpaca('q', 'fine')], { template: 'model', tokenizer: byteLevel(jinja) });
    expect(finding(made, 'injected-text')).toMatchObject({ count: 21, detail: expect.stringContaining('"You help."') });
    const refusing = await report([...GOOD, alpaca('{{x', 'a')], { template: 'model', tokenizer: byteLevel("{% for m in messages %}{% if '{{' in m.content %}{{ raise_exception('no braces') }}{% endif %}{{ m.content }}<|im_end|>{% endfor %}") });
    expect(finding(refusing.report, 'unproven-mask')).toMatchObject({ rows: [20], detail: expect.stringMatching(/no braces.* ChatML, Llama 3 and Alpaca write every turn as it is\.$/) });
  });

  it('suggests no other template for rows that call tools, since none can write them', async () => {
    const rows = [0, 1].map((i) => ({ messages: [{ role: 'user', content: '{{x' }, { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: `{"i":${i}}` } }] }] }));
    const template = "{% for m in messages %}{% if '{{' in m.content %}{{ raise_exception('no braces') }}{% endif %}{{ m.content }}<|im_end|>{% endfor %}";
    const mapping = { shape: 'messages' as const, messages: 'messages' };
    const tools = await report(rows, { template: 'model', tokenizer: byteLevel(template), mapping });
    expect(finding(tools.report, 'unproven-mask')?.detail).toMatch(/No other template here takes them: rows that call tools need the own template of a model that writes such calls\.$/);
    const mixed = await report([...rows, { messages: [{ role: 'user', content: '{{x' }, { role: 'assistant', content: 'a' }] }], { template: 'model', tokenizer: byteLevel(template), mapping });
    expect(finding(mixed.report, 'unproven-mask')?.detail).toMatch(/write every turn as it is; rows that call tools need/);
  });

  it('warns of a template whose marks the model lacks, or may never have learned', async () => {
    expect(finding((await report(GOOD, { template: 'llama3' })).report, 'split-special')).toMatchObject({ severity: 'error', count: 3 });
    const base = byteLevel("{% for m in messages %}{{ m.content }}{% endfor %}");
    expect(finding((await report(GOOD, { tokenizer: base })).report, 'untrained-control-tokens')).toMatchObject({ severity: 'warning', count: 20, title: expect.stringContaining('<|im_start|>') });
    // A model made for ChatML never saw Alpaca's headings; one without a template of its own is told nothing.
    expect(finding((await report(GOOD, { template: 'alpaca' })).report, 'untrained-control-tokens')).toMatchObject({ count: 20, title: 'The model was made for another template than this' });
    expect(kinds((await report(GOOD, { template: 'alpaca', tokenizer: sentencePiece() })).report)).not.toContain('untrained-control-tokens');
    for (const template of ['chatml', 'model'] as const) expect(kinds((await report(GOOD, { template })).report)).toEqual([]);
    // A system turn that the model's own template adds makes its turns no others.
    const adds = byteLevel("<|im_start|>system\nBe kind.<|im_end|>\n{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}");
    expect(kinds((await report(GOOD, { tokenizer: adds, template: 'chatml' })).report)).toEqual([]);
  });

  it('finds two beginning-of-text tokens', async () => {
    const { report: made } = await report([alpaca('<s>a', 'b', ''), { instruction: 'a', output: 'b', system: '<s>ab' }],
      { template: 'alpaca', tokenizer: sentencePiece(), mapping: { ...ALPACA, system: 'system' } });
    expect(finding(made, 'double-bos')).toMatchObject({ rows: [1] });
  });

  it('counts only what the inspector left switched on', async () => {
    const { report: made } = await report(GOOD, { trainedTurns: new Map([[4, { 1: false }]]) });
    expect(finding(made, 'no-target')).toMatchObject({ rows: [4], detail: expect.stringContaining('no turn is an answer that is trained') });
  });

  it('stops when it is told to', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(buildReport({
      rows: stored(GOOD), dataset: { rows: 20, skipped: 0, mapping: ALPACA }, encoder: new RowEncoder(tokenizer, 'chatml', 64), tokenizer, signal: controller.signal,
    })).rejects.toThrow(/abort/i);
  });
});

describe('Detection', () => {
  const talk = [{ role: 'user', content: 'q' }, { role: 'assistant', content: 'a' }];
  const shareGpt = [{ from: 'human', value: 'q' }, { from: 'gpt', value: 'a' }];
  it.each([
    [{ instruction: 'q', output: 'a' }, { shape: 'alpaca', instruction: 'instruction', output: 'output' }],
    [{ instruction: 'q', response: 'a' }, { shape: 'alpaca', instruction: 'instruction', output: 'response' }],
    [{ instruction: 'q', input: 'i', output: 'a', system: 's' }, { shape: 'alpaca', instruction: 'instruction', input: 'input', output: 'output', system: 'system' }],
    [{ prompt: 'q', completion: 'a' }, { shape: 'prompt-completion', instruction: 'prompt', output: 'completion' }],
    [{ prompt: 'q', chosen: 'a', rejected: 'b' }, { shape: 'prompt-completion', instruction: 'prompt', output: 'chosen', rejected: 'rejected' }],
    [{ messages: talk }, { shape: 'messages', messages: 'messages' }],
    [{ id: 1, dialog: talk }, { shape: 'messages', messages: 'dialog' }],
    [{ messages: JSON.stringify(talk) }, { shape: 'messages', messages: 'messages' }],
    [{ conversations: shareGpt }, { shape: 'sharegpt', messages: 'conversations' }],
    [{ conversations: talk, system: 's' }, { shape: 'messages', messages: 'conversations', system: 'system' }],
    [{ prompt: 'q', chosen: talk, rejected: talk }, { shape: 'messages', messages: 'chosen', rejected: 'rejected' }],
    [{ question: 'q', answer: 'a' }, { shape: 'table', instruction: 'question', output: 'answer' }],
    [{ input: 'q', output: 'a' }, { shape: 'table', instruction: 'input', output: 'output' }],
    [{ frage: 'q', antwort: 'a', n: 1 }, { shape: 'table', instruction: 'frage', output: 'antwort' }],
  ])('of %j', (row, mapping) => {
    expect(detect([row, row])!.mapping).toEqual(mapping);
  });

  it('goes by most rows and says how many', () => {
    const found = detect([...Array.from({ length: 8 }, () => ({ instruction: 'q', input: '', output: 'a', note: 1 })), { messages: talk }, { instruction: 'q', output: 'a' }])!;
    expect(found.mapping).toEqual(ALPACA);
    expect(found.because).toBe('9 of the first 10 rows have "instruction", "input" and "output": Alpaca. Not used: "note" and "messages".');
    expect(found.fields).toEqual(['instruction', 'input', 'output', 'note', 'messages']);
  });

  it('says that it guesses where it knows none of the names', () => {
    expect(detect([{ frage: 'q', antwort: 'a' }])!.because).toContain('check this');
  });

  it.each([[[]], [[1, 2]], [[{ a: 1 }]], [[{ a: 'only one text' }]], [[[{ role: 'user' }]]], [[null]]])('gives nothing for %j', (rows) => {
    expect(detect(rows as unknown[])).toBeNull();
  });
});

describe('A row as messages', () => {
  const messages = (value: unknown, mapping: Mapping) => toMessages(value, mapping, 'chatml');
  const MESSAGES: Mapping = { shape: 'messages', messages: 'messages' };
  it('takes OpenAI\'s roles, text parts and weights', () => {
    const value = { messages: [{ role: 'developer', content: 's' }, { role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'text', text: 'b' }] }, { role: 'assistant', content: 'x', weight: 0 }, { role: 'assistant', content: 'y', weight: 1 }] };
    expect(messages(value, MESSAGES)).toEqual({ ok: true, messages: [
      { role: 'system', content: 's' }, { role: 'user', content: 'ab' }, { role: 'assistant', content: 'x', trained: false }, { role: 'assistant', content: 'y' },
    ] });
  });

  it.each([
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'unknown-role', 'turn 1 has the role "tool"'],
    [{ messages: [{ content: 'x' }] }, 'unknown-role', 'turn 1 names no role'],
    [{ messages: [{ role: 'assistant', content: null, tool_calls: [{}] }] }, 'unknown-role', 'turn 1 calls a tool'],
    [{ messages: [{ role: 'user', content: null }] }, 'missing-field', 'turn 1 has null for content'],
    [{ messages: [{ role: 'user', content: [{ type: 'image' }] }] }, 'missing-field', 'turn 1 holds a part that is no text'],
    [{ messages: [] }, 'missing-field', 'the row holds no turns'],
    [{ messages: ['x'] }, 'missing-field', 'turn 1 is text'],
    [{ messages: 'x' }, 'missing-field', '"messages" is text'],
    ['text', 'missing-field', 'the row is text'],
    [null, 'missing-field', 'the row is null'],
    [{ constructor: 1 }, 'missing-field', '"messages" is missing'],
  ])('refuses %j by name', (value, kind, reason) => {
    expect(messages(value, MESSAGES)).toEqual({ ok: false, kind, reason: expect.stringContaining(reason) });
  });

  it('refuses a role named like a property of every object', () => {
    expect(messages({ messages: [{ role: 'constructor', content: 'x' }] }, MESSAGES)).toMatchObject({ ok: false, kind: 'unknown-role' });
  });

  it('puts a system field first and takes numbers for text', () => {
    expect(messages({ q: 2, a: true, s: 'be' }, { shape: 'table', instruction: 'q', output: 'a', system: 's' })).toEqual({ ok: true, messages: [
      { role: 'system', content: 'be' }, { role: 'user', content: '2' }, { role: 'assistant', content: 'true' },
    ] });
  });

  it('is shown by its first question and last answer, or by its problem', () => {
    const row = (value: unknown): StoredRow => ({ index: 3, line: 9, value });
    const talk = ['user', 'assistant', 'user', 'assistant'].map((role, i) => ({ role, content: `${role} ${i}` }));
    expect(displayRow(row({ messages: talk }), MESSAGES)).toEqual({ index: 3, line: 9, prompt: 'user 0', answer: 'assistant 3' });
    expect(displayRow(row({ messages: talk.slice(0, 1) }), MESSAGES)).toMatchObject({ problem: 'the row holds no answer' });
    expect(displayRow(row({ x: 'y'.repeat(1000) }), MESSAGES)).toMatchObject({ prompt: expect.stringMatching(/^.{401}$/), problem: expect.stringContaining('missing') });
  });
});

describe('The charts of the report', () => {
  it('count prompts, answers and trained shares of every row, before it is cut', async () => {
    const rows = [alpaca('a', 'b'), alpaca('a '.repeat(60), 'b'), alpaca('a', 'b '.repeat(60)), { other: 1 }];
    const { report: made } = await report(rows, { maxLength: 64 });
    const { prompts, answers, shares } = made.charts;
    const total = (counts: number[]): number => counts.reduce((a, b) => a + b, 0);
    // The row without the mapped fields has no length; the one whose answer lies beyond the cut has, and no share.
    expect([total(prompts.counts), total(answers.counts), total(made.histogram.counts), total(shares)]).toEqual([3, 3, 3, made.usableRows]);
    const last = ({ width, counts }: { width: number; counts: number[] }): number => width * (counts.length - 1);
    expect(last(prompts)).toBeGreaterThan(60);
    expect(last(answers)).toBeGreaterThan(60);
    expect(last(answers) + last(prompts)).toBeGreaterThan(last(made.histogram));
  });

  it('put exact copies and near duplicates of one row into one group', () => {
    const hashes = Float64Array.of(7, 8, 7, 0, 9, 8, 7, 0);
    const near = { rows: Int32Array.of(1, 4), firstOf: Int32Array.of(0, 0), clusters: 1, partial: false };
    expect(clustersOf(hashes, Int32Array.of(2, 5, 6), near)).toEqual({ sizes: [[6, 1]], largest: [{ size: 6, rows: [0, 1, 2, 4, 5, 6] }] });
    expect(clustersOf(hashes, Int32Array.of(2, 5, 6), null)).toEqual({ sizes: [[2, 1], [3, 1]], largest: [{ size: 3, rows: [0, 2, 6] }, { size: 2, rows: [1, 5] }] });
    expect(clustersOf(hashes, new Int32Array(), null)).toEqual({ sizes: [], largest: [] });
  });
});
