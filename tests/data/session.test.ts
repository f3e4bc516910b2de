/** The data requests of a session, with a tokenizer and no GPU: several files, fixes, overlap, record of changes. */
import 'fake-indexeddb/auto';
import { describe, expect, it } from 'vitest';

import { decodeShare, encodeShare } from '../../src/config/shareUrl.ts';
import { readRecipe } from '../../src/config/readRecipe.ts';
import { defaultRecipe } from '../../src/config/recipe.ts';
import { RowEncoder } from '../../src/data/template.ts';
import type { FixSummary, TemplateId } from '../../src/data/types.ts';
import { dataHandlers } from '../../src/worker/session/dataHandlers.ts';
import { Datasets } from '../../src/worker/session/datasets.ts';
import { RowTables } from '../../src/worker/session/rowTables.ts';
import type { RequestContext, SessionEnvironment } from '../../src/worker/session/environment.ts';
import type { SessionState } from '../../src/worker/session/state.ts';
import { openDatabase } from '../../src/data/db.ts';
import { byteLevel } from './helpers.ts';

const tokenizer = byteLevel();
const context: RequestContext = { signal: new AbortController().signal, progress: () => undefined };
let counter = 0;
/** What the data handlers use of a session: its datasets, and a model that is only a tokenizer. */
async function session() {
  const db = await openDatabase(`data-session-${counter++}`);
  const datasets = new Datasets(db, {} as SessionEnvironment);
  const tables = new RowTables(db, datasets, () => {});
  const model = { tokenizer, encoder: (template: TemplateId, maxLength: number | null) => new RowEncoder(tokenizer, template, maxLength) };
  return dataHandlers({ data: async () => ({ datasets, tables }), needModel: () => model, environment: {} } as unknown as SessionState);
}
const line = (instruction: string, output: string): string => `${JSON.stringify({ instruction, output })}\n`;
const file = (name: string, content: string): File => new File([content], name);
const REPORT = { template: 'chatml' as const, maxLength: 128 };

describe('The data requests', () => {
  it('make one dataset of shards and one each of other files', async () => {
    const handlers = await session();
    const made = await handlers['data.importFiles']({ files: [file('train.jsonl', line('a', 'b')), file('part-2.jsonl', line('e', 'f')), file('part-1.jsonl', line('c', 'd'))] }, context);
    expect(made.map(({ name, rows, files }) => [name, rows, files?.map((part) => part.name)])).toEqual([['train.jsonl', 1, undefined], ['part-*.jsonl (2 files)', 2, ['part-1.jsonl', 'part-2.jsonl']]]);
    expect(await handlers['data.importText']({ text: `${line('q', 'a')}${line('r', 'b')}` }, context)).toMatchObject({ rows: 2, mapping: { shape: 'alpaca' } });
  });

  it('apply a fix, name it in the record of changes, undo it, and refuse one that is not safe', async () => {
    const handlers = await session();
    const [dataset] = await handlers['data.importFiles']({ files: [file('rows.jsonl', `${line('a', 'one')}nope\n${line('a', 'one')}${line('b', ' two')}`)] }, context);
    const datasetId = dataset!.id;
    const before = await handlers['data.report']({ datasetId, ...REPORT }, context);
    expect(before.findings.find(({ kind }) => kind === 'duplicate')?.fix).toEqual({ action: 'drop', title: 'Exact copies: the first of each is kept' });
    await handlers['data.applyFix']({ datasetId, kind: 'duplicate', ...REPORT }, context);
    expect(await handlers['data.applyFix']({ datasetId, kind: 'edge-space', ...REPORT }, context)).toMatchObject([{ kind: 'duplicate', rows: 1 }, { kind: 'edge-space', rows: 1 }]);
    expect(await handlers['data.report']({ datasetId, ...REPORT }, context)).toMatchObject({ usableRows: 2, leftOutRows: 1, findings: [{ kind: 'skipped-line' }] });
    const { blob, entries } = await handlers['data.changes']({ datasetId, format: 'text', ...REPORT }, context);
    const text = await blob.text();
    expect(entries).toBe(3);
    expect(text).toContain('line 2: dropped by the import');
    expect(text).toContain('line 3 (row 2): dropped by a fix: Exact copies: the first of each is kept');
    expect(text).toContain('line 4 (row 3): changed by a fix: White space is taken off the ends of texts');
    await expect(handlers['data.applyFix']({ datasetId, kind: 'duplicate', ...REPORT }, context)).rejects.toMatchObject({ code: 'data.noFix' });
    await expect(handlers['data.applyFix']({ datasetId, kind: 'skipped-line', ...REPORT }, context)).rejects.toMatchObject({ code: 'data.noFix' });
    await handlers['data.undoFix']({ datasetId }, context);
    expect(await handlers['data.undoFix']({ datasetId }, context)).toEqual([]);
    expect(await handlers['data.report']({ datasetId, ...REPORT }, context)).toEqual(before);
  });

  it('show the rejected answer of a preference pair in table, preview and inspector, and do not train it', async () => {
    const handlers = await session();
    const pair = (chosen: unknown, rejected: unknown): string => `${JSON.stringify({ prompt: 'Who?', chosen, rejected })}\n`;
    const [dataset] = await handlers['data.importFiles']({ files: [file('pairs.jsonl', pair('Me.', 'No one.') + pair('You.', [{ role: 'user', content: 'Who?' }, { role: 'assistant', content: 'Nobody.' }]))] }, context);
    const datasetId = dataset!.id;
    expect((await handlers['data.rows']({ datasetId, offset: 0, limit: 2 }, context)).map((row) => row.rejected)).toEqual(['No one.', 'Nobody.']);
    expect(await handlers['data.rejected']({ datasetId, index: 1 }, context)).toBe('Nobody.');
    expect(await handlers['data.rejected']({ datasetId, index: 1, mapping: { shape: 'prompt-completion', instruction: 'prompt', output: 'chosen' } }, context)).toBeNull();
    const seen = await handlers['data.inspect']({ datasetId, index: 0, template: 'chatml', maxLength: 64 }, context);
    expect(seen.rejected).toBe('No one.');
    expect(seen.turns.flatMap((turn) => turn.tokens).map((token) => token.text).join('')).not.toContain('No one');
  });

  it('say which rows of a test file were asked in training', async () => {
    const handlers = await session();
    const [train, test] = await handlers['data.importFiles']({ files: [file('train.jsonl', line('a', 'x') + line('b', 'y')), file('test.jsonl', line('c', 'z') + line('B', 'y'))] }, context);
    expect(await handlers['data.overlap']({ datasetId: test!.id, otherId: train!.id }, context)).toEqual({ count: 1, rows: [1], otherRows: [1], near: { count: 0, rows: [], otherRows: [] }, partial: false });
  });
});

