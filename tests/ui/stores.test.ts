/** The stores on a worker that answers the protocol: what a person does, and what the stores then hold. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { defaultRecipe } from '../../src/config/recipe.ts';
import { encodeShare } from '../../src/config/shareUrl.ts';
import { fakeRun } from './fakeRuns.ts';
import { FakeWorker, type FakeOptions } from './fakeWorker.ts';

/** Fresh stores for every test: they are module state. */
async function open(options: FakeOptions = {}) {
  vi.resetModules();
  const { WorkerClient } = await import('../../src/worker/client.ts');
  const { connect } = await import('../../src/stores/wiring.ts');
  const stores = {
    ...await import('../../src/stores/chat.ts'), ...await import('../../src/stores/data.ts'), ...await import('../../src/stores/dataFixes.ts'), ...await import('../../src/stores/device.ts'),
    ...await import('../../src/stores/exporting.ts'), ...await import('../../src/stores/inspect.ts'), ...await import('../../src/stores/model.ts'),
    ...await import('../../src/stores/plan.ts'), ...await import('../../src/stores/recipe.ts'), ...await import('../../src/stores/run.ts'),
    ...await import('../../src/stores/runs.ts'), ...await import('../../src/stores/session.ts'), ...await import('../../src/stores/share.ts'),
    ...await import('../../src/stores/training.ts'), ...await import('../../src/stores/tuned.ts'), ...await import('../../src/stores/defaults.ts'), ...await import('../../src/stores/expected.ts'), ...await import('../../src/stores/hubData.ts'),
  };
  const worker = new FakeWorker({ stepMs: 0, delay: 0, totalSteps: 8, ...options });
  connect(new WorkerClient(() => worker));
  const settled = (check: () => void) => vi.waitFor(check, { timeout: 5000, interval: 5 });
  const ready = async () => {
    await stores.loadModel();
    await stores.importData({ kind: 'builtin' });
    await settled(() => expect(stores.usePlan.getState().forecast.value).not.toBeNull());
  };
  return { ...stores, worker, settled, ready };
}

let page: Record<string, unknown>;
beforeEach(() => {
  const kept = new Map<string, string>();
  page = {
    location: { hash: '', href: 'https://example.org/etude/' },
    history: { pushState: vi.fn<() => void>(), replaceState: vi.fn<() => void>() },
    localStorage: { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => kept.set(k, v) },
  };
  for (const [name, value] of Object.entries(page)) vi.stubGlobal(name, value);
});
afterEach(() => { vi.unstubAllGlobals(); });

test('opening the studio asks for device, data, runs and storage, and starts nothing', async () => {
  const s = await open();
  await s.settled(() => expect(s.useDevice.getState().info?.gflops).toBe(1840));
  const asked = new Set(s.worker.received.map((m) => m.name));
  expect([...asked].toSorted()).toEqual(['cache.list', 'data.list', 'device.open', 'runs.list', 'storage.info']);
});

test('without WebGPU the device has failed with a message, and data can still be imported', async () => {
  const s = await open({ device: { code: 'device.noWebGpu', what: 'No WebGPU.' } });
  await s.settled(() => expect(s.useDevice.getState()).toMatchObject({ status: 'failed', error: { code: 'device.noWebGpu' } }));
  expect(await s.importData({ kind: 'builtin' })).toBe(true);
});

test('the built-in pair brings its own recipe; another file brings the defaults back, cut to what the model can read', async () => {
  const s = await open();
  await s.ready();
  expect(s.useRecipe.getState().recipe).toEqual(builtinRecipe());
  await s.importData({ kind: 'file', file: new File(['x'], 'my rows & notes.jsonl') });
  const { recipe } = s.useRecipe.getState();
  expect(recipe.lora).toEqual(defaultRecipe().lora);
  expect(recipe.data.maxLength).toBe(256);
  expect(recipe.dataset).toEqual({ source: 'file', name: 'my rows _ notes.jsonl', mapping: { shape: 'alpaca', instruction: 'instruction', input: 'input', output: 'output' } });
});

