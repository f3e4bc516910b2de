import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { UserMessage } from '../../src/config/errors.ts';
import type { FromWorker, RequestName, Requests } from '../../src/worker/protocol.ts';
import { hubModelFiles } from '../setup/hubModelFiles.ts';
import { HubServer } from '../setup/hubServer.ts';
import { startStudios, type Studio } from './support.ts';

const TOKEN = 'hf_ThisTokenMustNotLeak';
const COMMIT = (digit: string): string => digit.repeat(40);
const RANGE = 8 * 1024 * 1024;

/** The build as it is, with its real hosts; this Chromium alone finds them here. */
let hub: HubServer;
let studios: Awaited<ReturnType<typeof startStudios>>;
let studio: Studio;
let page: Page;

beforeAll(async () => {
  const repo = (digit: string, shards: number) => ({ commits: { [COMMIT(digit)]: hubModelFiles({ shards, seed: parseInt(digit, 16) }) }, refs: { main: COMMIT(digit) }, largeFrom: 1_000_000 });
  hub = await HubServer.start({
    tls: true, tokens: { [TOKEN]: ['meta/gated'] }, pageSize: 3,
    repos: {
      'meta/gated': { ...repo('1', 1), gated: 'manual' },
      'org/shards': { ...repo('2', 2), info: { tags: ['license:apache-2.0', 'safetensors'], config: { architectures: ['LlamaForCausalLM'] } } },
      'org/broken': repo('3', 1),
      'org/slow': repo('4', 1),
    },
  });
  studios = await startStudios({ flags: hub.chromiumFlags });
  studio = await studios.open({ serviceWorker: true });
  ({ page } = studio);
});
afterAll(async () => {
  await studios.stop();
  await hub.close();
});
beforeEach(() => {
  hub.requests.length = 0;
  hub.faults.length = 0;
});

type Told = { result: unknown } | { error: UserMessage };
interface WithWorker { etude?: { worker: Worker; next: number; done: number; total: number } }
const workerFile = (): string => `assets/${readdirSync(join(inject('dist'), 'assets')).find((name) => /^worker-.*\.js$/.test(name))!}`;

/** Asks the build's own worker, in the page, by the protocol. */
async function ask<N extends RequestName>(name: N, args: Requests[N]['args']): Promise<Told> {
  return page.evaluate(({ file, request, given }) => {
    const held = globalThis as unknown as WithWorker;
    const base = new URL('.', location.href).href;
    held.etude ??= { worker: new Worker(new URL(file, base), { type: 'module', name: base }), next: 1000, done: 0, total: 0 };
    const { etude } = held;
    const id = etude.next++;
    return new Promise<Told>((resolve) => {
      etude.worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
        if (data.kind === 'event' && data.event.type === 'progress' && data.event.requestId === id) [etude.done, etude.total] = [data.event.done, data.event.total ?? 0];
        if (data.kind === 'result' && data.id === id) resolve({ result: data.result });
        if (data.kind === 'error' && data.id === id) resolve({ error: data.error });
      });
      etude.worker.postMessage({ id, name: request, args: given });
    });
  }, { file: workerFile(), request: name, given: args });
}

async function result<N extends RequestName>(name: N, args: Requests[N]['args']): Promise<Requests[N]['result']> {
  const told = await ask(name, args);
  if ('error' in told) throw new Error(JSON.stringify(told.error));
  return told.result as Requests[N]['result'];
}

async function refusal<N extends RequestName>(name: N, args: Requests[N]['args']): Promise<UserMessage> {
  const told = await ask(name, args);
  expect(told).toHaveProperty('error');
  const { error } = told as { error: UserMessage };
  expect(JSON.stringify(error)).not.toContain(TOKEN);
  return error;
}

const load = (repo: string) => result('model.load', { source: { kind: 'hub', repo } });
const large = () => hub.requests.filter((r) => hub.isCdn(r.host));

test('a gated model asks for a token, opens with one, and the token is seen by the hub’s host alone', async () => {
  const closed = await result('hub.inspect', { repo: 'meta/gated' });
  expect(closed).toMatchObject({ commit: COMMIT('1'), gated: true, problem: { code: 'hub.gated' } });
  expect((await refusal('model.load', { source: { kind: 'hub', repo: 'meta/gated' } })).code).toBe('hub.gated');
  await result('hub.setToken', { token: TOKEN });
  const open = await result('hub.inspect', { repo: 'meta/gated' });
  expect(open).toMatchObject({ problem: null, architecture: 'LlamaForCausalLM', hasTokenizer: true, hasChatTemplate: true });
  expect(open.memory!.weights).toBeGreaterThan(2e7);
  hub.requests.length = 0;
  expect(await load('meta/gated')).toMatchObject({ source: 'hub', name: 'meta/gated', revision: COMMIT('1'), dtype: 'bf16' });
  expect(large().length).toBe(Math.ceil(large()[0] ? open.files.find((f) => f.path === 'model.safetensors')!.bytes / RANGE : 0));
  expect(new Set(hub.requests.map((r) => r.host))).toEqual(new Set(['huggingface.co', 'cas-bridge.xethub.hf.co']));
  expect(large().filter((r) => r.authorization !== null || r.method !== 'GET')).toEqual([]);
  expect(hub.requests.filter((r) => !hub.isCdn(r.host) && r.method === 'GET').every((r) => r.authorization === `Bearer ${TOKEN}`)).toBe(true);
  expect(studio.requests.filter((r) => r.url.includes(TOKEN))).toEqual([]);
  await result('hub.setToken', { token: null });
});

