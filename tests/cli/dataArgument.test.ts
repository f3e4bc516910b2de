import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { checkDataArgument, dataOnDisk, repoOfData, type DataArgument } from '../../src/cli/dataArgument.ts';
import { main } from '../../src/cli/dataReport.ts';
import { defaultRecipe, type Recipe } from '../../src/config/recipe.ts';
import { MAIN, OLDER, refusal, TOKEN } from '../hub/support.ts';
import { HubServer } from '../setup/hubServer.ts';

const cache = mkdtempSync(join(tmpdir(), 'etude-cli-data-'));
afterAll(() => rmSync(cache, { recursive: true, force: true }));
let hub: HubServer | null = null;
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await hub?.close();
});

const rows = (about: string, n = 3): Uint8Array => new TextEncoder().encode(Array.from({ length: n }, (_, i) => `${JSON.stringify({ instruction: `What is ${about} ${i}?`, output: `It is ${i}.` })}\n`).join(''));
const of = (files: Record<string, Uint8Array>) => new Map(Object.entries(files));
const CARD = new TextEncoder().encode('---\nconfigs:\n- config_name: en\n  data_files: en/*\n- config_name: de\n  data_files:\n  - split: train\n    path: de/a.jsonl\n  - split: test\n    path: de/b.jsonl\n---');
const start = async () => HubServer.start({
  repos: {}, tokens: { [TOKEN]: ['org/gated'] },
  datasets: {
    'org/rows': { commits: { [MAIN]: of({ 'data/train-00000-of-00002.jsonl': rows('a'), 'data/train-00001-of-00002.jsonl': rows('b'), 'data/test.jsonl': rows('c') }), [OLDER]: of({ 'one.jsonl': rows('old') }) }, refs: { main: MAIN, old: OLDER }, largeFrom: 100 },
    'org/many': { commits: { [MAIN]: of({ 'README.md': CARD, 'en/x.jsonl': rows('x'), 'de/a.jsonl': rows('a'), 'de/b.jsonl': rows('b') }) }, refs: { main: MAIN } },
    'org/parts': { commits: { [MAIN]: of({ 'test.jsonl': rows('t'), 'dev.jsonl': rows('d') }) }, refs: { main: MAIN } },
    'org/gated': { commits: { [MAIN]: of({ 'train.jsonl': rows('g') }) }, refs: { main: MAIN }, gated: 'auto' },
  },
});
const asked = (data: string, more: Partial<DataArgument> = {}): DataArgument => ({ data, config: null, split: null, ...more });
const fetchIt = (argument: DataArgument, recipe: Recipe | null = null, env: Record<string, string> = {}) => dataOnDisk(argument, recipe, () => {}, { HF_ENDPOINT: hub!.origin, ETUDE_CACHE: cache, ...env });

describe('--data', () => {
  it('names a dataset of the hub, unless a file of that name is there or the name ends like a file', async () => {
    expect(repoOfData('org/rows@v2', () => false)).toEqual({ repo: 'org/rows', revision: 'v2' });
    expect(repoOfData('org/rows', () => true)).toBeNull();
    for (const path of ['builtin', 'rows', 'data/rows.jsonl', 'data/rows.csv.gz', './org/rows', '/org/rows', 'a/b/c']) expect(repoOfData(path, () => false), path).toBeNull();
    expect((await refusal(checkDataArgument(asked('data/rows.jsonl'), '--data'))).userMessage.what).toBe('--data: there is nothing at data/rows.jsonl.');
    expect((await refusal(checkDataArgument(asked('builtin', { split: 'train' }), '--data'))).code).toBe('cli.argument');
    const file = join(cache, 'rows.jsonl');
    writeFileSync(file, rows('here'));
    await checkDataArgument(asked(file), '--data');
    expect(await dataOnDisk(asked(file), null, () => {})).toEqual({ data: { name: 'rows.jsonl', files: [{ name: 'rows.jsonl', path: file }] }, note: null });
  });

  it('of the hub is pinned to a commit and downloaded once, shard by shard in order, into the cache', async () => {
    hub = await start();
    const { data, note } = await fetchIt(asked('org/rows'));
    if (data === 'builtin') throw new Error('not from the hub');
    expect(data).toMatchObject({ name: 'org/rows train', hub: { repo: 'org/rows', commit: MAIN, config: 'default', split: 'train' } });
    expect(note).toBe('Split train was taken; the others are test (--data-split).');
    expect(data.files.map(({ name }) => name)).toEqual(['data/train-00000-of-00002.jsonl', 'data/train-00001-of-00002.jsonl']);
    expect(Buffer.concat(data.files.map(({ path }) => readFileSync(path))).equals(Buffer.concat([rows('a'), rows('b')]))).toBe(true);
    hub.requests.length = 0;
    expect((await fetchIt(asked('org/rows'))).data).toEqual(data);
    expect(hub.requests.filter(({ path }) => path.includes('/resolve/'))).toEqual([]);
  });

  it('takes what a recipe pins for it, as far as the options leave it open', async () => {
    hub = await start();
    const recipe: Recipe = { ...defaultRecipe(), dataset: { source: 'hub', name: 'org/rows', revision: OLDER, config: 'default', split: 'train' } };
    expect((await fetchIt(asked('org/rows'), recipe)).data).toMatchObject({ hub: { commit: OLDER } });
    expect((await fetchIt(asked('org/rows@main', { split: 'test' }), recipe)).data).toMatchObject({ hub: { commit: MAIN, split: 'test' } });
    expect((await fetchIt(asked('org/parts', { split: 'test' }), recipe)).data).toMatchObject({ hub: { repo: 'org/parts', commit: MAIN } });
  });

  it('that leaves config or split open is refused with the list of them', async () => {
    hub = await start();
    expect((await refusal(fetchIt(asked('org/many')))).userMessage).toMatchObject({ code: 'hub.choose', expected: 'One of en: train; de: train, test.', nextStep: 'Add --data-config with the one you mean.' });
    expect(await fetchIt(asked('org/many', { config: 'de' }))).toMatchObject({ data: { name: 'org/many de train' }, note: 'Split train was taken; the others are test (--data-split).' });
    expect((await refusal(fetchIt(asked('org/many', { config: 'fr' })))).userMessage).toMatchObject({ code: 'hub.noSplit', what: 'org/many has no config fr at aaaaaaa.' });
    expect((await refusal(fetchIt(asked('org/parts')))).userMessage).toMatchObject({ code: 'hub.choose', what: 'org/parts has 2 splits and none is called train at aaaaaaa.', expected: 'One of default: validation, test.' });
  });

  it('gated needs HF_TOKEN, as a model does; data:report says where the rows came from', async () => {
    hub = await start();
    expect((await refusal(fetchIt(asked('org/gated')))).code).toBe('hub.gated');
    for (const [name, value] of Object.entries({ HF_ENDPOINT: hub.origin, ETUDE_CACHE: cache, HF_TOKEN: TOKEN })) vi.stubEnv(name, value);
    const printed: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text));
    vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
    expect(await main(['org/gated', '--model', 'builtin'])).toBe(0);
    expect(printed.join('\n')).toContain('Data      org/gated train, 3 rows\nHub       org/gated at aaaaaaa, config default, split train.\n');
    expect(printed.join('\n')).not.toContain(TOKEN);
  });
});
