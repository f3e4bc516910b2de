/** The session that the page's worker, the headless page and Node share: the whole story on the built-in model, then each part on a small one. */
import 'fake-indexeddb/auto';
import { afterEach, describe, expect, it } from 'vitest';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import type { EtudeError } from '../../src/config/errors.ts';
import { openDatabase } from '../../src/data/db.ts';
import { unzipFiles } from '../../src/formats/zip.ts';
import type { Recipe } from '../../src/config/recipe.ts';
import { ask, atStep, checkpointIn, copyDatabase, eventOf, jsonl, newDatabase, numbersOf, openTab, questions, ready, refusal, smallFolder, smallRecipe, startSmall, type Tab } from './support.ts';

const tabs: Tab[] = [];
async function tab(overrides: Parameters<typeof openTab>[0] = {}): Promise<Tab> {
  const opened = await openTab(overrides);
  tabs.push(opened);
  return opened;
}
afterEach(async () => {
  for (const t of tabs.splice(0)) await t.session.destroy();
});

describe('the built-in example', () => {
  it('loads, reports, forecasts, trains, answers, exports, and comes back from its zip with the same answers', async () => {
    const t = await tab();
    const device = await t.call('device.open', {});
    expect(device).toMatchObject({ software: true, gflops: null });
    expect(device.maxBindingSize).toBeGreaterThanOrEqual(2 ** 27);

    const model = await t.call('model.load', { source: { kind: 'builtin' } });
    expect(model).toMatchObject({ source: 'builtin', name: 'builtin', architecture: 'LlamaForCausalLM', parameters: 1_049_728, dtype: 'f16', tiedEmbeddings: true, hasChatTemplate: true });
    expect(t.ofType('progress').at(-1)).toMatchObject({ unit: 'bytes', done: t.ofType('progress').at(-1)!.total });

    const dataset = await t.call('data.import', { source: { kind: 'builtin' } });
    expect(dataset).toMatchObject({ rows: 480, skipped: 0, source: 'builtin' });
    expect((await t.call('data.import', { source: { kind: 'builtin' } })).id).toBe(dataset.id);
    expect(await t.call('data.list', {})).toHaveLength(1);

    const recipe: Recipe = { ...builtinRecipe(), training: { ...builtinRecipe().training, maxSteps: 2, perDeviceTrainBatchSize: 2, learningRate: 0.05, seed: 7 } };
    const report = await t.call('data.report', { datasetId: dataset.id, template: 'model', maxLength: recipe.data.maxLength });
    expect(report).toMatchObject({ rows: 480, usableRows: 480, droppedRows: 0, cutRows: 0 });
    expect(report.longest).toBeLessThanOrEqual(recipe.data.maxLength);

    const row = await t.call('data.inspect', { datasetId: dataset.id, index: 0, template: 'model', maxLength: 64 });
    const trained = row.turns.filter((turn) => turn.trained);
    expect(trained.length).toBe(1);
    expect(trained[0]!.tokens.filter((token) => token.trained).map((token) => token.text).join('')).toBe('The element osmium is a transition metal.<|im_end|>');

    // What the row costs the base model: no token before the first, and the mean is that of the trained ones.
    const asked = { datasetId: dataset.id, index: 0, template: 'model' as const, maxLength: 64 };
    const cost = await t.call('data.tokenLoss', { ...asked, which: 'base' });
    const tokens = row.turns.flatMap((turn) => turn.tokens);
    expect(cost.losses.map((loss) => loss === null)).toEqual(tokens.map((_, i) => i === 0));
    const labelled = cost.losses.filter((_, i) => tokens[i]!.trained) as number[];
    expect(cost.mean).toBeCloseTo(labelled.reduce((a, b) => a + b, 0) / labelled.length, 6);
    expect(cost.perplexity).toBeCloseTo(Math.exp(cost.mean!), 6);
    expect((await refusal(t.call('data.tokenLoss', { ...asked, which: 'tuned' }))).code).toBe('adapter.none');

    const forecast = await t.call('train.forecast', { datasetId: dataset.id, recipe });
    // Rank 8 on all seven projections of 4 layers: 8 x (128 + 128, 128 + 64 twice, 128 + 128, 3 x (128 + 384)) x 4.
    expect(forecast).toMatchObject({ trainingRows: 480, heldOutRows: 0, droppedRows: 0, steps: 2, stepsPerEpoch: 240, warmupSteps: 1, trainableParameters: 77_824, modelParameters: 1_049_728, seconds: null, measured: false });
    expect(forecast.memory.total).toBeGreaterThan(model.weightBytes + 4 * 4 * forecast.trainableParameters);

    const run = await t.call('train.start', { datasetId: dataset.id, recipe, name: 'first' });
    expect(run).toMatchObject({ name: 'first', status: 'finished', step: 2, totalSteps: 2, resumable: false });
    expect(t.ofType('train.step').map((e) => e.metrics.step)).toEqual([1, 2]);
    expect(t.ofType('train.step')[1]!.metrics.numTokens).toBeGreaterThan(60);
    expect(t.ofType('train.answer').map((e) => e.answer.step)).toEqual([0, 1, 2]);
    expect(t.ofType('train.status').map((e) => e.status)).toEqual(['finished']);
    const measured = await t.call('train.forecast', { datasetId: dataset.id, recipe });
    expect(measured.measured).toBe(true);
    expect(measured.seconds).toBeGreaterThan(0);

    const [still, after] = [await t.call('data.tokenLoss', { ...asked, which: 'base' }), await t.call('data.tokenLoss', { ...asked, maxLength: 20, which: 'tuned' })];
    expect(still).toEqual(cost);
    expect(after.losses.map((loss) => loss === null)).toEqual(tokens.map((_, i) => i === 0 || i >= 20));
    expect(after.losses[19]).not.toBe(cost.losses[19]);

    const base = await ask(t, 'base', 'What is osmium?', { maxNewTokens: 12 });
    const stream = t.ofType('chat.token').map((e) => e.text).join('');
    expect(base.text).toBe(stream);
    expect(base.tokens).toBeGreaterThan(3);
    const question = 'What kind of element is neon?';
    const sampling = { temperature: 1, maxNewTokens: 12, seed: 5 };
    const tuned = await ask(t, 'tuned', question, sampling);
    expect(await ask(t, 'base', question, sampling)).not.toMatchObject({ text: tuned.text });
    expect((await t.call('chat.heldOutPrompts', { datasetId: dataset.id, limit: 4 })).every((p) => p.prompt.length > 5 && p.reference.length > 1)).toBe(true);

    const exported = await t.call('export.build', {});
    expect(exported.ok, JSON.stringify(exported.checks)).toBe(true);
    expect(exported.checks.some((check) => check.detail.includes('largest difference 0'))).toBe(true);
    const files = unzipFiles(new Uint8Array(await exported.zip.arrayBuffer()), 'zip', () => true);
    expect([...files.keys()].map((path) => path.split('/').at(-1))).toEqual(expect.arrayContaining(['README.md', 'adapter_config.json', 'adapter_model.safetensors']));
    expect(new TextDecoder().decode([...files].find(([path]) => path.endsWith('README.md'))![1])).toContain('https://etude.example/studio/#');

    // Another browser, with nothing but the zip.
    const other = await tab();
    await other.call('model.load', { source: { kind: 'builtin' } });
    const imported = await other.call('adapter.import', { name: exported.fileName, files: [new File([exported.zip], exported.fileName)] });
    expect(imported).toMatchObject({ r: 8 });
    expect(imported.targetModules.length).toBe(7);
    // Sampled text follows the logits to their last bits.
    for (const seed of [5, 6]) {
      const { text } = await ask(t, 'tuned', question, { ...sampling, seed });
      expect((await ask(other, 'tuned', question, { ...sampling, seed })).text).toBe(text);
    }
    // What came from elsewhere is written again in plain form: no recipe is made up for it.
    const converted = await other.call('export.build', {});
    expect(converted.ok, JSON.stringify(converted.checks)).toBe(true);
    expect(converted.checks.map((check) => check.file)).toEqual(['adapter_model.safetensors', 'adapter_config.json', 'README.md']);
    const again = unzipFiles(new Uint8Array(await converted.zip.arrayBuffer()), 'zip', () => true);
    for (const name of ['adapter_model.safetensors', 'adapter_config.json']) {
      const of = (from: ReadonlyMap<string, Uint8Array>) => Buffer.from([...from].find(([path]) => path.endsWith(name))![1]);
      expect(Buffer.compare(of(again), of(files)), name).toBe(0);
    }
    expect(new TextDecoder().decode([...again].find(([path]) => path.endsWith('README.md'))![1])).toContain('Made elsewhere');
  });
});

