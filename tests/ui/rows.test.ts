/** Rows on the page: the view that is asked for, the search that goes on, rows edited, deleted and taken back, pages that are fetched. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RowsCache, PAGE } from '../../src/stores/rowsCache.ts';
import { countWords, OPEN_END, placeWords, rangeWords, toRange, viewTitle, whereWords } from '../../src/ui/data/rows/words.ts';
import { groupOf, groupValue, splitWords } from '../../src/ui/data/rows/splitWords.ts';
import { nextRole, rowProblem, withKeys } from '../../src/ui/data/rows/turns.ts';
import { follow, MAX_HEIGHT, revealing, rowTop, tallList, toReal, toVirtual } from '../../src/ui/data/tallList.ts';
import { FakeWorker, type FakeOptions } from './fakeWorker.ts';

async function open(options: FakeOptions = {}) {
  vi.resetModules();
  const { WorkerClient } = await import('../../src/worker/client.ts');
  const { connect } = await import('../../src/stores/wiring.ts');
  const stores = {
    ...await import('../../src/stores/data.ts'), ...await import('../../src/stores/rowEdits.ts'), ...await import('../../src/stores/rowPlace.ts'),
    ...await import('../../src/stores/rowView.ts'), ...await import('../../src/stores/rowsCache.ts'), ...await import('../../src/stores/session.ts'),
  };
  const worker = new FakeWorker({ stepMs: 0, delay: 0, ...options });
  connect(new WorkerClient(() => worker));
  await stores.importData({ kind: 'file', file: new File(['x'], 'rows.jsonl') });
  const asked = <T>(name: string) => worker.received.filter((m) => m.name === name).map((m) => m.args as T);
  const settled = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 5 });
  return { ...stores, worker, asked, settled, row: () => stores.useData.getState().row, shown: () => stores.useRows.getState().shown };
}

beforeEach(() => {
  vi.stubGlobal('location', { hash: '', href: 'https://example.org/etude/' });
  vi.stubGlobal('history', { pushState: vi.fn<() => void>() });
  vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined });
});
afterEach(() => { vi.unstubAllGlobals(); });

test('a finding shows its rows only, and next goes from one to the next of them', async () => {
  const s = await open();
  await s.openFinding({ kind: 'cut' });
  expect(s.shown()).toMatchObject({ count: 41, total: 999 });
  expect(s.row()).toBe(3);
  await s.moveRow(1);
  expect(s.row()).toBe(23);
  await s.moveRow(-1);
  await s.moveRow(-1);
  expect(s.row()).toBe(3);
  // Chosen elsewhere on the screen, by its number.
  s.inspectRow(30);
  expect(s.useRows.getState().place).toBeNull();
  await s.moveRow(1);
  expect(s.row()).toBe(43);
  s.goToRow(30);
  await s.moveRow(-1);
  expect(s.row()).toBe(23);
  s.showAllRows();
  await s.settled(() => expect(s.shown()?.count).toBe(999));
  await s.moveRow(1);
  expect(s.row()).toBe(24);
});

test('typing settles before the worker is asked, and the view before is closed', async () => {
  const s = await open();
  await s.openRows();
  const first = s.shown()!.viewId;
  for (const text of ['n', 'no', 'norway']) s.typeSearch(text);
  expect(s.useRows.getState().view.search).toBe('norway');
  await s.settled(() => expect(s.useRows.getState()).toMatchObject({ search: null, shown: { count: 250, total: 999 } }));
  expect(s.asked<{ view: { search: string } }>('data.view').map((a) => a.view.search)).toEqual(['', 'norway']);
  expect(s.asked('data.viewClose')).toEqual([{ viewId: first }]);
  expect(s.useSession.getState().announcement).toBe('250 of 999 rows match.');
});

test('a cancelled search keeps what was found and says how far it was', async () => {
  const s = await open({ rows: 200_000 });
  await s.openRows({ ...s.EVERYTHING, search: 'iron' });
  await s.settled(() => expect(s.shown()!.count).toBeGreaterThan(0));
  s.cancelRows();
  const { search, shown } = s.useRows.getState();
  expect(search).toMatchObject({ state: 'cancelled', total: 200_000 });
  expect(search!.searched).toBeLessThan(200_000);
  await s.worker.wait(40);
  expect(s.shown()).toEqual(shown);
  await s.lookAt(shown!.count - 1);
  expect(s.useRows.getState().looked?.prompt).toContain('iron');
});

test('conditions hold together, are taken away one by one, and a column sorts first one way and then the other', async () => {
  const s = await open();
  await s.openRows();
  s.setWhere({ task: ['code'] });
  s.setWhere({ answer: [0, 40] });
  await s.settled(() => expect(s.asked('data.view')).toHaveLength(3));
  s.setWhere({ task: undefined });
  expect(s.useRows.getState().view.where).toEqual({ answer: [0, 40] });
  s.sortBy('answer');
  expect(s.useRows.getState().view.sort).toEqual({ by: 'answer', descending: true });
  s.sortBy('answer');
  s.sortBy('quality');
  expect(s.useRows.getState().view.sort).toEqual({ by: 'quality', descending: false });
  await s.settled(() => expect(s.useRows.getState().busy).toBe(false));
  expect(s.shown()!.count).toBe(499);
});

test('a row that is edited keeps its place in the view; what was done can be taken back', async () => {
  const s = await open();
  await s.openRows({ ...s.EVERYTHING, search: 'norway' });
  await s.settled(() => expect(s.useRows.getState().search).toBeNull());
  await s.lookAt(2);
  const views = s.asked('data.view').length;
  expect(await s.saveRow(s.row(), [{ role: 'user', content: 'Where?' }, { role: 'assistant', content: 'Here.' }])).toBe(true);
  expect(s.useRows.getState()).toMatchObject({ place: 2, looked: { index: 9, prompt: 'Where?', edited: true } });
  expect(s.asked('data.view')).toHaveLength(views);
  expect(s.currentDataset(s.useData.getState())?.edits).toMatchObject({ edited: 1 });
  const { last } = s.useEdits.getState();
  expect(last).toMatchObject({ kind: 'edit', words: 'Row 10 was edited' });
  expect(await s.undoEdit(last!)).toBe(true);
  expect(s.useEdits.getState()).toMatchObject({ edits: [], last: null });
  await s.settled(() => expect(s.asked('data.view')).toHaveLength(views + 1));
});

test('deleted rows leave the view and the row behind them is looked at; next passes over the gap', async () => {
  const s = await open();
  await s.openRows();
  await s.lookAt(5);
  expect(await s.deleteRows({ index: 5 })).toBe(true);
  expect(s.shown()).toMatchObject({ count: 998, total: 998 });
  expect(s.row()).toBe(6);
  await s.moveRow(-1);
  expect(s.row()).toBe(4);
  s.goToRow(4);
  await s.moveRow(1);
  expect(s.row()).toBe(6);
  expect(s.currentDataset(s.useData.getState())).toMatchObject({ rows: 998, edits: { next: 999 } });
});

test('all rows that are shown are deleted at once, and come back at once', async () => {
  const s = await open();
  await s.openFinding({ kind: 'cut' });
  await s.deleteRows({ viewId: s.shown()!.viewId });
  expect(s.shown()!.count).toBe(0);
  await s.undoEdit(s.useEdits.getState().last!);
  await s.settled(() => expect(s.shown()!.count).toBe(41));
});

test('an empty set opens the form for its first row, and the row that is added is the one looked at', async () => {
  const s = await open();
  expect(await s.createSet('By hand')).toBe(true);
  expect(s.currentDataset(s.useData.getState())).toMatchObject({ name: 'By hand', rows: 0 });
  expect(s.useData.getState().view).toBe('table');
  expect(s.useEdits.getState().writing).toBe('new');
  await s.addRow([{ role: 'user', content: 'Q' }, { role: 'assistant', content: 'A' }]);
  expect(s.currentDataset(s.useData.getState())!.rows).toBe(1);
  expect(s.useEdits.getState()).toMatchObject({ writing: null, edits: [{ kind: 'add' }] });
});

test('what is shown is exported in its order; a failed export says why and keeps the table', async () => {
  const s = await open();
  await s.openRows({ ...s.EVERYTHING, where: { task: ['code'] }, sort: { by: 'row', descending: true } });
  const file = await s.exportRows();
  const lines = (await file!.blob.text()).trim().split('\n');
  expect([file!.rows, lines.length]).toEqual([249, 249]);
  expect(JSON.parse(lines[0]!)).toEqual({ messages: [{ role: 'user', content: 'Give the chemical symbol of iron.' }, { role: 'assistant', content: 'The chemical symbol for iron is Fe.' }] });
  s.worker.fail('data.exportRows', { code: 'data.full', what: 'Full.' });
  expect(await s.exportRows()).toBeNull();
  expect(s.useEdits.getState()).toMatchObject({ busy: null, error: { code: 'data.full' } });
  expect(s.shown()!.count).toBe(249);
});

test('what was typed of a row stays when its save fails, and the form closes once it is saved', async () => {
  const s = await open();
  await s.openRows();
  await s.lookAt(0);
  const { looked } = s.useRows.getState();
  s.writeRow(looked);
  const turns = [{ role: 'user' as const, content: 'Q' }, { role: 'assistant' as const, content: 'A' }];
  s.keepDraft(turns);
  s.worker.fail('data.editRow', { code: 'data.full', what: 'Full.' });
  expect(await s.saveRow(0, turns)).toBe(false);
  expect(s.useEdits.getState()).toMatchObject({ writing: looked, draft: turns, error: { code: 'data.full' } });
  s.worker.fail('data.editRow', undefined as never);
  expect(await s.saveRow(0, turns)).toBe(true);
  expect(s.useEdits.getState()).toMatchObject({ writing: null, draft: null, error: null });
});

test('a split is kept with the data and can be removed', async () => {
  const s = await open();
  expect(await s.setSplit({ ratio: 0.1, groupBy: 'prompt', seed: 1 })).toMatchObject({ train: 899, heldOut: 100 });
  expect(s.currentDataset(s.useData.getState())!.split).toMatchObject({ ratio: 0.1, heldOut: 100 });
  await s.setSplit(null);
  expect(s.currentDataset(s.useData.getState())!.split).toBeUndefined();
});

test('another dataset begins without the conditions of the one before, and its view is forgotten', async () => {
  const s = await open();
  await s.openFinding({ kind: 'cut' });
  const { viewId } = s.shown()!;
  await s.importData({ kind: 'builtin' });
  expect(s.useRows.getState()).toMatchObject({ datasetId: null, shown: null, view: s.EVERYTHING });
  expect(s.asked('data.viewClose')).toContainEqual({ viewId });
});

test('pages dragged past are not fetched: two at a time, those seen last first', async () => {
  const offsets: number[] = [];
  const answers: (() => void)[] = [];
  let drawn = 0;
  const cache = new RowsCache<number>((offset, limit) => {
    offsets.push(offset);
    return new Promise((done) => { answers.push(() => done(Array.from({ length: limit }, (_, i) => offset + i))); });
  }, () => { drawn++; });
  const settle = () => new Promise((done) => { setTimeout(done, 0); });
  for (let page = 0; page < 50; page++) expect(cache.get(page * PAGE)).toBeNull();
  await settle();
  expect(offsets).toEqual([49 * PAGE, 48 * PAGE]);
  for (let i = 0; i < 3; i++) { answers[i]?.(); await settle(); }
  expect(offsets).toEqual([49, 48, 47].map((page) => page * PAGE));
  expect(drawn).toBe(3);
  expect(cache.get(49 * PAGE + 7)).toBe(49 * PAGE + 7);
  // Told to be out of date, a row stays until it has come anew.
  cache.refresh(49 * PAGE);
  expect(cache.get(49 * PAGE)).toBe(49 * PAGE);
  expect(cache.get(48 * PAGE)).toBe(48 * PAGE);
  await settle();
  expect(offsets.slice(3)).toEqual([49 * PAGE]);
});

test('counts, bounds and conditions are said in words', () => {
  expect(countWords({ count: 52_002, total: 52_002, narrowed: false, search: null })).toBe('52,002 rows');
  expect(countWords({ count: 1, total: 999, narrowed: true, search: null })).toBe('1 of 999 rows');
  expect(countWords({ count: 12, total: 999, narrowed: true, search: { searched: 400, total: 999, state: 'searching' } })).toBe('12 found so far, 400 of 999 rows searched');
  expect(countWords({ count: 12, total: 999, narrowed: true, search: { searched: 400, total: 999, state: 'cancelled' } })).toBe('12 found in the first 400 of 999 rows; the search was cancelled');
  expect([rangeWords([0, 90]), rangeWords([1200, OPEN_END]), rangeWords([40, 90], 0, 100), rangeWords([40, 100], 0, 100)]).toEqual(['up to 90', 'at least 1,200', '40 to 90', 'at least 40']);
  expect([toRange(null, null), toRange(0, 100, 0, 100), toRange(90, 40), toRange(null, 500, 0, 100)]).toEqual([undefined, undefined, [40, 90], undefined]);
  expect(viewTitle({ search: ' orlu ', where: { finding: 'cut', quality: [0, 60], held: false }, sort: { by: 'row', descending: false } }, [{ kind: 'cut', title: 'Answer cut off' }])).toBe('Answer cut off, Quality up to 60, for training, “orlu”');
  expect(whereWords({ task: ['question-answering', 'code'] }, []).task).toBe('question answering, code');
  expect([placeWords({ index: 11, line: 12 }), placeWords({ index: 11, line: 13 }), placeWords({ index: 11, line: 0 })]).toEqual(['Row 12', 'Row 12, line 13 of the file', 'Row 12, added by hand']);
  const files = [{ name: 'a.jsonl', rows: 11, bytes: 1 }, { name: 'b.jsonl', rows: 4, bytes: 1 }];
  expect([placeWords({ index: 10, line: 12 }, files), placeWords({ index: 11, line: 1 }, files), placeWords({ index: 15, line: 0 }, files), placeWords({ index: 11, line: 12 }, files.slice(0, 1))])
    .toEqual(['Row 11, line 12 of a.jsonl', 'Row 12, line 1 of b.jsonl', 'Row 16, added by hand', 'Row 12']);
});

test('what a split keeps together goes through the form unchanged', () => {
  for (const groupBy of ['none', 'prompt', 'duplicates', { column: 'field:of x' }] as const) expect(groupOf(groupValue(groupBy))).toEqual(groupBy);
  expect(splitWords({ ratio: 0.1, groupBy: { column: 'author' }, seed: 7, train: 9, heldOut: 1, groups: 4 })).toBe('In 4 groups of rows with the same author, seed 7.');
});

test('a row is saved once it has an answer and no empty turn', () => {
  expect(rowProblem([{ role: 'user', content: 'Q' }])).toMatch(/assistant turn/);
  expect(rowProblem([{ role: 'user', content: 'Q' }, { role: 'assistant', content: ' ' }])).toBe('Turn 2 is empty.');
  expect(rowProblem([{ role: 'user', content: 'Q' }, { role: 'assistant', content: '', toolCalls: [{ name: 'f', arguments: {} }] }])).toBeNull();
  expect(rowProblem([{ role: 'user', content: 'Text.', plain: true }])).toBeNull();
  expect(nextRole([{ role: 'user', content: '' }])).toBe('assistant');
  const keys = withKeys([{ role: 'user', content: '' }, { role: 'user', content: '' }]).map((turn) => turn.key);
  expect(new Set(keys).size).toBe(2);
});

test('a list of a million rows fits the browser: the scroll bar reaches every row, the wheel moves rows pixel by pixel', () => {
  const list = tallList(1_000_000, 36, 600);
  const bottom = MAX_HEIGHT - 600;
  expect(list.height).toBe(MAX_HEIGHT);
  expect([toVirtual(list, 0), toVirtual(list, bottom)]).toEqual([0, 36_000_000 - 600]);
  for (const virtual of [0, 999_999, 1_000_001, 17_654_321, 34_999_000, 35_500_000, 36_000_000 - 600]) expect(toVirtual(list, toReal(list, virtual))).toBeCloseTo(virtual, 3);
  // The bar is dragged to the middle, then the wheel turns a notch.
  const dragged = follow(list, { real: 0, virtual: 0 }, 4_000_000);
  expect(dragged.virtual).toBeGreaterThan(17_000_000);
  const turned = follow(list, dragged, 4_000_100);
  expect(turned.virtual - dragged.virtual).toBe(100);
  // Put right at rest, no row moves on screen: its top less what is scrolled stays.
  const start = Math.floor(turned.virtual / 36) * 36;
  const real = toReal(list, turned.virtual);
  expect(rowTop({ virtual: turned.virtual, real }, start) - real).toBeCloseTo(rowTop(turned, start) - turned.real, 6);
  expect(follow(list, turned, bottom).virtual).toBe(36_000_000 - 600);
  expect(follow(list, turned, 0).virtual).toBe(0);
});

test('a list that fits is scrolled as it is', () => {
  const list = tallList(100, 36, 600);
  expect(list.height).toBe(3600);
  expect([toReal(list, 1234), toVirtual(list, 1234), follow(list, { real: 0, virtual: 0 }, 2000).virtual]).toEqual([1234, 1234, 2000]);
  expect(rowTop({ real: 720, virtual: 720 }, 3564)).toBe(3564);
  expect(tallList(3, 36, 600)).toMatchObject({ height: 108, virtualMost: 0, realMost: 0 });
});

test('a row is brought into view by no more than it needs', () => {
  const list = tallList(1_000_000, 36, 600);
  expect(revealing(list, 360, 720, 36)).toBe(360);
  expect(revealing(list, 360, 0, 36)).toBe(0);
  expect(revealing(list, 0, 35_999_964, 36)).toBe(36_000_000 - 600);
});
