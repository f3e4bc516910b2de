/** Pure pieces of the screens: the rail's words, rulers, tokens in lines, drops, mappings, tall lists, settings in words. */
import { readFileSync, statSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BUILTIN_DATA, BUILTIN_MODEL } from '../../src/config/builtin.ts';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { defaultRecipe } from '../../src/config/recipe.ts';
import type { InspectedToken } from '../../src/worker/protocol.ts';
import { forShape, missingPart, sameMapping } from '../../src/ui/data/mappingFields.ts';
import { rulerSteps, segments } from '../../src/ui/data/maskSegments.ts';
import { shownText, tokenWords } from '../../src/ui/data/tokenWords.ts';
import { folderOf } from '../../src/ui/export/python.ts';
import { parseNumber, shownNumber } from '../../src/ui/recipe/NumberField.tsx';
import { fraction, nearestStop, rulerFor, stepStop, visibleTicks } from '../../src/ui/recipe/rulers.ts';
import { mixWords, pointsOf } from '../../src/ui/data/Advice.tsx';
import { effectWords, groupWords, shareText, sharesOf } from '../../src/ui/data/balanceWords.ts';
import { classify } from '../../src/ui/shell/dropped.ts';
import { runsLine, stepStates, type StepFacts } from '../../src/ui/shell/stepStates.ts';
import { recipeChanges } from '../../src/ui/share/settingsText.ts';

const facts: StepFacts = {
  place: 'model', model: { status: 'idle', name: null, share: null }, data: { rows: null, importing: false, findings: null },
  recipe: { touched: false, visited: false, rank: 16, epochs: 3, invalid: 0 }, run: { status: 'idle', step: 0, totalSteps: 0, left: null },
  tuned: null, exported: null, exporting: false,
};

test('an untouched studio says what to do first and marks where you are', () => {
  const s = stepStates(facts);
  expect(s.model).toEqual({ mark: 'here', line: 'Choose a model' });
  expect([s.data.line, s.recipe.line, s.train.line, s.try.line, s.export.line]).toEqual(['None yet', 'Defaults', 'Not started', 'After training', 'After training']);
});

test('a ready step keeps its check where you are; findings show the triangle', () => {
  const s = stepStates({ ...facts, place: 'data', model: { status: 'ready', name: 'SmolLM2-135M', share: null }, data: { rows: 999, importing: false, findings: 3 } });
  expect(s.model).toEqual({ mark: 'check', line: 'SmolLM2-135M · loaded' });
  expect(s.data).toEqual({ mark: 'triangle', line: '999 rows · 3 findings' });
  expect(s.train.line).toBe('Ready');
});

test('a run shows its arc and time left wherever you are, and what was kept at its end', () => {
  const run = { status: 'running' as const, step: 152, totalSteps: 180, left: 33 };
  expect(stepStates({ ...facts, run }).train).toEqual({ mark: 'arc', line: '152 of 180 · 33 s left', share: 152 / 180 });
  expect(stepStates({ ...facts, run: { ...run, left: 107 } }).train.line).toBe('152 of 180 · 1:47 left');
  expect(stepStates({ ...facts, run: { ...run, status: 'stopped' }, tuned: { step: 120, name: 'a' } }).try).toEqual({ mark: 'check', line: 'Ready' });
  expect(stepStates({ ...facts, run, tuned: { step: 120, name: 'a' } }).try.line).toBe('Paused run only');
});

test('Runs counts what is finished and points to what can be resumed', () => {
  expect([runsLine(null), runsLine([{ status: 'finished' }]), runsLine([{ status: 'finished' }, { status: 'interrupted' }])]).toEqual(['None yet', '1 finished', '1 to resume']);
});

test('a ruler places values by its scale and grows to hold one beyond its end', () => {
  const rate = rulerFor('training.learningRate', 2e-4)!;
  expect(fraction(rate, 1e-5)).toBe(0);
  expect(fraction(rate, 1e-3)).toBe(1);
  expect(fraction(rate, 1e-4)).toBeCloseTo(0.5, 10);
  const wide = rulerFor('training.learningRate', 5e-3)!;
  expect(wide.stops.at(-1)).toBeCloseTo(1e-2, 10);
  expect(fraction(wide, 5e-3)).toBeLessThan(1);
  expect(rulerFor('lora.loraAlpha', 16)).toBeNull();
});