describe('runs', () => {
  it('are listed newest first, renamed, reopened with their adapter, and deleted', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    const first = await startSmall(t, datasetId, { maxSteps: 2 });
    const answer = await ask(t, 'tuned');
    const second = await startSmall(t, datasetId, { maxSteps: 2, seed: 99, learningRate: 0.5 });
    expect((await t.call('runs.list', {})).map((r) => r.id)).toEqual([second.id, first.id]);
    expect((await t.call('runs.rename', { runId: first.id, name: '  the first  ' })).name).toBe('the first');
    expect((await t.call('runs.rename', { runId: first.id, name: '   ' })).name).toBe('the first');
    expect((await ask(t, 'tuned')).text).not.toBe(answer.text);
    const opened = await t.call('runs.open', { runId: first.id });
    expect(opened).toMatchObject({ name: 'the first', status: 'finished', step: 2 });
    expect(opened.metrics.map((m) => m.step)).toEqual([1, 2]);
    expect((await ask(t, 'tuned')).text).toBe(answer.text);
    expect((await t.call('export.build', {})).ok).toBe(true);
    await t.call('runs.delete', { runId: second.id });
    expect((await t.call('runs.list', {})).map((r) => r.id)).toEqual([first.id]);
    expect((await refusal(t.call('runs.get', { runId: second.id }))).code).toBe('run.missing');
    const db = await openDatabase(t.database);
    expect(await db.getAllKeys('checkpoints')).toEqual([first.id]);
    db.close();
  });

  it('live on in a new session on the same database, where a run that finished cannot be resumed', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    const run = await startSmall(t, datasetId);
    const answer = await ask(t, 'tuned');
    await t.session.destroy();
    const again = await tab({ database: t.database });
    expect(await again.call('runs.list', {})).toMatchObject([{ id: run.id, status: 'finished', resumable: false }]);
    expect((await again.call('data.list', {})).map((d) => d.id)).toEqual([datasetId]);
    expect((await refusal(again.call('runs.open', { runId: run.id }))).code).toBe('model.none');
    await again.call('model.load', { source: smallFolder() });
    await again.call('runs.open', { runId: run.id });
    expect((await ask(again, 'tuned')).text).toBe(answer.text);
    expect((await refusal(again.call('train.resume', { runId: run.id }))).code).toBe('run.notResumable');
  });

  it.each([false, true])('go on after a crash with the bits they would have had, packing %s', async (packing) => {
    const training: Partial<Recipe['training']> = { maxSteps: 6, saveSteps: 2, validationSplit: 0.25, evalSteps: 3, packing, warmupRatio: 0.3, weightDecay: 0.01 };
    const t = await tab();
    const datasetId = await ready(t, questions(11));
    // The run is paused at a checkpoint while its database is copied: the copy is what a crash would have left.
    const crashed = newDatabase();
    const paused = eventOf(t, (e) => e.type === 'train.status' && e.status === 'paused');
    atStep(t, 2, () => void t.call('train.pause', {}));
    const running = startSmall(t, datasetId, training, { loraDropout: 0.1 });
    await paused;
    await copyDatabase(t.database, crashed);
    await t.call('train.continue', {});
    const whole = await running;
    const wholeDetail = await t.call('runs.get', { runId: whole.id });
    expect(wholeDetail.metrics.length).toBe(6);
    expect(t.ofType('train.status').map((e) => e.status)).toEqual(['paused', 'running', 'finished']);

    const after = await tab({ database: crashed });
    await after.call('model.load', { source: smallFolder() });
    const [left] = await after.call('runs.list', {});
    expect(left).toMatchObject({ id: whole.id, status: 'interrupted', resumable: true });
    expect(left!.step).toBeGreaterThanOrEqual(2);
    expect(left!.step).toBeLessThan(6);
    const resumed = await after.call('train.resume', { runId: whole.id });
    expect(resumed).toMatchObject({ status: 'finished', step: 6, finalLoss: whole.finalLoss, bestEvalLoss: whole.bestEvalLoss });
    expect(after.ofType('train.step')[0]!.metrics.step).toBe(left!.step + 1);
    const detail = await after.call('runs.get', { runId: whole.id });
    expect(numbersOf(detail.metrics)).toEqual(numbersOf(wholeDetail.metrics));
    const [ours, theirs] = [await checkpointIn(crashed, whole.id), await checkpointIn(t.database, whole.id)];
    for (const part of ['params', 'm', 'v'] as const) expect(Buffer.from(ours.state[part].buffer).equals(Buffer.from(theirs.state[part].buffer)), part).toBe(true);
    expect({ ...ours.state, params: 0, m: 0, v: 0 }).toEqual({ ...theirs.state, params: 0, m: 0, v: 0 });
    expect([...ours.heldOut]).toEqual([...theirs.heldOut]);
    expect(ours.heldOut.length).toBeGreaterThan(0);
    expect(Object.keys(ours.variants)).toContain('matmulNT.wide');
  });

  it('stop with an adapter that answers, and go on later from where they stopped', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    atStep(t, 2, () => void t.call('train.stop', {}));
    const stopped = await startSmall(t, datasetId, { maxSteps: 40 });
    expect(stopped).toMatchObject({ status: 'stopped' });
    expect(stopped.step).toBeGreaterThanOrEqual(2);
    expect(stopped.step).toBeLessThan(10);
    expect((await ask(t, 'tuned')).tokens).toBeGreaterThan(0);
    const [listed] = await t.call('runs.list', {});
    expect(listed).toMatchObject({ status: 'stopped', resumable: true });
    // Not on other rows than it began with, and on the same once what was changed is taken back.
    await t.call('data.editRow', { datasetId, index: 1, messages: [{ role: 'user', content: 'What is tea?' }, { role: 'assistant', content: 'A drink.' }] });
    const other = await refusal(t.call('train.resume', { runId: stopped.id }));
    expect([other.code, other.message]).toEqual(['run.otherRows', expect.stringContaining('1 edit was made since')]);
    await t.call('data.undoEdit', { datasetId });
    atStep(t, stopped.step + 2, () => void t.call('train.stop', {}));
    const again = await t.call('train.resume', { runId: stopped.id });
    expect(again.step).toBeGreaterThan(stopped.step);
    expect((await t.call('runs.get', { runId: stopped.id })).metrics.map((m) => m.step)).toEqual(Array.from({ length: again.step }, (_, i) => i + 1));
  });

  it('keep the validation loss of steps that are logged more rarely', async () => {
    const t = await tab();
    const datasetId = await ready(t, questions(10));
    const run = await t.session.train(datasetId, smallRecipe({ maxSteps: 5, validationSplit: 0.2, evalSteps: 3, loggingSteps: 4 }), { answers: false });
    expect(t.ofType('train.step').map((e) => e.metrics.step)).toEqual([1, 4, 5]);
    expect(run.metrics.map((m) => [m.step, m.evalLoss !== undefined])).toEqual([[1, false], [3, true], [4, false], [5, true]]);
    expect(t.ofType('train.eval').map((e) => e.step)).toEqual([0, 3, 5]);
    expect(run.bestEvalLoss).toBe(Math.min(...t.ofType('train.eval').map((e) => e.evalLoss)));
  });

  it('are exported while paused, and not while their adapter changes at every step', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    const told: unknown[] = [];
    const tried = eventOf(t, (e) => e.type === 'train.step').then(async () => {
      const paused = eventOf(t, (e) => e.type === 'train.status' && e.status === 'paused');
      told.push(await t.call('export.build', {}).then(() => 'built', (error: EtudeError) => error.code));
      await t.call('train.pause', {});
      await paused;
      told.push(await t.call('export.build', {}).then((built) => built.ok, (error: EtudeError) => error.code));
      await t.call('train.stop', {});
    });
    await t.session.train(datasetId, smallRecipe({ maxSteps: 400 }), { answers: false });
    await tried;
    expect(told).toEqual(['run.busy', true]);
  });

  it('can be stopped while paused', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    atStep(t, 1, () => void t.call('train.pause', {}));
    void eventOf(t, (e) => e.type === 'train.status' && e.status === 'paused').then(() => t.call('train.stop', {}));
    expect((await startSmall(t, datasetId, { maxSteps: 40 })).status).toBe('stopped');
  });

  it('one at a time: a second run, another model, another adapter and the deletion of its record are refused while it goes on, and it is not disturbed', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    const codes: string[] = [];
    const tried = eventOf(t, (e) => e.type === 'train.step').then(async () => {
      const { run } = t.ofType('train.started')[0]!;
      const requests: (() => Promise<unknown>)[] = [
        () => startSmall(t, datasetId), () => t.call('train.resume', { runId: run.id }), () => t.call('model.load', { source: smallFolder() }), () => t.call('model.unload', {}),
        () => t.call('adapter.import', { name: 'x', files: [] }), () => t.call('runs.delete', { runId: run.id }), () => t.call('data.delete', { datasetId }),
        () => t.call('data.tokenLoss', { datasetId, index: 0, template: 'chatml', maxLength: 64, which: 'base' }),
      ];
      for (const request of requests) codes.push(await request().then(() => 'done', (error: EtudeError) => error.code));
      await t.call('runs.rename', { runId: run.id, name: 'renamed under way' });
      await t.call('train.stop', {});
    });
    const run = await startSmall(t, datasetId, { maxSteps: 400, saveSteps: 1 });
    await tried;
    expect(codes).toEqual(Array.from({ length: 8 }, () => 'run.busy'));
    expect(run).toMatchObject({ status: 'stopped', name: 'renamed under way' });
    expect((await t.call('runs.list', {})).map((r) => r.name)).toEqual(['renamed under way']);
  });

  it('are offered for resumption only while their dataset is stored', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    atStep(t, 1, () => void t.call('train.stop', {}));
    const run = await startSmall(t, datasetId, { maxSteps: 40 });
    expect((await t.call('runs.list', {}))[0]!.resumable).toBe(true);
    await t.call('data.delete', { datasetId });
    expect((await t.call('runs.list', {}))[0]!.resumable).toBe(false);
    expect((await refusal(t.call('train.resume', { runId: run.id }))).code).toBe('data.missing');
    // The adapter is still there.
    await t.call('runs.open', { runId: run.id });
    expect((await t.call('export.build', {})).ok).toBe(true);
  });

  it('are not resumed or reopened on another model', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    const run = await startSmall(t, datasetId);
    await t.call('model.load', { source: { kind: 'builtin' } });
    expect((await refusal(t.call('runs.open', { runId: run.id }))).code).toBe('run.otherModel');
    expect((await refusal(ask(t, 'tuned'))).code).toBe('adapter.none');
  });
});

