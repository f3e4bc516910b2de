import 'fake-indexeddb/auto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FolderDisk } from '../../src/cli/folderDisk.ts';
import { HubModels } from '../../src/hub/hubModels.ts';
import { HubServer, type TestRepo } from '../setup/hubServer.ts';
import { ask, jsonl, openTab, questions, refusal, smallFolder, startSmall, type Tab } from './support.ts';

const [FIRST, SECOND] = ['1'.repeat(40), '2'.repeat(40)];

let hub: HubServer;
let folder: string;
const tabs: Tab[] = [];

const filesOf = async (seed: number, change?: Parameters<typeof smallFolder>[0]): Promise<Map<string, Uint8Array>> =>
  new Map(await Promise.all(smallFolder(change, seed).files.map(async (file) => [file.name, new Uint8Array(await file.arrayBuffer())] as const)));

beforeAll(async () => {
  const info = (architecture: string): Pick<TestRepo, 'info' | 'largeFrom'> => ({ largeFrom: 50_000, info: { downloads: 5, likes: 1, tags: ['license:mit', 'safetensors'], config: { architectures: [architecture] }, safetensors: { total: 30_000 } } });
  hub = await HubServer.start({
    repos: {
      'org/small': { commits: { [FIRST]: await filesOf(1), [SECOND]: await filesOf(2) }, refs: { main: FIRST, next: SECOND }, ...info('LlamaForCausalLM') },
      'org/strange': { commits: { [FIRST]: await filesOf(1, (files) => files.set('config.json', '{"architectures":["MambaForCausalLM"]}')) }, refs: { main: FIRST }, ...info('MambaForCausalLM') },
      'org/bare': { commits: { [FIRST]: await filesOf(1, (files) => files.delete('tokenizer.json')) }, refs: { main: FIRST }, ...info('LlamaForCausalLM') },
    },
  });
  const shard = (from: number): Uint8Array => new TextEncoder().encode(Array.from({ length: 4 }, (_, i) => `${JSON.stringify({ frage: `Was ist ${from + i}?`, antwort: `Es ist ${from + i}.` })}\n`).join(''));
  hub.options.datasets = {
    'org/fragen': {
      commits: { [FIRST]: new Map([['README.md', new Uint8Array()], ['data/train-00000-of-00002.jsonl', shard(0)], ['data/train-00001-of-00002.jsonl', shard(4)], ['data/test-00000-of-00001.jsonl', shard(8)]]), [SECOND]: new Map([['notes.pdf', new Uint8Array(9)]]) },
      refs: { main: FIRST, empty: SECOND }, info: { tags: ['license:mit'] },
    },
  };
  folder = mkdtempSync(join(tmpdir(), 'etude-session-hub-'));
});
afterEach(async () => {
  for (const t of tabs.splice(0)) await t.session.destroy();
});
afterAll(async () => {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

async function tab(database?: string): Promise<Tab> {
  const t = await openTab({ hub: new HubModels({ endpoint: hub.origin, disk: new FolderDisk(folder), firstPause: 5 }), ...(database ? { database } : {}) });
  tabs.push(t);
  return t;
}

describe('a session with a hub', () => {
  it('finds models, and says of each that cannot be run why not', async () => {
    const found = await (await tab()).call('hub.search', { query: 'org/', limit: 10 });
    expect(found.map((m) => [m.repo, m.supported])).toEqual([['org/small', true], ['org/strange', false], ['org/bare', true]]);
    expect(found[1]!.reason).toContain('MambaForCausalLM');
  });

  it('tells before a download what a model takes, or why it cannot be loaded', async () => {
    const t = await tab();
    hub.requests.length = 0;
    const looked = await t.call('hub.inspect', { repo: 'org/small' });
    expect(looked).toMatchObject({ repo: 'org/small', revision: 'main', commit: FIRST, licence: 'mit', architecture: 'LlamaForCausalLM', parameters: 30_000, hasTokenizer: true, cachedBytes: 0, problem: null });
    expect(looked.totalBytes).toBe(looked.files.reduce((sum, file) => sum + file.bytes, 0));
    expect(looked.memory!.training).toBeGreaterThan(looked.memory!.weights);
    expect(hub.largeBytes).toBe(0);
    expect((await t.call('hub.inspect', { repo: 'org/strange' })).problem?.code).toBe('model.unsupported');
    expect((await t.call('hub.inspect', { repo: 'org/bare' })).problem?.code).toBe('hub.noModel');
    expect((await refusal(t.call('model.load', { source: { kind: 'hub', repo: 'org/bare' } }))).code).toBe('hub.noModel');
  });

  it('downloads, loads, lists and deletes; a run is pinned to the commit, and goes on only on that', async () => {
    const t = await tab();
    const summary = await t.call('model.load', { source: { kind: 'hub', repo: 'org/small' } });
    expect(summary).toMatchObject({ source: 'hub', name: 'org/small', revision: FIRST });
    expect(t.ofType('progress').some((p) => p.label === 'Downloading' && p.done === p.total)).toBe(true);
    expect(await t.call('cache.list', {})).toMatchObject([{ repo: 'org/small', commit: FIRST, complete: true }]);
    const data = await t.call('data.import', { source: { kind: 'file', file: jsonl(questions(8)) } });
    const run = await startSmall(t, data.id);
    expect(run.recipe.model).toEqual({ source: 'hub', name: 'org/small', revision: FIRST });
    await t.call('model.load', { source: { kind: 'hub', repo: 'org/small', revision: 'next' } });
    expect((await refusal(t.call('runs.open', { runId: run.id }))).code).toBe('run.otherRevision');
    await t.call('model.load', { source: { kind: 'hub', repo: 'org/small', revision: FIRST } });
    expect((await t.call('runs.open', { runId: run.id })).id).toBe(run.id);
    await t.call('cache.delete', { repo: 'org/small', commit: FIRST });
    expect((await t.call('cache.list', {})).map((c) => c.commit)).toEqual([SECOND]);
  });

  it('given up while it downloads keeps the model that was loaded, and what had arrived', async () => {
    const t = await tab();
    await t.call('model.load', { source: { kind: 'hub', repo: 'org/small', revision: 'next' } });
    hub.faults.push({ match: (r) => hub.isCdn(r.host), times: 9, hangAfter: 1000 });
    const before = await ask(t, 'base');
    hub.requests.length = 0;
    const abort = new AbortController();
    const loading = t.call('model.load', { source: { kind: 'hub', repo: 'org/small', revision: FIRST } }, abort.signal).then(() => null, (e: unknown) => e);
    await expect.poll(() => hub.requests.some((r) => hub.isCdn(r.host) && r.sent === 1000), { timeout: 20_000 }).toBe(true);
    abort.abort();
    expect(await loading).not.toBeNull();
    hub.faults.length = 0;
    expect((await t.call('cache.list', {})).find((c) => c.commit === FIRST)).toMatchObject({ complete: false });
    expect((await ask(t, 'base')).text).toBe(before.text);
  });
});

describe('a session without a hub', () => {
  it('says so', async () => {
    const t = await openTab();
    tabs.push(t);
    expect((await refusal(t.call('hub.search', { query: 'x', limit: 1 }))).code).toBe('hub.none');
  });
});

describe('a dataset of the hub', () => {
  it('is looked at, downloaded by split, imported as one dataset and pinned; a second time it needs no request', async () => {
    const t = await tab();
    const seen = await t.call('hub.inspectDataset', { repo: 'org/fragen' });
    expect(seen).toMatchObject({ repo: 'org/fragen', revision: 'main', commit: FIRST, licence: 'mit', gated: false, problem: null });
    expect(seen.configs.map(({ name, splits }) => [name, splits.map((split) => [split.name, split.files.length, split.cachedBytes])])).toEqual([['default', [['train', 2, 0], ['test', 1, 0]]]]);
    const mapping = { shape: 'table' as const, instruction: 'frage', output: 'antwort' };
    const dataset = await t.call('data.importHub', { repo: 'org/fragen', mapping });
    expect(dataset).toMatchObject({ name: 'org/fragen train', source: 'hub', rows: 8, mapping, hub: { repo: 'org/fragen', commit: FIRST, config: 'default', split: 'train' } });
    expect(dataset.files?.map(({ name, rows }) => [name, rows])).toEqual([['data/train-00000-of-00002.jsonl', 4], ['data/train-00001-of-00002.jsonl', 4]]);
    expect((await t.call('data.rows', { datasetId: dataset.id, offset: 7, limit: 1 }))[0]).toMatchObject({ prompt: 'Was ist 7?', line: 4 });
    const cached = async () => (await t.call('cache.list', {})).filter(({ kind }) => kind === 'dataset').map(({ repo }) => repo);
    expect(await cached()).toEqual(['org/fragen']);
    hub.requests.length = 0;
    const again = await t.call('data.importHub', { repo: 'org/fragen', revision: FIRST, config: 'default', split: 'train', paths: seen.configs[0]!.splits[0]!.files.map(({ path }) => path) });
    expect(again.rows).toBe(8);
    expect(hub.requests).toEqual([]);
    await t.call('cache.delete', { repo: 'org/fragen', commit: FIRST, kind: 'dataset' });
    expect(await cached()).toEqual([]);
  });

  it('names the splits there are where another is asked for, and says what it cannot read', async () => {
    const t = await tab();
    expect(await refusal(t.call('data.importHub', { repo: 'org/fragen', split: 'validation' }))).toMatchObject({ code: 'hub.noSplit', userMessage: { expected: 'One of default: train, test.' } });
    expect((await t.call('hub.inspectDataset', { repo: 'org/fragen', revision: 'empty' })).problem).toMatchObject({ code: 'hub.noData' });
    expect(await refusal(t.call('data.importHub', { repo: 'org/fragen', revision: 'empty' }))).toMatchObject({ code: 'hub.noData' });
    expect(await t.call('data.list', {})).toEqual([]);
  });
});
