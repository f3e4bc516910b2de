/** What can go wrong, one by one: each ends in a message with its own code, and what was there before is still there. */
import 'fake-indexeddb/auto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ask, atStep, checkpointIn, eventOf, FakeLocks, FragileGpu, jsonl, newDatabase, numbersOf, openTab, questions, ready, refusal, SMALL, smallFolder, smallRecipe, startSmall, type Tab } from './support.ts';
import { checkpointOf, randomValues } from '../setup/tinyModel.ts';
import { takeUncapturedErrors } from '../setup/gpu.ts';

const tabs: Tab[] = [];
async function tab(overrides: Parameters<typeof openTab>[0] = {}): Promise<Tab> {
  const opened = await openTab(overrides);
  tabs.push(opened);
  return opened;
}
afterEach(async () => {
  vi.restoreAllMocks();
  for (const t of tabs.splice(0)) await t.session.destroy();
});

describe('a model folder', () => {
  const weights = (change: (values: ReturnType<typeof randomValues>) => void): Uint8Array => {
    const values = randomValues(SMALL, 1);
    change(values);
    return checkpointOf(values);
  };
  const config = (files: Map<string, Uint8Array | string>, change: Record<string, unknown>): void => {
    files.set('config.json', JSON.stringify({ ...JSON.parse(files.get('config.json') as string), ...change }));
  };
  const cut = (bytes: Uint8Array, n: number): Uint8Array => bytes.slice(0, bytes.length - n);
  const withHeaderLength = (bytes: Uint8Array, length: bigint): Uint8Array => {
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    return bytes;
  };
  const name = 'model.layers.0.self_attn.q_proj.weight';

  it.each<[string, string, RegExp, (files: Map<string, Uint8Array | string>) => void]>([
    ['without config.json', 'model.noConfig', /config\.json/, (f) => void f.delete('config.json')],
    ['with a config.json that is not JSON', 'file.notJson', /config\.json/, (f) => void f.set('config.json', '{"architectures": [')],
    ['of an unknown architecture', 'model.unsupported', /GPT2LMHeadModel/, (f) => config(f, { architectures: ['GPT2LMHeadModel'] })],
    ['without weights', 'model.noWeights', /model\.safetensors/, (f) => void f.delete('model.safetensors')],
    ['without a tokenizer', 'model.noTokenizer', /tokenizer\.json/, (f) => void f.delete('tokenizer.json')],
    ['whose weights are cut off', 'safetensors.truncated', /model\.safetensors/, (f) => void f.set('model.safetensors', cut(weights(() => {}), 1000))],
    ['whose header claims to be longer than the file', 'safetensors.truncated', /header/, (f) => void f.set('model.safetensors', withHeaderLength(weights(() => {}), 3_999_999n))],
    ['whose header claims gigabytes', 'safetensors.header', /header/, (f) => void f.set('model.safetensors', withHeaderLength(weights(() => {}), 2n ** 60n))],
    ['whose header lies about a place', 'safetensors.layout', /belong to no tensor|shares/, (f) => {
      const bytes = weights(() => {});
      const text = new TextDecoder().decode(bytes.slice(8, 4000));
      const at = text.search(/"data_offsets":\[(?!0)/) + '"data_offsets":['.length;
      // The first tensor that does not begin at 0 begins a word too early and ends a word too early.
      const [from, to] = /^(\d+),(\d+)/.exec(text.slice(at))!.slice(1).map(Number) as [number, number];
      const lie = `${from - 4},${to - 4}`.padEnd(`${from},${to}`.length, ' ');
      bytes.set(new TextEncoder().encode(lie), 8 + at);
      f.set('model.safetensors', bytes);
    }],
    ['with a missing tensor', 'model.tensors', new RegExp(`1 tensor is missing \\(${name}\\)`), (f) => void f.set('model.safetensors', weights((v) => void v.delete(name)))],
    ['with a tensor of another shape', 'model.tensors', /q_proj\.weight is \[24, 13\], not \[24, 14\]/, (f) => void f.set('model.safetensors', weights((v) => void v.set(name, { shape: [24, 13], data: new Float64Array(24 * 13) })))],
    ['with weights that are not numbers', 'model.notFinite', /q_proj\.weight .* element 7/, (f) => void f.set('model.safetensors', weights((v) => void (v.get(name)!.data[7] = NaN)))],
    ['with an infinite norm', 'model.notFinite', /model\.norm\.weight/, (f) => void f.set('model.safetensors', weights((v) => void (v.get('model.norm.weight')!.data[0] = Infinity)))],
  ])('%s is refused as %s, and the model that was loaded goes on answering', async (_, code, words, change) => {
    const t = await models();
    const error = await refusal(t.call('model.load', { source: smallFolder(change, 2) }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(words);
    expect((await ask(t, 'base')).text).toBe(answer);
  });

  /** One session for all of them: that it survives is the point. */
  let one: Tab | null = null;
  let answer = '';
  const models = async (): Promise<Tab> => {
    if (!one) {
      one = await openTab();
      await one.call('model.load', { source: smallFolder() });
      answer = (await ask(one, 'base')).text;
    }
    return one;
  };

  it('that is good is loaded after all of those, and gives what it gives by itself', async () => {
    const t = await models();
    await t.call('model.load', { source: smallFolder(() => {}, 2) });
    expect((await ask(t, 'base')).text).not.toBe(answer);
    await t.call('model.load', { source: smallFolder() });
    expect((await ask(t, 'base')).text).toBe(answer);
    await t.session.destroy();
  });

  it('that is given up while its weights are read leaves the model that was loaded', async () => {
    const t = await tab();
    await t.call('model.load', { source: smallFolder() });
    const before = (await ask(t, 'base')).text;
    const abort = new AbortController();
    const loading = t.call('model.load', { source: { kind: 'builtin' } }, abort.signal).then(() => 'loaded', (error: unknown) => String(error));
    abort.abort();
    expect(await loading).toMatch(/abort/i);
    expect((await ask(t, 'base')).text).toBe(before);
  });
});

describe('the device', () => {
  it('without WebGPU: says which browsers have it and how to turn it on; data still comes in', async () => {
    const t = await tab({ gpu: undefined });
    const error = await refusal(t.call('device.open', {}));
    expect(error.code).toBe('device.noWebGpu');
    expect(error.userMessage.expected).toMatch(/Chrome.*Safari.*Firefox/);
    expect(error.userMessage.nextStep).toMatch(/--enable-unsafe-webgpu/);
    expect((await refusal(t.call('model.load', { source: smallFolder() }))).code).toBe('device.noWebGpu');
    expect((await t.call('data.import', { source: { kind: 'file', file: jsonl(questions(3)) } })).rows).toBe(3);
  });

  it('without an adapter, or refused by it, says so; the next try works', async () => {
    const fragile = new FragileGpu();
    const t = await tab({ gpu: fragile.gpu });
    fragile.refuseAdapter = true;
    expect((await refusal(t.call('device.open', {}))).code).toBe('device.noAdapter');
    fragile.refuseAdapter = false;
    fragile.refuseDevice = true;
    const error = await refusal(t.call('device.open', {}));
    expect(error.code).toBe('device.refused');
    expect(error.userMessage.likelyCause).toContain('the adapter is consumed');
    fragile.refuseDevice = false;
    expect((await t.call('device.open', {})).software).toBe(true);
  });
});

describe('a full GPU', () => {
  it('when training is prepared: says what would fit, keeps model and tuned adapter, and a run of that size goes through', async () => {
    const fragile = new FragileGpu();
    const t = await tab({ gpu: fragile.gpu });
    const datasetId = await ready(t);
    const first = await startSmall(t, datasetId);
    const answer = (await ask(t, 'tuned')).text;
    const before = fragile.taken;
    fragile.room = before + 700_000;
    const error = await refusal(t.call('train.start', { datasetId, recipe: smallRecipe({ perDeviceTrainBatchSize: 8, seed: 5 }) }));
    expect(error.code).toBe('device.outOfMemory');
    expect(error.message).toMatch(/8 rows of 48 tokens: it takes .*B/);
    expect(error.userMessage.nextStep).toMatch(/takes? less: .*batch size [1-4] \([\d.]+ [kM]B\)/);
    expect(fragile.taken).toBe(before);
    expect((await ask(t, 'tuned')).text).toBe(answer);
    expect((await t.call('runs.list', {})).map((r) => r.id)).toEqual([first.id]);
    expect((await startSmall(t, datasetId, { perDeviceTrainBatchSize: 1 })).status).toBe('finished');
  });

  it('makes a run compute more again, which the forecast then expects; a limit set by hand does the same; a policy asked for is kept', async () => {
    const fragile = new FragileGpu();
    const t = await tab({ gpu: fragile.gpu });
    const datasetId = await ready(t);
    const forecast = async () => (await t.call('train.forecast', { datasetId, recipe: smallRecipe() })).memory;
    const recomputed = async (run: { id: string }) => (await t.call('runs.get', { runId: run.id })).recompute;
    const plain = await startSmall(t, datasetId);
    expect(await recomputed(plain)).toBe('none');
    expect(await forecast()).toMatchObject({ policy: 'none', fits: true, extraFlops: 0, budget: { basis: 'largestBuffer' } });
    fragile.fullAfter = 0;
    const fuller = await startSmall(t, datasetId);
    expect(await recomputed(fuller)).toBe('cheap');
    expect(fuller.finalLoss).toBe(plain.finalLoss);
    expect((await forecast()).budget.basis).toBe('failure');
    const { policies } = await forecast();
    await t.call('device.setMemoryLimit', { bytes: policies[0]!.total });
    expect(await forecast()).toMatchObject({ policy: 'none', budget: { basis: 'person' } });
    await t.call('device.setMemoryLimit', { bytes: 1000 });
    const tight = await forecast();
    expect(tight).toMatchObject({ policy: 'cheap', fits: false, smaller: [] });
    expect(tight.total).toBe(tight.weights + tight.activations + tight.scratch + tight.logits + tight.adapter + tight.generation + tight.other);
    expect(await recomputed(await startSmall(t, datasetId, { gradientCheckpointing: 'layers' }))).toBe('layers');
  });

  it('in the middle of a run: it ends with its checkpoint kept and what would fit, and goes on from there once there is room', async () => {
    const fragile = new FragileGpu();
    const t = await tab({ gpu: fragile.gpu });
    const datasetId = await ready(t);
    const whole = await startSmall(t, datasetId, { saveSteps: 1, maxSteps: 4 }, { r: 256 });
    t.onEvent = (event) => {
      if (event.type === 'train.checkpoint' && event.step === 2) fragile.room = 0;
    };
    const error = await refusal(startSmall(t, datasetId, { saveSteps: 1, maxSteps: 4 }, { r: 256 }));
    expect(error.code).toBe('device.outOfMemory');
    expect(error.message).toMatch(/^Training stopped at step 3: .* The checkpoint of step 2 is kept\.$/);
    const broken = (await t.call('runs.list', {})).find((run) => run.status === 'failed')!;
    expect(broken).toMatchObject({ step: 3, resumable: true });
    t.onEvent = () => {};
    fragile.room = Infinity;
    // Only on the weights that it began on.
    await t.call('model.load', { source: smallFolder(), quantization: 'int8' });
    const other = await refusal(t.call('train.resume', { runId: broken.id }));
    expect([other.code, other.message]).toEqual(['run.otherQuantization', `${broken.name} was trained on small as stored; it is loaded in 8 bits.`]);
    expect((await t.call('runs.open', { runId: broken.id })).id).toBe(broken.id);
    await t.call('model.load', { source: smallFolder() });
    const resumed = await t.call('train.resume', { runId: broken.id });
    expect([resumed.status, resumed.finalLoss]).toEqual(['finished', whole.finalLoss]);
  });

  it('when weights do not fit as stored: says what 8 and 4 bits take, and loads them so; a run on them is on record with it', async () => {
    const fragile = new FragileGpu();
    const t = await tab({ gpu: fragile.gpu });
    fragile.room = 60_000;
    const error = await refusal(t.call('model.load', { source: smallFolder() }));
    expect(error.userMessage.nextStep).toMatch(/^One of these takes less: the model in 8 bits \(\d.* kB\); the model in 4 bits \(\d.* kB\)\.$/);
    expect(fragile.taken).toBe(0);
    const summary = await t.call('model.load', { source: smallFolder(), quantization: 'nf4' });
    expect(summary).toMatchObject({ quantization: 'nf4', dtype: 'f32' });
    expect(summary.weightBytes).toBeLessThan(60_000);
    fragile.room = Infinity;
    const { id } = await t.call('data.import', { source: { kind: 'file', file: jsonl(questions(8)) } });
    const run = await startSmall(t, id, { saveSteps: 1 });
    expect(run.recipe.model).toEqual({ source: 'folder', name: 'small', quantization: 'nf4' });
  });

  it('when a model is loaded: the old model makes room once, and is gone only if even that is not enough', async () => {
    const fragile = new FragileGpu();
    const t = await tab({ gpu: fragile.gpu });
    await t.call('model.load', { source: smallFolder() });
    fragile.fullAfter = 0;
    await t.call('model.load', { source: smallFolder(() => {}, 2) });
    expect(t.ofType('model.unloaded').length).toBe(1);
    [fragile.fullAfter, fragile.fullScopes] = [0, 2];
    const error = await refusal(t.call('model.load', { source: smallFolder() }));
    expect(error.code).toBe('device.outOfMemory');
    expect(error.message).toMatch(/weights of this model: it takes .*kB/);
    expect((await refusal(ask(t, 'base'))).code).toBe('model.none');
    await t.call('model.load', { source: smallFolder() });
    expect((await ask(t, 'base')).tokens).toBeGreaterThan(0);
  });

  it('when the first question is asked: says so, and the next one is answered', async () => {
    const fragile = new FragileGpu();
    const t = await tab({ gpu: fragile.gpu });
    await t.call('model.load', { source: smallFolder() });
    fragile.fullAfter = 0;
    expect((await refusal(ask(t, 'base'))).code).toBe('device.outOfMemory');
    expect((await ask(t, 'base')).tokens).toBeGreaterThan(0);
  });
});

describe('answers on the way', () => {
  it('for which the GPU has no room are left out, with a word, and the run goes on to its end', async () => {
    const fragile = new FragileGpu();
    const t = await tab({ gpu: fragile.gpu });
    const datasetId = await ready(t);
    // The plan's scope closes well; the generator's does not.
    fragile.fullAfter = 1;
    expect((await startSmall(t, datasetId)).status).toBe('finished');
    expect(t.ofType('train.answer')).toEqual([]);
    expect(t.ofType('train.alert').map((e) => e.alert.code)).toEqual(['device.outOfMemory']);
  });

  it('to questions longer than the context are left out', async () => {
    const t = await tab();
    const long = questions(3).map((row) => ({ ...row, instruction: `${row.instruction} ${'and why? '.repeat(30)}` }));
    const datasetId = await ready(t, [...long, ...questions(1)]);
    const recipe = smallRecipe({ maxSteps: 1 });
    const run = await t.call('train.start', { datasetId, recipe: { ...recipe, data: { ...recipe.data, maxLength: 200 } } });
    expect(run.status).toBe('finished');
    expect(t.ofType('train.answer').map((e) => e.answer.prompt)).toEqual(['What is iron?', 'What is iron?']);
  });
});

describe('a device lost', () => {
  it('in a run: the run ends with its last checkpoint, a new device opens, and the run goes on to the same end', async () => {
    const fragile = new FragileGpu({ mayDie: true });
    const t = await tab({ gpu: fragile.gpu });
    const datasetId = await ready(t);
    const recipe = smallRecipe({ maxSteps: 8, saveSteps: 3 }, { loraDropout: 0.1 });
    atStep(t, 5, () => fragile.lose('a driver update'));
    const error = await refusal(t.call('train.start', { datasetId, recipe }));
    expect(error.code).toBe('device.lostInRun');
    expect(error.message).toMatch(/checkpoint of step 3 is kept/);
    expect(error.userMessage.likelyCause).toBe('a driver update');
    expect(t.ofType('device.lost').map((e) => e.message.code)).toEqual(['device.lostInRun']);
    expect(t.ofType('train.status').at(-1)).toMatchObject({ status: 'failed', message: { code: 'device.lostInRun' } });
    const [run] = await t.call('runs.list', {});
    expect(run).toMatchObject({ status: 'failed', resumable: true });
    expect((await checkpointIn(t.database, run!.id)).state.step).toBe(3);
    expect((await refusal(ask(t, 'base'))).code).toBe('model.none');

    await t.call('device.open', {});
    await t.call('model.load', { source: smallFolder() });
    expect(fragile.opened).toBe(2);
    const resumed = await t.call('train.resume', { runId: run!.id });
    expect(resumed).toMatchObject({ status: 'finished', step: 8 });
    const whole = await t.call('train.start', { datasetId, recipe });
    const metrics = async (runId: string) => numbersOf((await t.call('runs.get', { runId })).metrics);
    expect(await metrics(resumed.id)).toEqual(await metrics(whole.id));
    await takeUncapturedErrors();
  });

  it('while a run is paused: the run ends, with the checkpoint of the pause', async () => {
    const fragile = new FragileGpu({ mayDie: true });
    const t = await tab({ gpu: fragile.gpu });
    const datasetId = await ready(t);
    atStep(t, 1, () => void t.call('train.pause', {}));
    void eventOf(t, (e) => e.type === 'train.status' && e.status === 'paused').then(() => fragile.lose());
    const error = await refusal(startSmall(t, datasetId, { maxSteps: 20 }));
    expect(error.code).toBe('device.lostInRun');
    const [run] = await t.call('runs.list', {});
    expect(run).toMatchObject({ status: 'failed', resumable: true });
    expect((await checkpointIn(t.database, run!.id)).state.step).toBe(t.ofType('train.checkpoint').at(-1)!.step);
    await takeUncapturedErrors();
  });

  it('in an answer, or between two: says so, and the next device answers', async () => {
    const fragile = new FragileGpu({ mayDie: true });
    const t = await tab({ gpu: fragile.gpu });
    await t.call('model.load', { source: smallFolder() });
    void eventOf(t, (e) => e.type === 'chat.token').then(() => fragile.lose());
    expect((await refusal(ask(t, 'base', 'What is tea?', { maxNewTokens: 20 }))).code).toBe('device.lost');
    expect(t.ofType('device.lost').map((e) => e.message.code)).toEqual(['device.lost']);
    await t.call('model.load', { source: smallFolder() });
    expect((await ask(t, 'base')).tokens).toBeGreaterThan(0);
    fragile.lose();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect((await refusal(ask(t, 'base'))).code).toBe('model.none');
    await takeUncapturedErrors();
  });
});

describe('storage', () => {
  /** IndexedDB writes to one store fail from now on. */
  function full(store: string): void {
    // oxlint-disable-next-line typescript/unbound-method -- called below with the store as `this`
    const put = IDBObjectStore.prototype.put;
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args: [unknown, IDBValidKey?]) {
      if (this.name === store) throw new DOMException('quota', 'QuotaExceededError');
      return put.apply(this, args);
    });
  }

  it('full at a checkpoint: the run ends in words, and its adapter can still be tried and taken home', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    full('checkpoints');
    const error = await refusal(startSmall(t, datasetId, { maxSteps: 6, saveSteps: 2 }));
    expect(error.code).toBe('storage.full');
    expect(t.ofType('train.status').at(-1)).toMatchObject({ status: 'failed', message: { code: 'storage.full' } });
    expect((await ask(t, 'tuned')).tokens).toBeGreaterThan(0);
    expect((await t.call('export.build', {})).ok).toBe(true);
    vi.restoreAllMocks();
    expect((await t.call('runs.list', {}))[0]).toMatchObject({ status: 'failed', step: 2 });
    expect((await startSmall(t, datasetId)).status).toBe('finished');
  });

  it('full before the run is on record: nothing starts, and what was tuned before stays', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    await startSmall(t, datasetId);
    const answer = (await ask(t, 'tuned')).text;
    full('runs');
    expect((await refusal(startSmall(t, datasetId, { learningRate: 0.5 }))).code).toBe('storage.full');
    vi.restoreAllMocks();
    expect((await ask(t, 'tuned')).text).toBe(answer);
    expect((await t.call('runs.list', {})).length).toBe(1);
  });

  it('full in an import: nothing half-written is listed, and what was there stays', async () => {
    const t = await tab();
    const kept = await t.call('data.import', { source: { kind: 'file', file: jsonl(questions(3), 'kept.jsonl') } });
    full('rows');
    expect((await refusal(t.call('data.import', { source: { kind: 'file', file: jsonl(questions(200)) } }))).code).toBe('storage.full');
    vi.restoreAllMocks();
    expect((await t.call('data.list', {})).map((d) => d.id)).toEqual([kept.id]);
    expect((await t.call('data.rows', { datasetId: kept.id, offset: 0, limit: 10 })).length).toBe(3);
  });

  it('smaller than the file: told before the import starts', async () => {
    const t = await tab({ storage: { estimate: () => Promise.resolve({ usage: 900, quota: 1000 }), persisted: () => Promise.resolve(false) } });
    const error = await refusal(t.call('data.import', { source: { kind: 'file', file: jsonl(questions(100)) } }));
    expect(error.code).toBe('storage.tooLarge');
    expect(t.ofType('progress')).toEqual([]);
    expect(await t.call('data.list', {})).toEqual([]);
    expect(await t.call('storage.info', {})).toEqual({ usage: 900, quota: 1000, persisted: false });
  });

  it('blocked by the browser: says so, and works once it is allowed', async () => {
    const t = await tab();
    vi.spyOn(indexedDB, 'open').mockImplementation(() => {
      throw new DOMException('denied', 'SecurityError');
    });
    expect((await refusal(t.call('data.list', {}))).code).toBe('storage.unavailable');
    expect((await refusal(t.call('data.import', { source: { kind: 'file', file: jsonl(questions(2)) } }))).code).toBe('storage.unavailable');
    vi.restoreAllMocks();
    expect(await t.call('data.list', {})).toEqual([]);
  });
});