test('a recipe someone chose is not replaced when model or data change', async () => {
  const s = await open();
  expect(s.setSetting('lora', 'r', 64)).toBe(true);
  await s.ready();
  expect(s.useRecipe.getState().recipe.lora.r).toBe(64);
  s.resetRecipe();
  expect(s.useRecipe.getState().recipe).toEqual(builtinRecipe());
});

test('a value out of bounds is kept as text beside the valid recipe and stops the start', async () => {
  const s = await open();
  await s.ready();
  expect(s.startBlocker()).toBeNull();
  expect(s.setSetting('lora', 'r', 0, '0')).toBe(false);
  expect(s.useRecipe.getState()).toMatchObject({ invalid: { 'lora.r': '0' }, recipe: { lora: { r: 8 } } });
  expect(s.startBlocker()).toBe('One setting is out of range');
  s.setSetting('lora', 'r', 4);
  expect(s.startBlocker()).toBeNull();
});

test('what stops a start is said in words', async () => {
  const s = await open();
  expect(s.startBlocker()).toBe('Choose a model and data first');
  await s.importData({ kind: 'builtin' });
  expect(s.startBlocker()).toBe('Choose a model first');
});

test('JSON that is no recipe is kept with its fault; a valid one becomes the recipe', async () => {
  const s = await open();
  s.setRecipeJson('{"lora":{"r":0}}');
  expect(s.useRecipe.getState().jsonDraft).toMatchObject({ text: '{"lora":{"r":0}}', problem: expect.stringContaining('lora.r') });
  s.setRecipeJson('not json');
  expect(s.useRecipe.getState().jsonDraft?.problem).toContain('Not JSON');
  s.setRecipeJson('{"lora":{"r":12}}');
  expect(s.useRecipe.getState()).toMatchObject({ jsonDraft: null, recipe: { lora: { r: 12 } } });
});

test('a fix is recorded, makes the report and the forecast anew, and is taken back; a failure keeps the list', async () => {
  const s = await open();
  await s.ready();
  const id = s.useData.getState().currentId!;
  const asked = (name: string) => s.worker.received.filter((m) => m.name === name).length;
  const reports = asked('data.report');
  expect(await s.applyFix(id, 'duplicate')).toBe(true);
  expect(s.useFixes.getState()).toMatchObject({ datasetId: id, busy: null, fixes: [{ kind: 'duplicate', rows: 17 }] });
  expect(s.useSession.getState().announcement).toContain('Exact copies');
  await s.settled(() => expect(asked('data.report')).toBe(reports + 1));
  s.worker.fail('data.undoFix', { code: 'data.full', what: 'Full.' });
  expect(await s.undoFix(id, s.useFixes.getState().fixes[0]!)).toBe(false);
  expect(s.useFixes.getState()).toMatchObject({ busy: null, error: { code: 'data.full' }, fixes: [{ kind: 'duplicate' }] });
  s.worker.fail('data.undoFix', undefined as never);
  expect(await s.undoFix(id, s.useFixes.getState().fixes[0]!)).toBe(true);
  expect(s.useFixes.getState()).toMatchObject({ fixes: [], error: null });
});

test('the record of changes tells of training only with a model loaded', async () => {
  const s = await open();
  await s.importData({ kind: 'builtin' });
  const id = s.useData.getState().currentId!;
  await s.recordOfChanges(id, 'text');
  await s.loadModel();
  await s.recordOfChanges(id, 'json');
  const asked = s.worker.received.filter((m) => m.name === 'data.changes').map((m) => m.args);
  expect(asked[0]).toEqual({ datasetId: id, format: 'text' });
  expect(asked[1]).toMatchObject({ datasetId: id, format: 'json', template: 'model' });
});

