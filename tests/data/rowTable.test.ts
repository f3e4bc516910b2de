/** The requests about rows, with a tokenizer and no GPU: views, searches, edits, splits, exports, and what all else sees of them. */
import 'fake-indexeddb/auto';
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';

import { recipeSchema } from '../../src/config/recipe.ts';
import { openDatabase } from '../../src/data/db.ts';
import { DatasetStore } from '../../src/data/store.ts';
import { RowEncoder } from '../../src/data/template.ts';
import { exportView } from '../../src/data/table/exportOrder.ts';
import { TASK_TYPES } from '../../src/data/taskTypes.ts';
import type { Message, TemplateId } from '../../src/data/types.ts';
import type { RowView, ViewEvent, ViewRow } from '../../src/worker/protocol.ts';
import { dataHandlers } from '../../src/worker/session/dataHandlers.ts';
import { Datasets } from '../../src/worker/session/datasets.ts';
import type { RequestContext, SessionEnvironment } from '../../src/worker/session/environment.ts';
import type { LoadedModel } from '../../src/worker/session/loadedModel.ts';
import { RowTables } from '../../src/worker/session/rowTables.ts';
import type { SessionState } from '../../src/worker/session/state.ts';
import { byteLevel } from './helpers.ts';

const tokenizer = byteLevel();
const REPORT = { template: 'chatml' as const, maxLength: 256 };
const ALL: RowView = { search: '', where: {}, sort: { by: 'row', descending: false } };
const pair = (question: string, answer: string): Message[] => [{ role: 'user', content: question }, { role: 'assistant', content: answer }];
let counter = 0;

async function session() {
  const db = await openDatabase(`rows-${counter++}`);
  const events: ViewEvent[] = [];
  const progress: number[] = [];
  const context: RequestContext = { signal: new AbortController().signal, progress: (_, done) => void progress.push(done) };
  const datasets = new Datasets(db, {} as SessionEnvironment);
  const tables = new RowTables(db, datasets, (event) => void (event.type === 'data.view' && events.push(event)));
  const model = { tokenizer, encoder: (template: TemplateId, maxLength: number | null) => new RowEncoder(tokenizer, template, maxLength) } as unknown as LoadedModel;
  const handlers = dataHandlers({ data: async () => ({ datasets, tables }), needModel: () => model, environment: {} } as unknown as SessionState);
  const of = (rows: readonly unknown[], name = 'rows.jsonl') => handlers['data.import']({ source: { kind: 'file', file: new File([rows.map((row) => JSON.stringify(row)).join('\n')], name) } }, context);
  const shown = async (datasetId: string, view: Partial<RowView> = {}): Promise<ViewRow[]> => {
    const { viewId, count, searching } = await handlers['data.view']({ datasetId, view: { ...ALL, ...view } }, context);
    if (searching) await ended(events, viewId);
    return handlers['data.viewRows']({ viewId, offset: 0, limit: searching ? 1000 : count }, context);
  };
  const textOf = async (datasetId: string) => (await handlers['data.changes']({ datasetId, format: 'text' }, context)).blob.text();
  return { handlers, context, datasets, db, events, progress, model, of, shown, textOf };
}