describe('a second tab on the same database', () => {
  it('cannot resume, delete or take the data from a run that goes on in the first; when that tab is gone, it can', async () => {
    const [locks, database] = [new FakeLocks(), newDatabase()];
    const [first, second] = [await tab({ database, locks: locks.manager }), await tab({ database, locks: locks.manager })];
    const datasetId = await ready(first);
    await second.call('model.load', { source: smallFolder() });
    const paused = eventOf(first, (e) => e.type === 'train.status' && e.status === 'paused');
    atStep(first, 1, () => void first.call('train.pause', {}));
    const running = startSmall(first, datasetId, { maxSteps: 5, saveSteps: 1 });
    await paused;
    const [seen] = await second.call('runs.list', {});
    expect(seen).toMatchObject({ status: 'paused', resumable: false });
    const resume = await refusal(second.call('train.resume', { runId: seen!.id }));
    expect(resume.code).toBe('run.otherTab');
    expect(resume.message).toContain(seen!.name);
    expect((await refusal(second.call('runs.delete', { runId: seen!.id }))).code).toBe('run.otherTab');
    expect((await refusal(second.call('data.delete', { datasetId }))).code).toBe('run.busy');
    // A run of its own is no trouble.
    expect((await startSmall(second, datasetId, { maxSteps: 1 })).status).toBe('finished');
    await first.call('train.continue', {});
    expect((await running).status).toBe('finished');
    expect((await second.call('runs.list', {})).map((r) => r.status)).toEqual(['finished', 'finished']);
    await second.call('runs.delete', { runId: seen!.id });
    expect((await second.call('runs.list', {})).length).toBe(1);
  });
});