describe('A whole row', () => {
  const rows = line('What is a fjord?', 'A long inlet.') + line('What is a delta?', 'Land at a mouth.') + line('What is a mesa?', 'A flat hill.') + line('What is a mesa?', 'A flat hill.');
  const recipe = { ...defaultRecipe(), data: { ...defaultRecipe().data, ...REPORT }, training: { ...defaultRecipe().training, packing: true, validationSplit: 0, shuffle: false } };
  const opened = async () => {
    const handlers = await session();
    const [dataset] = await handlers['data.importFiles']({ files: [file('rows.jsonl', rows)] }, context);
    return { handlers, datasetId: dataset!.id };
  };
  const off = (fixes: FixSummary[]) => fixes.map(({ kind, rows: n }) => [kind, n]);

  it('is switched off: the report, the training and the record of changes leave it out, and undoing brings all back', async () => {
    const { handlers, datasetId } = await opened();
    const before = await handlers['data.report']({ datasetId, ...REPORT }, context);
    await handlers['data.setRowTrained']({ datasetId, index: 1, trained: false }, context);
    expect(off(await handlers['data.setRowTrained']({ datasetId, index: 0, trained: false }, context))).toEqual([['row-switch', 2]]);
    expect(await handlers['data.report']({ datasetId, ...REPORT }, context)).toMatchObject({ rows: 4, leftOutRows: 2, usableRows: 2 });
    expect(await handlers['data.inspect']({ datasetId, index: 0, ...REPORT }, context)).toMatchObject({ leftOutBy: ['Rows switched off one by one'] });
    expect(await handlers['data.trainingPlace']({ datasetId, index: 0, recipe }, context)).toEqual({ part: 'unused', pack: null });
    const { blob } = await handlers['data.changes']({ datasetId, format: 'text' }, context);
    expect((await blob.text()).match(/line \d \(row \d\): dropped by a fix: Rows switched off one by one/g)).toEqual(['line 1 (row 1): dropped by a fix: Rows switched off one by one', 'line 2 (row 2): dropped by a fix: Rows switched off one by one']);
    await handlers['data.undoFix']({ datasetId }, context);
    expect(await handlers['data.report']({ datasetId, ...REPORT }, context)).toEqual(before);
  });

  it('is switched on again whatever left it out, and the other rows of that fix stay out', async () => {
    const { handlers, datasetId } = await opened();
    await handlers['data.applyFix']({ datasetId, kind: 'duplicate', ...REPORT }, context);
    await handlers['data.setRowTrained']({ datasetId, index: 0, trained: false }, context);
    expect(off(await handlers['data.setRowTrained']({ datasetId, index: 3, trained: false }, context))).toEqual([['duplicate', 1], ['row-switch', 1]]);
    expect(off(await handlers['data.setRowTrained']({ datasetId, index: 3, trained: true }, context))).toEqual([['row-switch', 1]]);
    expect(await handlers['data.inspect']({ datasetId, index: 3, ...REPORT }, context)).not.toHaveProperty('leftOutBy');
    expect(await handlers['data.inspect']({ datasetId, index: 0, ...REPORT }, context)).toHaveProperty('leftOutBy');
  });

  it('has its place in a packed sequence, or is held out', async () => {
    const { handlers, datasetId } = await opened();
    const lengths = await Promise.all([0, 1, 2, 3].map(async (index) => (await handlers['data.inspect']({ datasetId, index, ...REPORT }, context)).totalTokens));
    expect(await handlers['data.trainingPlace']({ datasetId, index: 2, recipe }, context)).toEqual({
      part: 'train', pack: { number: 0, of: 1, from: lengths[0]! + lengths[1]!, tokens: lengths.reduce((a, b) => a + b), capacity: 128, rows: [0, 1, 2, 3] },
    });
    const held = { ...recipe, training: { ...recipe.training, packing: false, validationSplit: 0.3 } };
    const places = await Promise.all([0, 1, 2, 3].map((index) => handlers['data.trainingPlace']({ datasetId, index, recipe: held }, context)));
    expect(places.filter(({ part }) => part === 'heldOut')).toHaveLength(1);
    expect(places.every(({ pack }) => pack === null)).toBe(true);
  });
});