async function ended(events: ViewEvent[], viewId: string): Promise<ViewEvent> {
  for (;;) {
    const last = events.findLast((event) => event.viewId === viewId);
    if (last?.done) return last;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const row = (instruction: string, output: string, more: object = {}) => ({ instruction, output, ...more });
const ROWS = [row('Write a story.', 'Once there was a river that ran to the sea.'), row('Is water wet?', 'Yes'), row('Write a story.', 'Once there was a river that ran to the sea.'), row('Who are you?', 'I am {{name}}, made to help.'), row('Say it.', '')];

describe('A view of rows', () => {
  it('tells of each row its task, lengths and quality with its parts', async () => {
    const { of, shown } = await session();
    const rows = await shown((await of(ROWS)).id);
    expect(rows.map(({ index, line, task, quality, promptChars, answerChars, totalChars }) => [index, line, task, quality, promptChars, answerChars, totalChars])).toEqual([
      [0, 1, 'generation', 100, 14, 43, 57], [1, 2, 'question-answering', 100, 13, 3, 16], [2, 3, 'generation', 75, 14, 43, 57], [3, 4, 'question-answering', 75, 12, 28, 40], [4, 5, 'other', 25, 7, 0, 7],
    ]);
    expect(rows[2]!.parts.find(({ name }) => name === 'Told once')).toMatchObject({ value: 0, weight: 25, words: 'it repeats an earlier row' });
    expect(rows[3]!.parts.find(({ name }) => name === 'Clean')!.words).toContain('placeholder');
  });

  it('has the rows that meet its conditions, in its order, whatever they are', async () => {
    const { of, shown } = await session();
    const texts = ['Write a poem about rivers and seas.', 'Is it?', 'Hello, I want to chat.', 'Summarise the text.', 'Add 1, 2 and 3.'];
    const range = fc.option(fc.tuple(fc.nat(60), fc.nat(60)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const), { nil: undefined });
    const views = fc.record({
      where: fc.record({
        task: fc.option(fc.subarray([...TASK_TYPES]), { nil: undefined }), answer: range, prompt: range,
        quality: fc.option(fc.tuple(fc.integer({ min: 0, max: 100 }), fc.constant(100)), { nil: undefined }), edited: fc.option(fc.boolean(), { nil: undefined }),
      }),
      sort: fc.record({ by: fc.constantFrom('row', 'prompt', 'answer', 'total', 'quality', 'task' as const), descending: fc.boolean() }),
    }) as fc.Arbitrary<Pick<RowView, 'where' | 'sort'>>;
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...texts), fc.string({ maxLength: 60 })), { minLength: 1, maxLength: 25 }), fc.array(views, { minLength: 3, maxLength: 3 }), async (pairs, asked) => {
      const { id } = await of(pairs.map(([question, answer]) => row(question, answer)));
      const all = await shown(id);
      const isIn = (value: number, bounds: readonly [number, number] | undefined) => !bounds || (value >= bounds[0] && value <= bounds[1]);
      for (const { where, sort } of asked) {
        const expected = all.filter((r) => (!where.task || where.task.includes(r.task)) && isIn(r.answerChars, where.answer) && isIn(r.promptChars, where.prompt) && isIn(r.quality, where.quality) && !where.edited);
        const keyOf = (r: ViewRow) => ({ row: r.index, prompt: r.promptChars, answer: r.answerChars, total: r.totalChars, quality: r.quality, task: [...TASK_TYPES].sort().indexOf(r.task) })[sort.by];
        expected.sort((a, b) => (sort.descending ? keyOf(b) - keyOf(a) : keyOf(a) - keyOf(b)) || a.index - b.index);
        expect((await shown(id, { where, sort })).map(({ index }) => index)).toEqual(expected.map(({ index }) => index));
      }
    }), { numRuns: 12 });
  });

  it('by a finding has all rows of the last report, and says when they were edited since', async () => {
    const { handlers, context, of, shown } = await session();
    const { id } = await of(Array.from({ length: 1203 }, (_, i) => row(`Question ${i}?`, i < 1100 ? '' : `Answer ${i}`)));
    const view = { ...ALL, where: { finding: 'empty-answer' as const } };
    await expect(handlers['data.view']({ datasetId: id, view }, context)).rejects.toMatchObject({ code: 'data.noReport' });
    await handlers['data.report']({ datasetId: id, ...REPORT }, context);
    expect(await handlers['data.view']({ datasetId: id, view }, context)).toEqual({ viewId: expect.any(String), count: 1100, total: 1203, searching: false });
    await handlers['data.deleteRows']({ datasetId: id, indexes: [7] }, context);
    expect(await handlers['data.view']({ datasetId: id, view }, context)).toMatchObject({ count: 1099, total: 1202, stale: true });
    expect((await shown(id, view)).some(({ index }) => index === 7)).toBe(false);
  });

  it('comes before the report that is being made; one by a finding waits for it', async () => {
    const { handlers, context, of, shown } = await session();
    const { id } = await of(Array.from({ length: 1203 }, (_, i) => row(`Question ${i}?`, i < 1100 ? '' : `Answer ${i}`)));
    const done: string[] = [];
    const report = handlers['data.report']({ datasetId: id, ...REPORT }, context).then(() => done.push('report'));
    const finding = handlers['data.view']({ datasetId: id, view: { ...ALL, where: { finding: 'empty-answer' } } }, context).then(({ count }) => done.push(`finding ${count}`));
    const search = shown(id, { search: 'ANSWER 1200' }).then((rows) => done.push(`search ${rows.length}`));
    await Promise.all([report, finding, search]);
    expect(done[0]).toBe('search 1');
    expect(done.slice(1).sort()).toEqual(['finding 1100', 'report']);
  });

  it('leaves out what fixes leave out, and shows that alone when asked', async () => {
    const { handlers, context, of, shown } = await session();
    const { id } = await of(ROWS);
    await handlers['data.applyFix']({ datasetId: id, kind: 'duplicate', ...REPORT }, context);
    expect((await shown(id)).map(({ index }) => index)).toEqual([0, 1, 3, 4]);
    expect((await shown(id, { where: { leftOut: true } })).map(({ index, leftOut }) => [index, leftOut])).toEqual([[2, true]]);
  });

  it('of a dataset without columns, or of another mapping, is made of its rows once', async () => {
    const { handlers, context, db, of, shown, progress } = await session();
    const { id } = await of(ROWS);
    await db.delete('columns', IDBKeyRange.bound([id], [id, []]));
    progress.length = 0;
    const first = await shown(id);
    expect([first.map(({ quality }) => quality), progress.length]).toEqual([[100, 100, 75, 75, 25], 1]);
    await handlers['data.setMapping']({ datasetId: id, mapping: { shape: 'table', instruction: 'output', output: 'instruction' } }, context);
    expect((await shown(id, { sort: { by: 'prompt', descending: true } })).map(({ promptChars }) => promptChars)).toEqual([43, 43, 28, 3, 0]);
    expect(progress.length).toBe(2);
  });

  it('that is closed, or of rows nobody keeps, is refused by name', async () => {
    const { handlers, context, of } = await session();
    const { id } = await of(ROWS);
    const { viewId } = await handlers['data.view']({ datasetId: id, view: ALL }, context);
    await handlers['data.viewClose']({ viewId }, context);
    await expect(handlers['data.viewRows']({ viewId, offset: 0, limit: 1 }, context)).rejects.toMatchObject({ code: 'data.noView' });
  });
});