describe('what a run trains on', () => {
  it('is what the inspector shows: a switched turn changes labels, report and run', async () => {
    const t = await tab();
    const datasetId = await ready(t, [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: 'one two' }, { role: 'user', content: 'b' }, { role: 'assistant', content: 'three four' }] }, ...questions(0)]);
    const args = { datasetId, template: 'model', maxLength: 64 } as const;
    const before = await t.call('data.report', args);
    const switched = await t.call('data.inspect', { ...args, index: 0, trainedTurns: { 1: false } });
    await t.call('data.setTrainedTurns', { datasetId, index: 0, trainedTurns: { 1: false } });
    const after = await t.call('data.report', args);
    expect(after.labelledTokens).toBe(switched.trainedTokens);
    expect(after.labelledTokens).toBeLessThan(before.labelledTokens);
    const recipe = smallRecipe({ maxSteps: 1 });
    expect((await t.call('train.forecast', { datasetId, recipe })).labelledTokensSeen).toBe(after.labelledTokens);
  });

  it('is counted by the forecast as the run then does it, with packing and without', async () => {
    const t = await tab();
    const datasetId = await ready(t, questions(10));
    for (const packing of [false, true]) {
      const recipe = smallRecipe({ packing, maxSteps: 0, numTrainEpochs: 1, validationSplit: 0.2 });
      const forecast = await t.call('train.forecast', { datasetId, recipe });
      const run = await t.call('train.start', { datasetId, recipe });
      const detail = await t.call('runs.get', { runId: run.id });
      expect(run.totalSteps).toBe(forecast.steps);
      expect(detail.metrics.at(-1)!.numTokens).toBe(forecast.tokensSeen);
      expect(detail.metrics.at(-1)!.epoch).toBe(1);
      expect(forecast.trainingRows + forecast.heldOutRows).toBe(10);
      expect(detail.metrics.at(-1)!.evalLoss).toBe(run.bestEvalLoss);
    }
  });

  it('goes on from an adapter where that is asked: its first loss is what the next step of the run that made it would have had', async () => {
    const t = await tab();
    const datasetId = await ready(t, questions(4));
    // Two steps an epoch without shuffling, so that steps 1 and 3 see the same rows.
    const training: Partial<Recipe['training']> = { shuffle: false, lrSchedulerType: 'constant', warmupRatio: 0 };
    const three = await t.session.train(datasetId, smallRecipe({ ...training, maxSteps: 3 }), { answers: false });
    await t.session.train(datasetId, smallRecipe({ ...training, maxSteps: 2 }), { answers: false });
    const on = await t.session.train(datasetId, smallRecipe({ ...training, maxSteps: 1, seed: 7 }), { answers: false, fromTuned: true });
    expect(on.metrics[0]!.loss).toBe(three.metrics[2]!.loss);
    expect(on.metrics[0]!.loss).not.toBe(three.metrics[0]!.loss);
  });

  it('a report asked for again after a cancelled one is made anew', async () => {
    const t = await tab();
    const datasetId = await ready(t, questions(300));
    const abort = new AbortController();
    const args = { datasetId, template: 'model', maxLength: 48 } as const;
    const first = t.call('data.report', args, abort.signal).then(() => 'done', (error: unknown) => String(error));
    await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort();
    const second = t.call('data.report', args);
    expect(await first).toMatch(/abort/i);
    expect((await second).rows).toBe(300);
  });
});