test('every value a setting may take has a place on its ruler, and the thumb stops at stops', () => {
  fc.assert(fc.property(fc.constantFrom('training.numTrainEpochs', 'training.learningRate', 'lora.r', 'data.maxLength'), fc.double({ min: 1e-7, max: 2000, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (path, value, share) => {
    const ruler = rulerFor(path, value)!;
    expect(fraction(ruler, value)).toBeGreaterThanOrEqual(0);
    expect(fraction(ruler, value)).toBeLessThanOrEqual(1);
    expect(ruler.stops).toContain(nearestStop(ruler, share));
    const up = stepStop(ruler, value, 1);
    expect(up).toBeGreaterThanOrEqual(value);
    expect(visibleTicks(ruler).length).toBeGreaterThanOrEqual(2);
  }));
});

test('a field takes 2e-4, 1,024 and .5, and tells an empty field from nonsense', () => {
  expect(['2e-4', '1,024', '.5', ' 3 ', ''].map(parseNumber)).toEqual([2e-4, 1024, 0.5, 3, null]);
  expect(['abc', '1e', '--2', '1.2.3'].map(parseNumber)).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
  expect([shownNumber('training.learningRate', 2e-4), shownNumber('data.maxLength', 1024), shownNumber('training.warmupSteps', null)]).toEqual(['2.00e-4', '1024', '']);
});

const token = (text: string, more: Partial<InspectedToken> = {}): InspectedToken => ({ id: 1, text, trained: false, special: false, cut: false, from: 'the template', ...more });

test('lines break only between words: pieces of a word stay together, special tokens stand alone', () => {
  const words = tokenWords([token('<|im_start|>', { special: true }), token('os'), token('mium'), token(' is'), token('\n'), token('The')], 10);
  expect(words.map((w) => w.map((p) => p.token.text).join(''))).toEqual(['<|im_start|>', 'osmium', ' is', '\n', 'The']);
  expect(words[1]!.map((p) => p.position)).toEqual([11, 12]);
});

test('a language without spaces may break, and no word grows past the line', () => {
  expect(tokenWords(['你', '好', '世', '界'].map((t) => token(t)), 0)).toHaveLength(4);
  const long = tokenWords(Array.from({ length: 40 }, () => token('abcd')), 0);
  expect(Math.max(...long.map((w) => w.reduce((n, p) => n + p.token.text.length, 0)))).toBeLessThanOrEqual(32);
});

test('no token is lost or moved when words are made', () => {
  fc.assert(fc.property(fc.array(fc.string({ maxLength: 6 }), { maxLength: 60 }), fc.nat(1000), (texts, start) => {
    const flat = tokenWords(texts.map((t) => token(t)), start).flat();
    expect(flat.map((p) => p.token.text)).toEqual(texts);
    expect(flat.map((p) => p.position)).toEqual(texts.map((_, i) => start + i));
  }));
});

test('a newline is shown as its sign and a lone nothing as a sign too', () => {
  expect([shownText('a\n'), shownText('\t'), shownText('')]).toEqual(['a↵', '⇥', '∅']);
});

test('the ruler of a row joins neighbours of one kind; trained wins over special, cut over all', () => {
  const tokens = [token('<s>', { special: true }), token('a'), token('b'), token('c', { trained: true }), token('</s>', { trained: true, special: true }), token('d', { cut: true })];
  expect(segments({ turns: [{ role: 'assistant', messageIndex: 0, trained: true, tokens }] })).toEqual([
    { kind: 'special', from: 0, length: 1 }, { kind: 'ignored', from: 1, length: 2 }, { kind: 'trained', from: 3, length: 2 }, { kind: 'cut', from: 5, length: 1 },
  ]);
  expect(rulerSteps(83)).toEqual({ tick: 5, label: 20 });
  expect(1024 / rulerSteps(1024).label).toBeLessThanOrEqual(8);
});

const file = (name: string) => new File(['x'], name);

test('what was dropped is told apart: model folder, adapter, data file', () => {
  expect(classify([file('config.json'), file('model.safetensors')], 'smol').kind).toBe('model');
  expect(classify([file('adapter_config.json'), file('adapter_model.safetensors')], 'lora')).toMatchObject({ kind: 'adapter', name: 'lora' });
  expect(classify([file('run.zip')], '')).toMatchObject({ kind: 'adapter', name: 'run' });
  expect(classify([file('rows.jsonl')], '').kind).toBe('data');
  expect(classify([file('rows.txt')], '').kind).toBe('data');
  expect(classify([file('a.jsonl'), file('b.parquet')], '')).toMatchObject({ kind: 'data', files: [{ name: 'a.jsonl' }, { name: 'b.parquet' }] });
});

test('a drop that cannot be used says why, with the number', () => {
  expect(classify([file('a.jsonl'), file('b.zip')], '')).toMatchObject({ kind: 'nothing', reason: expect.stringContaining('2 files') });
  expect(classify([], 'empty')).toMatchObject({ kind: 'nothing', reason: 'The folder empty is empty.' });
  expect(classify([], '').kind).toBe('nothing');
});

test('a folder without a config is still taken for a model, so that the error names what is missing', () => {
  expect(classify([file('weights.bin')], 'broken').kind).toBe('model');
});

test('changing the shape keeps the fields the new shape has and drops the others', () => {
  const alpaca = { shape: 'alpaca' as const, instruction: 'q', output: 'a', input: 'ctx' };
  expect(forShape(alpaca, 'prompt-completion')).toEqual({ shape: 'prompt-completion', instruction: 'q', output: 'a' });
  expect(missingPart(forShape(alpaca, 'messages'))).toBe('Choose a field for list of messages.');
  expect(missingPart(alpaca)).toBeNull();
  expect(sameMapping(alpaca, { ...alpaca })).toBe(true);
  expect(sameMapping(alpaca, { ...alpaca, input: 'other' })).toBe(false);
});

test('what a recipe changes is listed in words', () => {
  expect(recipeChanges(defaultRecipe(), defaultRecipe())).toEqual([]);
  const changes = recipeChanges(defaultRecipe(), builtinRecipe());
  expect(changes.find((c) => c.path === 'lora.targetModules')).toMatchObject({ label: 'Layers that learn', from: 'q, k, v, o', to: 'all seven projections' });
  expect(changes.find((c) => c.path === 'training.learningRate')).toMatchObject({ from: '2e-4', to: '0.005' });
});

test('the folder in the Python lines is the name of the zip', () => {
  expect([folderOf('etude-r8.zip'), folderOf('a b.zip')]).toEqual(['etude-r8', 'a-b']);
});

test('the figures shown for what ships are those of the files', () => {
  const path = (name: string) => new URL(`../../public/builtin/${name}`, import.meta.url);
  const lines = (name: string) => readFileSync(path(name), 'utf8').trim().split('\n').length;
  expect(statSync(path('model/model.safetensors')).size).toBe(BUILTIN_MODEL.bytes);
  expect(statSync(path('data/train.jsonl')).size).toBe(BUILTIN_DATA.bytes);
  expect([lines('data/train.jsonl'), lines('data/heldout.jsonl')]).toEqual([BUILTIN_DATA.rows, BUILTIN_DATA.heldOutRows]);
  const bytes = readFileSync(path('model/model.safetensors'));
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString()) as Record<string, { shape?: number[] }>;
  const parameters = Object.values(header).reduce((sum, t) => sum + (t.shape ? t.shape.reduce((a, b) => a * b, 1) : 0), 0);
  expect(parameters).toBe(BUILTIN_MODEL.parameters);
});

test('the mix is told in words, and a part that is not whole never reads as if it were', () => {
  expect(mixWords([{ type: 'question answering', rows: 60 }, { type: 'chat', rows: 20 }])).toBe('80 rows: question answering 60, chat 20.');
  const part = { name: 'Usable', weight: 30, words: '' };
  expect([1, 0.5, 0.999].map((value) => pointsOf({ ...part, value }))).toEqual(['30 of 30', '15 of 30', '29.9 of 30']);
});

test('what balance does reads as rows, shares and steps', () => {
  const mix = { by: 'task' as const, groups: [{ name: 'question-answering', rows: 900, perEpoch: 300 }, { name: 'code', rows: 100, perEpoch: 250 }, { name: 'chat', rows: 10, perEpoch: 0 }], rowsPerEpoch: 550, asItIs: { steps: 190, stepsPerEpoch: 64 } };
  expect(effectWords({ mix, steps: 105 })).toBe('550 rows an epoch (1,010 as it is), 105 steps in all (190 as it is).');
  expect(mix.groups.map((group) => groupWords(group, false))).toEqual(['300 of 900 rows an epoch, others in the next', 'each row 2.50 times an epoch', 'left out']);
  expect(groupWords(mix.groups[0]!, true)).toBe('300 of 900 rows an epoch, the others are left out');
  expect(sharesOf(mix).map((share) => [share.title, shareText(share)])).toEqual([['question answering', '89\u2009% to 55\u2009%'], ['code', '10\u2009% to 45\u2009%'], ['chat', '1\u2009% to 0\u2009%']]);
  const same = { ...mix, groups: mix.groups.map((group) => ({ ...group, perEpoch: group.rows })), rowsPerEpoch: 1010 };
  expect(effectWords({ mix: same, steps: 190 })).toBe('Every row once an epoch: 1,010 rows, 190 steps in all.');
});