describe('A search', () => {
  const many = Array.from({ length: 500 }, (_, i) => row(`Question ${i}`, i % 50 === 7 ? `The ZEBRA of ${i}` : `Answer ${i}`, { source: i === 3 ? 'zebra.txt' : 'x' }));

  it('finds rows by any field, tells its way, and sorts what it found', async () => {
    const { handlers, context, of, shown, events } = await session();
    const { id } = await of(many);
    const found = await shown(id, { search: 'zebra', sort: { by: 'row', descending: true } });
    expect(found.map(({ index }) => index)).toEqual([457, 407, 357, 307, 257, 207, 157, 107, 57, 7, 3]);
    expect(events.at(-1)).toEqual({ type: 'data.view', viewId: expect.any(String), count: 11, searched: 500, total: 500, done: true });
    expect(events[0]).toMatchObject({ count: 3, searched: 64, done: false });
    expect(await shown(id, { search: 'zebra', where: { answer: [0, 10] } })).toMatchObject([{ index: 3 }]);
    const { id: larger } = await of(Array.from({ length: 20 }, () => many).flat());
    const { viewId } = await handlers['data.view']({ datasetId: larger, view: { ...ALL, search: 'zebra' } }, context);
    await expect(handlers['data.exportRows']({ datasetId: larger, viewId }, context)).rejects.toMatchObject({ code: 'data.searching' });
  });

  it('that is cancelled keeps what it found when asked to, and tells nothing more', async () => {
    const { handlers, context, of, events } = await session();
    const { id } = await of(many);
    const { viewId } = await handlers['data.view']({ datasetId: id, view: { ...ALL, search: 'zebra' } }, context);
    while (events.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    await handlers['data.viewClose']({ viewId, keep: true }, context);
    const told = events.length;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(events.length).toBe(told);
    expect((await handlers['data.viewRows']({ viewId, offset: 0, limit: 100 }, context)).length).toBe(events.at(-1)!.count);
    expect((await handlers['data.exportRows']({ datasetId: id, viewId }, context)).rows).toBe(events.at(-1)!.count);
  });

  it('reads what was written by hand, and rows that were added', async () => {
    const { handlers, context, of, shown } = await session();
    const { id } = await of(many.slice(0, 20));
    await handlers['data.editRow']({ datasetId: id, index: 7, messages: pair('Question 7', 'a horse') }, context);
    await handlers['data.addRow']({ datasetId: id, messages: pair('What has stripes?', 'A zebra.') }, context);
    expect((await shown(id, { search: 'Zebra' })).map(({ index }) => index)).toEqual([3, 20]);
    expect((await shown(id, { search: 'horse' })).map(({ index }) => index)).toEqual([7]);
  });

  it('that cannot read the rows says so where it ends', async () => {
    const { handlers, context, of, events, datasets } = await session();
    const { id } = await of(many);
    datasets.store.snapshot = () => Promise.resolve({ batches: () => (async function* () { yield await Promise.reject(new Error('the disk is gone')); })() } as never);
    const { viewId } = await handlers['data.view']({ datasetId: id, view: { ...ALL, search: 'zebra' } }, context);
    expect(await ended(events, viewId)).toMatchObject({ searched: 0, done: true, problem: { what: expect.stringContaining('the disk is gone') } });
  });
});

describe('Edits of rows', () => {
  it('show in the table, the preview, the inspector, the report and the record of changes, and are taken back', async () => {
    const { handlers, context, of, shown, textOf } = await session();
    const { id, rows } = await of(ROWS);
    const before = await handlers['data.report']({ datasetId: id, ...REPORT }, context);
    expect(await handlers['data.editRow']({ datasetId: id, index: 4, messages: pair('Say it.', 'It is said, and it is said well.') }, context)).toEqual({ index: 4, line: 5, prompt: 'Say it.', answer: 'It is said, and it is said well.' });
    expect(await handlers['data.addRow']({ datasetId: id, messages: pair('New?', 'New, and long enough to count.') }, context)).toMatchObject({ index: rows, line: 0 });
    expect(await handlers['data.deleteRows']({ datasetId: id, indexes: [1, 3, 1] }, context)).toEqual({ deleted: 2 });
    expect((await shown(id)).map(({ index, edited, quality }) => [index, edited, quality])).toEqual([[0, false, 100], [2, false, 75], [4, true, 100], [5, true, 100]]);
    expect((await shown(id, { where: { edited: true } })).map(({ index }) => index)).toEqual([4, 5]);
    expect((await handlers['data.rows']({ datasetId: id, offset: 1, limit: 2 }, context)).map(({ index }) => index)).toEqual([2, 4]);
    expect(await handlers['data.preview']({ datasetId: id, index: 4 }, context)).toEqual(pair('Say it.', 'It is said, and it is said well.'));
    const inspected = await handlers['data.inspect']({ datasetId: id, index: 5, ...REPORT }, context);
    expect(inspected.turns.flatMap(({ tokens }) => tokens).filter(({ from }) => from === 'typed by hand').map(({ text }) => text).join('').replaceAll('Ġ', ' ')).toBe('New?New, and long enough to count.');
    expect(await handlers['data.report']({ datasetId: id, ...REPORT }, context)).toMatchObject({ rows: 4, usableRows: 4, droppedRows: 0 });
    expect((await handlers['data.list']({}, context))[0]).toMatchObject({ rows: 4, edits: { edited: 1, added: 1, deleted: 2, next: 6 } });
    const record = await textOf(id);
    for (const words of ['line 5 (row 5): changed by hand: edited', 'typed (row 6): added by hand: typed', 'line 2 (row 2): dropped by hand: deleted', 'line 4 (row 4): dropped by hand: deleted']) expect(record).toContain(words);
    expect((await handlers['data.edits']({ datasetId: id }, context)).map(({ kind, rows, words }) => [kind, rows, words])).toEqual([
      ['edit', 1, 'Row 5 (line 5) was edited'], ['add', 1, 'Row 6 was added'], ['delete', 2, '2 rows were deleted: 2, 4'],
    ]);
    for (const left of [2, 1, 0]) expect(await handlers['data.undoEdit']({ datasetId: id }, context)).toHaveLength(left);
    expect(await handlers['data.report']({ datasetId: id, ...REPORT }, context)).toEqual(before);
    expect((await shown(id)).map(({ quality }) => quality)).toEqual([100, 100, 75, 75, 25]);
    expect(await textOf(id)).toContain('Every row reaches training as the file has it.');
    expect(await handlers['data.addRow']({ datasetId: id, messages: pair('Again?', 'A row has no index that another had.') }, context)).toMatchObject({ index: 6 });
  });

  it('in any order leave what a list of rows would, and undoing all of them the file', async () => {
    const { handlers, context, of, shown, datasets } = await session();
    const acts = fc.array(fc.oneof(
      fc.record({ act: fc.constant('edit' as const), at: fc.nat(), text: fc.string({ maxLength: 5 }) }),
      fc.record({ act: fc.constant('add' as const), at: fc.nat(), text: fc.string({ maxLength: 5 }) }),
      fc.record({ act: fc.constant('delete' as const), at: fc.nat(), text: fc.constant('') }),
      fc.record({ act: fc.constant('undo' as const), at: fc.nat(), text: fc.constant('') }),
    ), { maxLength: 12 });
    await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 6 }), acts, async (count, list) => {
      const { id } = count === 0 ? await handlers['data.create']({ name: 'typed' }, context) : await of(Array.from({ length: count }, (_, i) => row(`q${i}`, `a${i}`)));
      /** What is in force: the row's index, and what it says after each act. */
      let done: { act: 'edit' | 'add' | 'delete'; row: number; text: string }[] = [];
      let next = count;
      const state = () => {
        const rows = new Map(Array.from({ length: count }, (_, i) => [i, `a${i}`]));
        for (const { act, row, text } of done) {
          if (act === 'delete') rows.delete(row);
          else if (act === 'add' || rows.has(row)) rows.set(row, text);
        }
        return [...rows].sort(([a], [b]) => a - b);
      };
      for (const { act, at, text } of list) {
        const there = state();
        const target = there[at % Math.max(1, there.length)]?.[0];
        if (act === 'add') {
          await handlers['data.addRow']({ datasetId: id, messages: pair('q', text) }, context);
          done.push({ act, row: next++, text });
        } else if (act === 'undo') {
          const edits = await handlers['data.edits']({ datasetId: id }, context);
          if (edits.length === 0) continue;
          const which = at % edits.length;
          await handlers['data.undoEdit']({ datasetId: id, editId: edits[which]!.id }, context);
          const gone = done[which]!;
          done = done.filter((other) => other !== gone && !(gone.act === 'add' && other.act === 'edit' && other.row === gone.row));
        } else if (target !== undefined && act === 'edit') {
          const was = there.find(([r]) => r === target)![1];
          await handlers['data.editRow']({ datasetId: id, index: target, messages: pair('q', text) }, context);
          const said = await handlers['data.edits']({ datasetId: id }, context);
          if (said.length > done.length) done.push({ act, row: target, text });
          else expect(text).toBe(was);
        } else if (target !== undefined) {
          await handlers['data.deleteRows']({ datasetId: id, indexes: [target] }, context);
          done.push({ act: 'delete', row: target, text });
        }
        expect((await shown(id)).map(({ index, answer }) => [index, answer])).toEqual(state());
      }
      const stored: [number, number][] = [];
      for await (const { index, line } of new DatasetStore(await openDatabase(`rows-${counter - 1}`)).rows(id)) stored.push([index, line]);
      expect(stored).toEqual(state().map(([index]) => [index, index < count ? index + 1 : 0]));
      while ((await handlers['data.edits']({ datasetId: id }, context)).length > 0) await handlers['data.undoEdit']({ datasetId: id }, context);
      expect((await shown(id)).map(({ index, answer, edited }) => [index, answer, edited])).toEqual(Array.from({ length: count }, (_, i) => [i, `a${i}`, false]));
      if (list.length > 0) expect((await datasets.get(id)).edits ?? { next }).toMatchObject({ next });
    }), { numRuns: 12 });
  });

  it('free a row from fixes that meant what it said before, until they are taken back', async () => {
    const { handlers, context, of, textOf } = await session();
    const { id } = await of(ROWS);
    await handlers['data.applyFix']({ datasetId: id, kind: 'empty-answer', ...REPORT }, context);
    expect(await textOf(id)).toContain('line 5 (row 5): dropped by a fix');
    await handlers['data.editRow']({ datasetId: id, index: 4, messages: pair('Say it.', 'Said.') }, context);
    expect(await handlers['data.fixes']({ datasetId: id }, context)).toMatchObject([{ kind: 'empty-answer', rows: 0 }]);
    expect(await textOf(id)).not.toContain('dropped by a fix');
    await handlers['data.setRowTrained']({ datasetId: id, index: 0, trained: false }, context);
    await handlers['data.undoEdit']({ datasetId: id }, context);
    expect(await handlers['data.fixes']({ datasetId: id }, context)).toMatchObject([{ kind: 'empty-answer', rows: 1 }, { kind: 'row-switch', rows: 1 }]);
    await handlers['data.deleteRows']({ datasetId: id, indexes: [4] }, context);
    expect(await handlers['data.report']({ datasetId: id, ...REPORT }, context)).toMatchObject({ rows: 4, leftOutRows: 1, usableRows: 3, droppedRows: 0 });
  });

  it('put switches of turns aside that would mean other turns, and bring them back', async () => {
    const { handlers, context, datasets, of } = await session();
    const { id } = await of([{ messages: [...pair('a', 'b'), ...pair('c', 'd')] }]);
    await handlers['data.setTrainedTurns']({ datasetId: id, index: 0, trainedTurns: { 1: false } }, context);
    await handlers['data.editRow']({ datasetId: id, index: 0, messages: [...pair('a', 'b'), ...pair('c', 'D')] }, context);
    expect(await datasets.store.trainedTurns(id)).toEqual(new Map([[0, { 1: false }]]));
    await handlers['data.editRow']({ datasetId: id, index: 0, messages: pair('a', 'b') }, context);
    expect((await datasets.store.trainedTurns(id)).size).toBe(0);
    await handlers['data.setTrainedTurns']({ datasetId: id, index: 0, trainedTurns: { 0: true } }, context);
    await handlers['data.undoEdit']({ datasetId: id }, context);
    expect(await datasets.store.trainedTurns(id)).toEqual(new Map([[0, { 1: false }]]));
  });

  it('leave out of the questions to ask what a run remembers and nobody has any more', async () => {
    const { handlers, context, datasets, model, of } = await session();
    const { id } = await of(ROWS);
    await handlers['data.addRow']({ datasetId: id, messages: pair('New?', 'Yes, new.') }, context);
    await handlers['data.undoEdit']({ datasetId: id }, context);
    await handlers['data.deleteRows']({ datasetId: id, indexes: [1] }, context);
    expect((await datasets.prompts(model, id, [0, 1, 3, 5], 'chatml')).map(({ index }) => index)).toEqual([0, 3]);
  });

  it('of two tabs never give one index to two rows, and each sees the other', async () => {
    const { of, db, datasets } = await session();
    const { id } = await of(ROWS);
    const [one, other] = [datasets.store, new DatasetStore(db)];
    const add = (store: DatasetStore, text: string) => store.edit(id, async ({ next }) => ({ kind: 'add', rows: Int32Array.of(next), lines: Int32Array.of(0), messages: pair('q', text) }));
    const made = await Promise.all([add(one, 'a'), add(other, 'b'), add(one, 'c'), add(other, 'd')]);
    expect(new Set(made.map(({ rows }) => rows[0]))).toEqual(new Set([5, 6, 7, 8]));
    expect([(await one.get(id))!.rows, (await other.get(id))!.rows]).toEqual([9, 9]);
    const texts = async (store: DatasetStore) => (await store.rowsAt(id, [5, 6, 7, 8])).map(({ edited }) => edited![1]!.content).sort();
    expect([await texts(one), await texts(other)]).toEqual([['a', 'b', 'c', 'd'], ['a', 'b', 'c', 'd']]);
  });

  it('of a row that is not there, or that say nothing, are refused by name', async () => {
    const { handlers, context, of } = await session();
    const { id } = await of(ROWS);
    await handlers['data.deleteRows']({ datasetId: id, indexes: [2] }, context);
    for (const index of [2, 5, -1]) await expect(handlers['data.editRow']({ datasetId: id, index, messages: pair('a', 'b') }, context)).rejects.toMatchObject({ code: 'data.noRow' });
    await expect(handlers['data.deleteRows']({ datasetId: id, indexes: [2] }, context)).rejects.toMatchObject({ code: 'data.noRows' });
    await expect(handlers['data.deleteRows']({ datasetId: id, indexes: [99] }, context)).rejects.toMatchObject({ code: 'data.noRow' });
    await expect(handlers['data.editRow']({ datasetId: id, index: 0, messages: [] }, context)).rejects.toMatchObject({ code: 'data.badRow' });
    expect(await handlers['data.edits']({ datasetId: id }, context)).toHaveLength(1);
  });

  it('take the rows of a view, which leave other views of theirs', async () => {
    const { handlers, context, of } = await session();
    const { id } = await of(ROWS);
    const all = await handlers['data.view']({ datasetId: id, view: ALL }, context);
    const short = await handlers['data.view']({ datasetId: id, view: { ...ALL, where: { answer: [0, 28] } } }, context);
    expect(await handlers['data.deleteRows']({ datasetId: id, viewId: short.viewId }, context)).toEqual({ deleted: 3 });
    expect((await handlers['data.viewRows']({ viewId: all.viewId, offset: 0, limit: 9 }, context)).map(({ index }) => index)).toEqual([0, 2]);
  });

  it('keep the heading that Alpaca gives to an input of a turn that was not touched', async () => {
    const { handlers, context, of } = await session();
    const { id } = await of([row('Translate.', 'chat', { input: 'cat' })]);
    const [user, answer] = await handlers['data.preview']({ datasetId: id, index: 0 }, context);
    await handlers['data.editRow']({ datasetId: id, index: 0, messages: [user!, { ...answer!, content: 'le chat' }] }, context);
    const text = (await handlers['data.inspect']({ datasetId: id, index: 0, template: 'alpaca', maxLength: 256 }, context)).turns.flatMap(({ tokens }) => tokens.map((token) => token.text)).join('');
    expect(text).toContain('Input:');
    expect(text.replaceAll('Ġ', ' ')).toContain('le chat');
  });
});