test('several files come in at once, and the first dataset is the one in use; pasted rows are a dataset too', async () => {
  const s = await open();
  await s.settled(() => expect(s.useData.getState().datasets).toEqual([]));
  expect(await s.importFiles([new File(['{}'], 'a.jsonl'), new File(['{}'], 'b.parquet')])).toBe(true);
  expect(s.useData.getState().datasets!.map((d) => d.name)).toEqual(['a.jsonl', 'b.parquet']);
  expect(s.useData.getState().currentId).toBe('file-a.jsonl');
  expect(s.useSession.getState().announcement).toBe('2 datasets were made. a.jsonl is in use.');
  expect(await s.importText('{"prompt": "a", "completion": "b"}')).toBe(true);
  expect(s.useData.getState()).toMatchObject({ currentId: 'file-Pasted rows.txt', importing: null });
  s.worker.fail('data.importFiles', { code: 'data.notJson', what: 'Not JSON.' });
  expect(await s.importFiles([new File(['x'], 'c.jsonl'), new File(['x'], 'd.jsonl')])).toBe(false);
  expect(s.useData.getState()).toMatchObject({ currentId: 'file-Pasted rows.txt', importing: null, error: { code: 'data.notJson' } });
});

test('a file that cannot be imported leaves the data in use as it was', async () => {
  const s = await open();
  await s.ready();
  const before = s.useData.getState().currentId;
  s.worker.fail('data.import', { code: 'data.notJson', what: 'Not JSON.' });
  expect(await s.importData({ kind: 'file', file: new File(['x'], 'bad.txt') })).toBe(false);
  expect(s.useData.getState()).toMatchObject({ currentId: before, importing: null, error: { code: 'data.notJson' } });
});

test('a run fills charts, readouts and answers, ends as finished, and its adapter is the tuned model', async () => {
  const s = await open();
  await s.ready();
  await s.startTraining();
  const run = s.useRun.getState();
  expect(run).toMatchObject({ status: 'finished', totalSteps: 8, readouts: { step: 8 } });
  expect(run.charts.loss.buckets).toHaveLength(8);
  expect(run.answers.length).toBeGreaterThan(0);
  expect(s.useTuned.getState().tuned).toMatchObject({ step: 8, runId: run.run!.id });
  expect(s.useRuns.getState().runs).toHaveLength(1);
});

test('stopping keeps the steps so far', async () => {
  const s = await open({ totalSteps: 1000, stepMs: 1 });
  await s.ready();
  const done = s.startTraining();
  await s.settled(() => expect(s.useRun.getState().readouts.step).toBeGreaterThan(2));
  await s.stopTraining();
  await done;
  const { status, readouts } = s.useRun.getState();
  expect(status).toBe('stopped');
  expect(s.useTuned.getState().tuned?.step).toBe(readouts.step);
});

test('P pauses and goes on', async () => {
  const s = await open({ totalSteps: 1000, stepMs: 1 });
  await s.ready();
  const done = s.startTraining();
  await s.settled(() => expect(s.useRun.getState().readouts.step).toBeGreaterThan(0));
  s.togglePause();
  await s.settled(() => expect(s.useRun.getState().status).toBe('paused'));
  expect(s.useTuned.getState().tuned?.step).toBe(s.useRun.getState().readouts.step);
  s.togglePause();
  await s.settled(() => expect(s.useRun.getState().status).toBe('running'));
  await s.stopTraining();
  await done;
});

test('a run that breaks down keeps its last good weights for Try, and says why', async () => {
  const s = await open({ totalSteps: 1000, stepMs: 1, breakAt: 5 });
  await s.ready();
  await s.startTraining();
  expect(s.useRun.getState()).toMatchObject({ status: 'failed', error: { code: 'train.notFinite' } });
  expect(s.useTuned.getState().tuned?.step).toBe(5);
});

test('a run that cannot start says why and leaves the screen free', async () => {
  const s = await open({ fail: { 'train.start': { code: 'device.outOfMemory', what: 'No room.' } } });
  await s.ready();
  await s.startTraining();
  expect(s.useRun.getState()).toMatchObject({ status: 'idle', error: { code: 'device.outOfMemory' } });
  expect(s.startBlocker()).toBeNull();
});