test('a limit, an error of the server and a cut connection are waited for; a sharded model arrives whole', async () => {
  hub.faults.push(
    { match: (r) => r.path.includes('/resolve/') && r.path.includes('tokenizer.json'), times: 1, status: 429, headers: { 'Retry-After': '1' } },
    { match: (r) => r.path.startsWith('/api/models') && r.path.includes('/tree/'), times: 1, status: 503 },
    { match: (r) => hub.isCdn(r.host), times: 2, cutAfter: 3_000_000 },
  );
  expect(await load('org/shards')).toMatchObject({ name: 'org/shards', revision: COMMIT('2') });
  expect(hub.faults.map((f) => f.times)).toEqual([0, 0, 0]);
});

test('other bytes than the hub lists are told, deleted, and fetched again alone', async () => {
  hub.faults.push({ match: (r) => hub.isCdn(r.host) && r.range?.startsWith(`bytes=${RANGE}-`) === true, times: 1, corrupt: true });
  const { code, what } = await refusal('model.load', { source: { kind: 'hub', repo: 'org/broken' } });
  expect([code, what]).toEqual(['hub.checksum', expect.stringContaining('model.safetensors')]);
  hub.requests.length = 0;
  expect(await load('org/broken')).toMatchObject({ revision: COMMIT('3') });
  expect(hub.requests.filter((r) => r.path.includes('tokenizer.json'))).toEqual([]);
});

test('a download goes on after a reload: what had arrived is not fetched again', async () => {
  hub.faults.push({ match: (r) => hub.isCdn(r.host) && Number(/=(\d+)-/.exec(r.range ?? '')?.[1]) >= 2 * RANGE, times: 99, hangAfter: 1_000_000 });
  void ask('model.load', { source: { kind: 'hub', repo: 'org/slow' } }).catch(() => {});
  await expect.poll(async () => (await result('cache.list', {})).find((c) => c.repo === 'org/slow')?.bytes ?? 0).toBeGreaterThan(2 * RANGE);
  await page.reload();
  hub.faults.length = 0;
  hub.requests.length = 0;
  const begun = (await result('cache.list', {})).find((c) => c.repo === 'org/slow')!;
  expect(begun).toMatchObject({ commit: COMMIT('4'), complete: false });
  expect(await load('org/slow')).toMatchObject({ revision: COMMIT('4') });
  const again = hub.largeBytes;
  console.log(`Resumed: ${begun.bytes} of ${begun.totalBytes} bytes were there; ${again} fetched`);
  expect(again).toBe(begun.totalBytes - begun.bytes);
  expect(begun.bytes).toBeGreaterThan(2 * RANGE);
  expect(hub.requests.filter((r) => r.path.startsWith('/api/'))).toEqual([]);
});

test('a cached model loads again without a single request', async () => {
  await page.reload();
  hub.requests.length = 0;
  const before = studio.requests.length;
  expect(await load('org/shards')).toMatchObject({ name: 'org/shards', revision: COMMIT('2') });
  expect(hub.requests).toEqual([]);
  expect(studio.requests.slice(before).filter((r) => !r.url.startsWith(studio.origin))).toEqual([]);
});

test('with the network off the page opens again, and cached and built-in models load', async () => {
  await page.evaluate(async () => { await navigator.serviceWorker.ready; });
  await expect.poll(() => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.active?.state)).toBe('activated');
  await page.reload();
  expect(await page.evaluate(() => navigator.serviceWorker.controller !== null)).toBe(true);
  await studios.unplug();
  await hub.close();
  await page.reload();
  await page.getByRole('heading', { level: 1 }).waitFor();
  expect(await load('meta/gated')).toMatchObject({ name: 'meta/gated', revision: COMMIT('1') });
  expect(await result('model.load', { source: { kind: 'builtin' } })).toMatchObject({ source: 'builtin' });
  expect((await refusal('hub.inspect', { repo: 'org/shards' })).code).toBe('hub.unreachable');
  // Every screen, though none was opened before.
  for (const screen of ['data', 'recipe', 'train', 'try', 'export', 'runs']) {
    await page.goto(`${studio.url}#/${screen}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
  }
});

test('what is cached is listed with its size and can be deleted', async () => {
  const list = await result('cache.list', {});
  expect(list.map((c) => [c.repo, c.complete, c.bytes === c.totalBytes])).toEqual(expect.arrayContaining([['meta/gated', true, true], ['org/shards', true, true], ['org/slow', true, true]]));
  const shards = list.find((c) => c.repo === 'org/shards')!;
  const { usage } = await result('storage.info', {});
  await result('cache.delete', { repo: shards.repo, commit: shards.commit });
  expect((await result('cache.list', {})).some((c) => c.repo === 'org/shards')).toBe(false);
  expect((await result('storage.info', {})).usage).toBeLessThan(usage - shards.bytes / 2);
});