describe('A split by hand', () => {
  const rows = Array.from({ length: 60 }, (_, i) => row(`Question ${i % 20}?`, `Answer ${i}`, { topic: `t${i % 6}` }));
  const recipe = recipeSchema.parse({ model: { source: 'builtin', name: 'm' }, dataset: { source: 'file', name: 'rows.jsonl' }, data: REPORT, lora: {}, training: { validationSplit: 0.5 } });

  it.each([['prompt', 20, (i: number) => i % 20], ['none', 60, (i: number) => i], [{ column: 'topic' }, 6, (i: number) => i % 6]] as const)('by %j holds out whole groups, for runs and forecasts, instead of the recipe\'s share', async (groupBy, groups, groupOf) => {
    const { handlers, context, datasets, model, of, shown, textOf } = await session();
    const { id } = await of(rows);
    const split = { ratio: 0.2, groupBy, seed: 7 };
    const made = await handlers['data.setSplit']({ datasetId: id, split }, context);
    expect(made).toMatchObject({ groups, train: 60 - made.heldOut });
    expect(made.heldOut).toBeGreaterThan(8);
    const held = (await shown(id, { where: { held: true } })).map(({ index }) => index);
    expect(held).toHaveLength(made.heldOut);
    const groupsHeld = new Set(held.map(groupOf));
    for (let i = 0; i < 60; i++) expect(held.includes(i)).toBe(groupsHeld.has(groupOf(i)));
    const feed = await datasets.feed(model, id, recipe);
    expect([...feed.split.heldOut]).toEqual(held);
    expect(feed.split.train.length).toBe(made.train);
    expect((await handlers['data.list']({}, context))[0]!.split).toEqual({ ...split, ...made });
    expect(await textOf(id)).toContain(`line ${held[0]! + 1} (row ${held[0]! + 1}): held out by the split`);
    expect(await handlers['data.setSplit']({ datasetId: id, split }, context)).toEqual(made);
    await handlers['data.setSplit']({ datasetId: id, split: null }, context);
    expect((await datasets.feed(model, id, recipe)).split.heldOut.length).toBeGreaterThan(20);
    expect(await shown(id, { where: { held: true } })).toEqual([]);
  });

  it('by copies keeps near copies together', async () => {
    const { handlers, context, of, shown } = await session();
    const long = (i: number, end: string) => row(`Tell of town ${i} by the river and of its people.`, `The town of number ${i} lies by the river, where its people have built houses, boats and bridges for many hundred years, as ${end}.`);
    const { id } = await of(Array.from({ length: 20 }, (_, i) => [long(i, 'is known'), long(i, 'was known')]).flat());
    const { groups } = await handlers['data.setSplit']({ datasetId: id, split: { ratio: 0.3, groupBy: 'duplicates', seed: 1 } }, context);
    expect(groups).toBe(20);
    const held = (await shown(id, { where: { held: true } })).map(({ index }) => index);
    expect(held).toHaveLength(12);
    for (const index of held) expect(held).toContain(index ^ 1);
  });

  it('puts rows that are edited or added later where their group is, and back', async () => {
    const { handlers, context, of, shown } = await session();
    const { id } = await of(rows);
    await handlers['data.setSplit']({ datasetId: id, split: { ratio: 0.2, groupBy: 'prompt', seed: 7 } }, context);
    const heldNow = async () => new Set((await shown(id, { where: { held: true } })).map(({ index }) => index));
    const before = await heldNow();
    const [inside] = before;
    const outside = Array.from({ length: 60 }, (_, i) => i).find((i) => !before.has(i))!;
    const promptOf = (i: number) => `Question ${i % 20}?`;
    await handlers['data.editRow']({ datasetId: id, index: outside, messages: pair(promptOf(inside!), 'x') }, context);
    await handlers['data.addRow']({ datasetId: id, messages: pair(promptOf(inside!), 'y') }, context);
    await handlers['data.addRow']({ datasetId: id, messages: pair(promptOf(outside), 'z') }, context);
    expect(await heldNow()).toEqual(new Set([...before, outside, 60]));
    for (let i = 0; i < 3; i++) await handlers['data.undoEdit']({ datasetId: id }, context);
    expect(await heldNow()).toEqual(before);
  });

  it('that cannot be made is refused with its reason', async () => {
    const { handlers, context, of } = await session();
    const { id } = await of(ROWS.map((r) => ({ ...r, one: 'x' })));
    for (const ratio of [0, 1, Number.NaN]) await expect(handlers['data.setSplit']({ datasetId: id, split: { ratio, groupBy: 'none', seed: 1 } }, context)).rejects.toMatchObject({ code: 'data.badSplit' });
    await expect(handlers['data.setSplit']({ datasetId: id, split: { ratio: 0.5, groupBy: { column: 'one' }, seed: 1 } }, context)).rejects.toMatchObject({ code: 'data.badSplit' });
  });
});