describe('a loss that is not a number', () => {
  it('ends the run at once where no step was good: the message says so, and there is nothing to export', async () => {
    const t = await tab();
    // Finite weights whose products are not.
    await t.call('model.load', {
      source: smallFolder((files) => {
        const values = randomValues(SMALL, 1);
        values.get('model.layers.0.mlp.gate_proj.weight')!.data.fill(3e38);
        values.get('model.layers.0.mlp.up_proj.weight')!.data.fill(3e38);
        files.set('model.safetensors', checkpointOf(values));
      }),
    });
    const { id } = await t.call('data.import', { source: { kind: 'file', file: jsonl(questions(4)) } });
    const error = await refusal(startSmall(t, id));
    expect(error.code).toBe('train.notFinite');
    expect(error.message).toMatch(/step 1/);
    expect((await t.call('runs.list', {}))[0]).toMatchObject({ status: 'failed', step: 0 });
    expect((await refusal(t.call('export.build', {}))).code).toBe('adapter.none');
  });

  it('later on keeps the weights of the step before, to be tried, exported and reopened', async () => {
    // Without a page's address there is no link in the export, which would refuse such a rate.
    const t = await tab({ pageUrl: null });
    const datasetId = await ready(t);
    const recipe = smallRecipe({ maxSteps: 12, lrSchedulerType: 'constant', maxGradNorm: 0 });
    // Beyond what the form allows; a rate that a model cannot take does the same.
    recipe.training.learningRate = 1e25;
    const error = await refusal(t.call('train.start', { datasetId, recipe }));
    expect(error.code).toBe('train.notFinite');
    const [run] = await t.call('runs.list', {});
    expect(run).toMatchObject({ status: 'failed' });
    expect(error.message).toContain(`step ${run!.step + 1}:`);
    expect(run!.step).toBeGreaterThan(0);
    const { state } = await checkpointIn(t.database, run!.id);
    expect(state.step).toBe(run!.step);
    expect(state.params.every(Number.isFinite)).toBe(true);
    const detail = await t.call('runs.get', { runId: run!.id });
    expect(detail.metrics.map((m) => m.step)).toEqual(Array.from({ length: run!.step }, (_, i) => i + 1));
    expect(detail.alerts.at(-1)!.code).toBe('train.notFinite');
    await t.call('runs.open', { runId: run!.id });
    const { zip } = await t.call('export.build', {});
    expect(zip.size).toBeGreaterThan(1000);
  });
});