test('an interrupted run resumes: its model is loaded, its curve shown, and it goes on', async () => {
  const run = fakeRun({ id: 'old', steps: 3, totalSteps: 8, status: 'interrupted' });
  const s = await open({ runs: [run] });
  await s.resumeTraining(run);
  expect(s.useModel.getState().status).toBe('ready');
  expect(s.useRun.getState()).toMatchObject({ status: 'finished', readouts: { step: 8 } });
  expect(s.useRun.getState().charts.loss.buckets).toHaveLength(8);
});

test('a resumed run draws the steps after its checkpoint once, not twice', async () => {
  const run = fakeRun({ id: 'old', steps: 6, totalSteps: 8, status: 'interrupted' });
  const s = await open({ runs: [run], checkpointStep: 4 });
  await s.resumeTraining(run);
  expect(s.useRun.getState().charts.loss.buckets.map((b) => b.to)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('a run on a model folder asks for that folder instead of starting', async () => {
  const run = { ...fakeRun({ id: 'old', steps: 3, status: 'interrupted' }), model: { source: 'folder' as const, name: 'smol', architecture: 'LlamaForCausalLM' } };
  const s = await open({ runs: [run] });
  await s.resumeTraining(run);
  expect(s.useRun.getState().error).toMatchObject({ code: 'run.modelMissing', what: 'This run needs smol.' });
  expect(s.worker.received.some((m) => m.name === 'train.resume')).toBe(false);
});

test('a run is renamed and deleted, and the adapter of a deleted run is no longer the tuned one', async () => {
  const s = await open();
  await s.ready();
  await s.startTraining();
  const { id } = s.useRun.getState().run!;
  await s.renameRun(id, 'Best so far');
  expect(s.useRuns.getState().runs![0]!.name).toBe('Best so far');
  await s.deleteRuns([id]);
  expect(s.useRuns.getState().runs).toEqual([]);
  expect(s.useTuned.getState().tuned).toBeNull();
});

test('a prompt is asked of base and tuned with one seed, and both stream', async () => {
  const s = await open();
  await s.ready();
  await s.startTraining();
  s.setPrompt('What is the capital of Norway?');
  await s.runPrompt();
  const { base, tuned } = s.useChat.getState();
  expect(tuned).toMatchObject({ status: 'done', text: 'The capital of Norway is Oslo.', stoppedBy: 'eos', step: 8 });
  expect(base).toMatchObject({ status: 'done', step: null });
  const asked = s.worker.received.filter((m) => m.name === 'chat.generate').map((m) => m.args as { which: string; sampling: { seed: number } });
  expect(asked.map((a) => a.which)).toEqual(['base', 'tuned']);
  expect(new Set(asked.map((a) => a.sampling.seed)).size).toBe(1);
});

test('without an adapter only the base model answers', async () => {
  const s = await open();
  await s.ready();
  s.setPrompt('Hello');
  await s.runPrompt();
  expect(s.useChat.getState().tuned.status).toBe('empty');
});

test('Stop ends both streams and keeps what came', async () => {
  const s = await open({ stepMs: 5 });
  await s.ready();
  s.setPrompt('Hello');
  const done = s.runPrompt();
  await s.settled(() => expect(s.useChat.getState().base.tokens).toBeGreaterThan(1));
  s.stopChat();
  await done;
  expect(s.useChat.getState().base).toMatchObject({ status: 'done', stoppedBy: 'user' });
  expect(s.useChat.getState().base.text).not.toBe('');
});

test('a held-out prompt brings its reference answer until the prompt is changed', async () => {
  const s = await open();
  await s.ready();
  await s.settled(() => expect(s.useChat.getState().heldOut).not.toBeNull());
  expect(s.useChat.getState().heldOut!.reference).not.toBe('');
  s.setPrompt('something else');
  expect(s.useChat.getState().heldOut).toBeNull();
});

test('an export belongs to its adapter: a new adapter drops it', async () => {
  const s = await open();
  await s.ready();
  await s.startTraining();
  await s.buildExport();
  expect(s.useExport.getState()).toMatchObject({ status: 'ready', result: { ok: true } });
  expect(await s.importAdapter('other', [new File(['x'], 'other.zip')])).toBe(true);
  expect(s.useExport.getState()).toMatchObject({ status: 'idle', result: null });
  expect(s.useTuned.getState().tuned).toEqual({ runId: null, name: 'other', step: null });
});

test('when the worker dies the model is gone with a message, and runs and data stay listed', async () => {
  const s = await open();
  await s.ready();
  s.worker.onerror?.({ message: 'out of memory', preventDefault: () => undefined } as unknown as ErrorEvent);
  expect(s.useModel.getState()).toMatchObject({ status: 'failed', summary: null, error: { code: 'worker.crashed' } });
  expect(s.useData.getState().datasets).toHaveLength(1);
});

test('a lost device ends the run with its message', async () => {
  const s = await open({ totalSteps: 1000, stepMs: 1 });
  await s.ready();
  void s.startTraining();
  await s.settled(() => expect(s.useRun.getState().readouts.step).toBeGreaterThan(1));
  s.worker.emit({ type: 'device.lost', message: { code: 'device.lost', what: 'The graphics device was lost.' } });
  expect(s.useRun.getState()).toMatchObject({ status: 'failed', error: { code: 'device.lost' } });
  expect(s.useModel.getState().summary).toBeNull();
  s.worker.terminate();
});

test('a turn that is switched off is kept for training and the row is shown as it will be fed', async () => {
  const s = await open();
  await s.ready();
  const target = { datasetId: s.useData.getState().currentId!, index: 0, template: 'model' as const, maxLength: 64 };
  await s.inspect(target);
  expect(s.useInspect.getState().row!.trainedTokens).toBeGreaterThan(0);
  await s.switchTurn(target, 1, false);
  expect(s.useInspect.getState().row!.trainedTokens).toBe(0);
  expect(s.worker.received.find((m) => m.name === 'data.setTrainedTurns')?.args).toMatchObject({ index: 0, trainedTurns: { 1: false } });
});

test('a share link is shown first: it changes, loads and starts nothing until it is taken', async () => {
  const s = await open();
  const sent = { ...defaultRecipe(), lora: { ...defaultRecipe().lora, r: 64 } };
  const asked = s.worker.received.length;
  s.openFragment(encodeShare(sent));
  expect(s.useShare.getState().incoming).toMatchObject({ recipe: { lora: { r: 64 } }, refused: [] });
  expect(s.useSession.getState().dialog).toBe('openShared');
  expect(s.useRecipe.getState().recipe.lora.r).toBe(16);
  s.takeIncoming();
  expect(s.useRecipe.getState().recipe.lora.r).toBe(64);
  await s.settled(() => expect(s.useDevice.getState().status).toBe('ready'));
  expect(s.worker.received.slice(asked).map((m) => m.name).filter((n) => /load|start|import/.test(n))).toEqual([]);
});

test('a damaged link says so and the recipe stays', async () => {
  const s = await open();
  s.openFragment('#recipe=%%%');
  expect(s.useShare.getState()).toMatchObject({ incoming: null, error: { code: 'share.unreadable' } });
  expect(s.useRecipe.getState().recipe).toEqual(defaultRecipe());
});

test('recipe and dataset outlive the page', async () => {
  const first = await open();
  first.setSetting('lora', 'r', 24);
  await first.importData({ kind: 'builtin' });
  const { datasets } = first.useData.getState();
  const second = await open({ datasets: datasets! });
  expect(second.useRecipe.getState().recipe.lora.r).toBe(24);
  await second.settled(() => expect(second.useData.getState().currentId).toBe(datasets![0]!.id));
});

test('a blocked storage is no obstacle', async () => {
  vi.stubGlobal('localStorage', { getItem: () => { throw new Error('blocked'); }, setItem: () => { throw new Error('blocked'); } });
  const s = await open();
  expect(s.setSetting('lora', 'r', 24)).toBe(true);
});

test('the mapping of a share link is applied when the file it names comes in, and to no other', async () => {
  const s = await open();
  await s.ready();
  const mapping = { shape: 'table' as const, instruction: 'frage', output: 'antwort' };
  s.openFragment(encodeShare({ ...defaultRecipe(), dataset: { source: 'file', name: 'rows.csv', mapping } }));
  s.takeIncoming();
  const given = (name: string): unknown[] => s.worker.received.filter((m) => m.name === name).map((m) => m.args);
  await s.importFiles([new File(['x'], 'other.csv')]);
  expect(given('data.import').at(-1)).not.toHaveProperty('mapping');
  expect(s.useExpected.getState()).toMatchObject({ dataset: { name: 'rows.csv' }, note: null });
  await s.importFiles([new File(['a,b'], 'rows.csv')]);
  expect(given('data.import').at(-1)).toMatchObject({ mapping });
  expect(s.useExpected.getState()).toEqual({ dataset: null, note: 'rows.csv is mapped as the shared recipe says.' });
  await s.importFiles([new File(['a,b'], 'rows.csv')]);
  expect(given('data.import').at(-1)).not.toHaveProperty('mapping');
});

test('a mapping that fits no row is left, the file is mapped as detected, and both are said', async () => {
  const s = await open();
  await s.ready();
  s.openFragment(encodeShare({ ...defaultRecipe(), dataset: { source: 'file', name: 'rows.csv', mapping: { shape: 'table', instruction: 'x', output: 'y' } } }));
  s.takeIncoming();
  s.worker.fail('data.import', { code: 'data.noUsableRows', what: 'rows.csv has no usable row.' }, 1);
  expect(await s.importFiles([new File(['a,b'], 'rows.csv')])).toBe(true);
  expect(s.useExpected.getState().note).toContain('fits no row of rows.csv');
});

test('a dataset of the hub is asked for by name, chosen by split, pinned to its commit, and carried by the recipe', async () => {
  const s = await open();
  await s.ready();
  s.openFragment(encodeShare({ ...defaultRecipe(), dataset: { source: 'hub', name: 'org/rows', revision: 'main', split: 'test' } }));
  s.takeIncoming();
  const asked = s.worker.received.length;
  await s.lookAtDataset('https://huggingface.co/datasets/org/rows', { split: 'test' });
  expect(s.worker.received.slice(asked).map((m) => [m.name, m.args])).toEqual([['hub.inspectDataset', { repo: 'org/rows' }]]);
  expect(s.useHubData.getState()).toMatchObject({ config: 'default', split: 'test' });
  const { commit } = s.useHubData.getState().found!;
  expect(await s.importHub({ repo: 'org/rows', revision: commit, config: 'default', split: 'test' }, 5)).toBe(true);
  expect(s.useExpected.getState().dataset).toBeNull();
  expect(s.useRecipe.getState().recipe.dataset).toMatchObject({ source: 'hub', name: 'org/rows', revision: commit, config: 'default', split: 'test', mapping: expect.anything() });
  s.worker.fail('hub.inspectDataset', { code: 'hub.notFound', what: 'The hub has no dataset org/none for you.' });
  await s.lookAtDataset('org/none');
  expect(s.useHubData.getState()).toMatchObject({ found: null, error: { code: 'hub.notFound' } });
});

test('files that came together are joined or kept apart afterwards, and what they were goes', async () => {
  const s = await open();
  await s.ready();
  const files = [new File(['{}'], 'a.jsonl'), new File(['{}'], 'b.jsonl')];
  await s.importFiles(files);
  expect(s.useData.getState().together).toMatchObject({ files, ids: [expect.any(String), expect.any(String)] });
  const { ids } = s.useData.getState().together!;
  await s.joinFiles('one');
  expect(s.worker.received.findLast((m) => m.name === 'data.importFiles')!.args).toEqual({ files, join: 'one' });
  expect(s.worker.received.filter((m) => m.name === 'data.delete').map((m) => m.args)).toEqual(ids.map((datasetId) => ({ datasetId })));
  await s.importData({ kind: 'builtin' });
  expect(s.useData.getState().together).toBeNull();
});