describe('An export of rows', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 12 });
  const turns = fc.array(fc.oneof(
    fc.record({ role: fc.constantFrom('system', 'user'), content: text }),
    fc.record({ role: fc.constant('assistant'), content: text }),
    fc.record({ role: fc.constant('assistant'), content: text, weight: fc.constant(0) }),
    fc.record({ role: fc.constant('assistant'), content: fc.constant(''), tool_calls: fc.array(fc.record({ type: fc.constant('function'), function: fc.record({ name: fc.constant('f'), arguments: fc.oneof(fc.json({ maxDepth: 1 }), fc.constant({ a: [1] }), fc.constant([1])) }) }), { minLength: 1, maxLength: 2 }) }),
    fc.record({ role: fc.constant('tool'), content: text }),
  ), { maxLength: 4 }).map((list) => [{ role: 'user', content: 'q' }, { role: 'assistant', content: 'a' }, ...list]);
  const shapes: fc.Arbitrary<object[]> = fc.oneof(
    fc.array(fc.record({ messages: turns }), { minLength: 1, maxLength: 6 }),
    fc.array(fc.record({ instruction: text, input: text, output: text, system: text }), { minLength: 1, maxLength: 6 }),
    fc.array(fc.record({ prompt: text.map((t) => `p${t}`), chosen: text, rejected: text }), { minLength: 1, maxLength: 6 }),
    fc.array(fc.record({ text: text.map((t) => `A long text ${t}`) }), { minLength: 1, maxLength: 6 }),
  );

  it('imports as the rows it was made of, edited ones and typed ones too', async () => {
    const { handlers, context, datasets, of } = await session();
    const messagesOf = async (id: string, indexes: number[]) => {
      const out: unknown[] = [];
      for (const index of indexes) out.push(await handlers['data.preview']({ datasetId: id, index }, context));
      return out;
    };
    await fc.assert(fc.asyncProperty(shapes, text, async (rows, typed) => {
      const { id, mapping } = await of(rows);
      const messages: Message[] = mapping.shape === 'text' ? [{ role: 'assistant', content: `t${typed}` }] : pair('typed', typed);
      if (mapping.shape !== 'text') await handlers['data.editRow']({ datasetId: id, index: 0, messages: pair('q', `edited ${typed}`) }, context);
      await handlers['data.addRow']({ datasetId: id, messages }, context);
      const { blob, rows: written } = await handlers['data.exportRows']({ datasetId: id }, context);
      expect(written).toBe(rows.length + 1);
      const again = await handlers['data.import']({ source: { kind: 'file', file: new File([blob], 'again.jsonl') } }, context);
      expect([again.rows, again.skipped]).toEqual([written, 0]);
      const all = Array.from({ length: written }, (_, i) => i);
      expect(await messagesOf(again.id, all)).toEqual(await messagesOf(id, all));
      const rejected = async (of: string) => (await handlers['data.rows']({ datasetId: of, offset: 0, limit: written }, context)).map((r) => r.rejected);
      expect(await rejected(again.id)).toEqual(await rejected(id));
      await datasets.delete(again.id);
    }), { numRuns: 25 });
  });

  it('has what the view has, in its order, and is named after the dataset', async () => {
    const { handlers, context, of } = await session();
    const { id } = await of(ROWS);
    const { viewId } = await handlers['data.view']({ datasetId: id, view: { ...ALL, where: { answer: [1, 99] }, sort: { by: 'answer', descending: false } } }, context);
    const { blob, fileName } = await handlers['data.exportRows']({ datasetId: id, viewId }, context);
    const lines = (await blob.text()).trim().split('\n').map((line) => (JSON.parse(line) as { messages: Message[] }).messages[1]!.content);
    expect([fileName, lines]).toEqual(['rows-rows.jsonl', ['Yes', 'I am {{name}}, made to help.', ROWS[0]!.output, ROWS[0]!.output]]);
  });

  it('of any order reads the store once, and has every row of the view where the view has it', async () => {
    const order = fc.array(fc.nat(5), { minLength: 1, maxLength: 40 }).chain((sizes) => fc.tuple(fc.constant(sizes), fc.shuffledSubarray([...sizes.keys()])));
    await fc.assert(fc.asyncProperty(order, fc.integer({ min: 1, max: 2 ** 24 }), async ([sizes, rows], chars) => {
      let read = 0;
      const made = await exportView({
        order: Int32Array.from(rows), mapping: { shape: 'alpaca', instruction: 'q', output: 'a' }, charsOf: () => chars, signal: new AbortController().signal, onProgress: () => undefined,
        async *batches(isWanted) {
          for (let from = 0; from < sizes.length; from += 4) {
            if (!isWanted(from, from + 4)) continue;
            read++;
            yield sizes.slice(from, from + 4).map((size, i) => ({ index: from + i, line: 1, value: { q: `q${from + i}`, a: 'é'.repeat(size) } }));
          }
        },
      });
      const lines = (await made.blob.text()).split('\n').slice(0, -1).map((line) => (JSON.parse(line) as { messages: Message[] }).messages.map(({ content }) => content));
      expect(lines).toEqual(rows.map((row) => [`q${row}`, 'é'.repeat(sizes[row]!)]));
      expect([made.rows, read]).toEqual([rows.length, new Set(rows.map((row) => row >> 2)).size]);
    }), { numRuns: 60 });
  });

  it('that lacks a row of the view says so', async () => {
    const asked = { order: Int32Array.of(1, 0), batches: async function* () { yield [{ index: 1, line: 1, value: {} }]; }, mapping: { shape: 'table' as const }, charsOf: () => 1, signal: new AbortController().signal, onProgress: () => undefined };
    await expect(exportView(asked)).rejects.toThrow('1 of 2 rows are no longer stored');
  });

  it('writes a row that is no conversation as the file had it', async () => {
    const { handlers, context, of } = await session();
    const { id } = await of([...ROWS, { other: 1 }]);
    expect((await (await handlers['data.exportRows']({ datasetId: id }, context)).blob.text()).trim().split('\n').at(-1)).toBe('{"other":1}');
  });
});