describe('data', () => {
  it('of no known shape, not JSON, empty, or without a usable row is refused by name, and nothing is kept', async () => {
    const t = await tab();
    const importFile = (content: string | Uint8Array, name = 'rows.jsonl'): Promise<unknown> => t.call('data.import', { source: { kind: 'file', file: new File([content as BlobPart], name) } });
    const cases: [string, () => Promise<unknown>][] = [
      ['data.emptyFile', () => importFile('')],
      ['data.unknownShape', () => importFile('{"a": 1}\n{"a": 2}\n')],
      ['data.notJson', () => importFile('this is a letter, not data', 'rows.json')],
      ['data.noUsableRows', () => importFile(questions(3).map((row) => JSON.stringify({ ...row, output: null })).join('\n'))],
    ];
    for (const [code, request] of cases) expect((await refusal(request())).code).toBe(code);
    expect(await t.call('data.list', {})).toEqual([]);
  });

  it('whose answers all begin beyond the maximum length: forecast and training say why, and a longer maximum helps', async () => {
    const t = await tab();
    const datasetId = await ready(t, questions(3).map((row) => ({ ...row, instruction: `${row.instruction} ${'and why? '.repeat(30)}` })));
    for (const request of [t.call('train.forecast', { datasetId, recipe: smallRecipe() }), startSmall(t, datasetId)]) {
      const error = await refusal(request);
      expect(error.code).toBe('data.noUsableRows');
      expect(error.message).toContain('None of the 3 rows');
      expect(error.userMessage.likelyCause).toBeTruthy();
    }
    expect(await t.call('runs.list', {})).toEqual([]);
    const recipe = smallRecipe({ maxSteps: 1 });
    expect((await t.call('train.start', { datasetId, recipe: { ...recipe, data: { ...recipe.data, maxLength: 200 } } })).status).toBe('finished');
  });

  it('whose import is cancelled leaves nothing behind, and the next import goes through', async () => {
    const t = await tab();
    const abort = new AbortController();
    const file = jsonl(questions(5000));
    const importing = t.call('data.import', { source: { kind: 'file', file } }, abort.signal);
    setTimeout(() => abort.abort(), 5);
    expect((await refusal(importing)).code).toBe('data.importCancelled');
    expect(await t.call('data.list', {})).toEqual([]);
    expect((await t.call('data.import', { source: { kind: 'file', file: jsonl(questions(5)) } })).rows).toBe(5);
  });
});

describe('an adapter to import', () => {
  it('of another model, without its weights, or damaged is refused, and the tuned one stays', async () => {
    const t = await tab();
    const datasetId = await ready(t);
    await startSmall(t, datasetId);
    const answer = (await ask(t, 'tuned')).text;
    const fixture = async (path: string): Promise<File> => {
      const { readFileSync } = await import('node:fs');
      return new File([readFileSync(new URL(`../fixtures/${path}`, import.meta.url))], path.split('/').at(-1)!);
    };
    const [config, weights] = [await fixture('goldens/llama_padded/adapter/adapter_config.json'), await fixture('goldens/llama_padded/adapter/adapter_model.safetensors')];
    const damaged = new File([(await weights.arrayBuffer()).slice(0, 500)], 'adapter_model.safetensors');
    for (const [files, code] of [[[config, weights], /^adapter\./], [[config], /^adapter\.missingFile/], [[config, damaged], /^safetensors\.truncated/], [[], /^adapter\.missingFile/]] as const) {
      expect((await refusal(t.call('adapter.import', { name: 'theirs', files: [...files] }))).code).toMatch(code);
    }
    expect((await ask(t, 'tuned')).text).toBe(answer);
  });
});