describe('the session', () => {
  it('refuses requests that need what is not there, by name', async () => {
    const t = await tab();
    const { id: datasetId } = await t.call('data.import', { source: { kind: 'file', file: jsonl(questions(2)) } });
    const code = async (request: Promise<unknown>): Promise<string> => (await refusal(request)).code;
    expect(await code(t.call('data.report', { datasetId, template: 'model', maxLength: 32 }))).toBe('model.none');
    expect(await code(startSmall(t, datasetId))).toBe('model.none');
    expect(await code(ask(t, 'base'))).toBe('model.none');
    await t.call('model.load', { source: smallFolder() });
    expect(await code(ask(t, 'tuned'))).toBe('adapter.none');
    expect(await code(t.call('export.build', {}))).toBe('adapter.none');
    expect(await code(t.call('train.pause', {}))).toBe('run.none');
    expect(await code(startSmall(t, 'no such dataset'))).toBe('data.missing');
    expect(await code(t.call('train.resume', { runId: 'no such run' }))).toBe('run.missing');
    expect(await code(t.call('no.such' as 'data.list', {}))).toBe('protocol.unknown');
    expect(await code(ask(t, 'base', 'word '.repeat(400)))).toBe('chat.tooLong');
    // None of it hurt.
    expect((await startSmall(t, datasetId)).status).toBe('finished');
  });

  it('ends the answers under way when model or adapter changes, and answers with the new one', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    await t.session.train(datasetId, smallRecipe({ maxSteps: 1 }), { answers: false });
    const [run] = await t.call('runs.list', {});
    for (const [which, change] of [['tuned', () => t.call('runs.open', { runId: run!.id })], ['base', () => t.call('model.unload', {})]] as const) {
      const begun = eventOf(t, (e) => e.type === 'chat.token');
      const answers = [ask(t, which, 'What is tea?', { maxNewTokens: 30, temperature: 2 }), ask(t, which, 'What is silk?', { maxNewTokens: 30, temperature: 2 })];
      await begun;
      await change();
      const [first, second] = await Promise.all(answers);
      // The first may have been through; the second waited for it.
      expect(first!.tokens).toBeGreaterThan(0);
      expect(second!.stoppedBy).toBe('user');
    }
    await t.call('model.load', { source: smallFolder() });
    expect((await ask(t, 'base')).stoppedBy).toBe('length');
  });

  it('ends an answer when it is told to', async () => {
    const t = await tab();
    await t.call('model.load', { source: smallFolder() });
    void eventOf(t, (e) => e.type === 'chat.token').then((e) => e.type === 'chat.token' && t.call('chat.stop', { streamId: e.streamId }));
    const answer = await ask(t, 'base', 'What is tea?', { maxNewTokens: 200, temperature: 2 });
    expect(answer.stoppedBy).toBe('user');
    expect(answer.tokens).toBeLessThan(100);
  });
});