describe('Two datasets that overlap', () => {
  const LONG = 'Name three rivers of the north of Europe and say in one sentence each where they begin and where they end.';
  it('are compared word for word and nearly so, and their rows left out with one request that is undone as one', async () => {
    const handlers = await session();
    const train = line(LONG, 'Ume, Lule and Torne.') + line('What is a mesa?', 'A hill.') + line(LONG.replace('Name', 'Please name'), 'Ume, Lule, Torne.') + line('What is new?', 'This.');
    const [one, test] = await handlers['data.importFiles']({ files: [file('mine.jsonl', train), file('exam.jsonl', line(LONG.toUpperCase(), 'Torne, Ume and Lule') + line('what is  a mesa?', ''))] }, context);
    const ids = { datasetId: one!.id, otherId: test!.id };
    expect(await handlers['data.overlap'](ids, context)).toEqual({ count: 2, rows: [0, 1], otherRows: [0, 1], near: { count: 1, rows: [2], otherRows: [0] }, partial: false });
    expect(await handlers['data.leaveOutOverlap']({ ...ids, near: true }, context)).toMatchObject([{ kind: 'overlap', rows: 3, title: 'Rows that ask what exam.jsonl asks, or nearly that' }]);
    expect(await handlers['data.overlap'](ids, context)).toMatchObject({ count: 0, near: { count: 0 } });
    expect(await handlers['data.report']({ datasetId: one!.id, ...REPORT }, context)).toMatchObject({ leftOutRows: 3, usableRows: 1 });
    await expect(handlers['data.leaveOutOverlap']({ ...ids, near: true }, context)).rejects.toMatchObject({ code: 'data.noFix' });
    expect(await handlers['data.undoFix']({ datasetId: one!.id }, context)).toEqual([]);
    expect(await handlers['data.leaveOutOverlap']({ ...ids, near: false }, context)).toMatchObject([{ rows: 2 }]);
    expect(await (await handlers['data.changes']({ datasetId: one!.id, format: 'text' }, context)).blob.text()).toContain('line 2 (row 2): dropped by a fix: Rows that ask what exam.jsonl asks');
  });
});

describe('A mapping', () => {
  const mapping = { shape: 'table' as const, instruction: 'frage', output: 'antwort' };
  it('travels in a share link with the recipe, and one that is none is refused by name', () => {
    const recipe = { ...defaultRecipe(), dataset: { source: 'file' as const, name: 'rows.csv', mapping } };
    const read = decodeShare(encodeShare(recipe));
    expect('recipe' in read && read.recipe.dataset).toEqual(recipe.dataset);
    const odd = readRecipe({ dataset: { ...recipe.dataset, mapping: { shape: 'table', instruction: 'x'.repeat(300) } } });
    expect(odd.refused).toEqual([expect.stringMatching(/^dataset: /)]);
    expect(odd.recipe.dataset).toEqual(defaultRecipe().dataset);
  });
});
