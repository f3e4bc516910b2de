import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { readCard } from '../../src/hub/datasetCard.ts';
import { layoutOf } from '../../src/hub/datasetFiles.ts';
import type { HubTreeFile } from '../../src/hub/hubClient.ts';
import { bench, closeAll, MAIN, modelFiles, never, noise, OLDER, refusal, TOKEN } from './support.ts';
import type { TestRepo } from '../setup/hubServer.ts';

const tree = (...paths: string[]): HubTreeFile[] => paths.map((path) => ({ path, bytes: 10, oid: 'c'.repeat(40), sha256: null }));
const shape = (paths: string[], card: unknown = null) => layoutOf(tree(...paths), card).configs.map(({ name, splits }) => [name, ...splits.map((split) => `${split.name}: ${split.files.map((file) => file.path).join(' ')}`)]);

describe('The files of a dataset repository', () => {
  it.each<[string, string[], string[]]>([
    ['shards in data/', ['README.md', 'data/test-00000-of-00001-0123456789abcdef.parquet', 'data/train-00001-of-00002.parquet', 'data/train-00000-of-00002.parquet'], ['train: data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet', 'test: data/test-00000-of-00001-0123456789abcdef.parquet']],
    ['names of files', ['train.jsonl', 'dev.jsonl', 'evaluation.jsonl'], ['train: train.jsonl', 'validation: dev.jsonl', 'test: evaluation.jsonl']],
    ['names of folders', ['val/a.csv', 'training/b.csv', 'training/c.csv'], ['train: training/b.csv training/c.csv', 'validation: val/a.csv']],
    ['words inside of names, and not parts of words', ['my_train-v2.json', 'constraint.json'], ['train: my_train-v2.json', 'other files: constraint.json']],
    ['no word at all', ['b.jsonl.gz', 'a.jsonl.gz'], ['train: a.jsonl.gz b.jsonl.gz']],
    ['splits of any name in data/', ['data/first_half-00000-of-00001.parquet', 'data/train-00000-of-00001.parquet'], ['train: data/train-00000-of-00001.parquet', 'first_half: data/first_half-00000-of-00001.parquet']],
  ])('are divided by %s', (_, paths, splits) => {
    expect(shape(paths)).toEqual([['default', ...splits]]);
  });

  it('are read in the format most of them have, and settings are no data', () => {
    const { configs, because } = layoutOf(tree('train.jsonl', 'test.jsonl', 'train.parquet', 'dataset_infos.json', '.hidden/train.json', 'weights.bin'), null);
    expect(configs[0]!.splits.map(({ name }) => name)).toEqual(['train', 'test']);
    expect(because).toBe('Divided by the names of its JSON files. 1 file of another format is left aside.');
    expect(layoutOf(tree('README.md', 'image.png'), null)).toEqual({ configs: [], hasDefault: false, because: 'It holds no JSON, CSV or Parquet files.' });
  });

  it('follow the list in the card where there is one', async () => {
    const card = await readCard('---\nlicense: mit\nconfigs:\n- config_name: extra\n  data_files: "extra/*.csv"\n- config_name: main\n  default: true\n  data_files:\n  - split: test\n    path: data/test-*\n  - split: train\n    path:\n    - "data/**/*.jsonl"\n    - one.jsonl\n---\n# Rows\n');
    const paths = ['data/deep/er/a.jsonl', 'data/test-1.jsonl', 'one.jsonl', 'two.jsonl', 'extra/x.csv', 'extra/deep/y.csv'];
    expect(shape(paths, card)).toEqual([
      ['main', 'train: data/deep/er/a.jsonl data/test-1.jsonl one.jsonl', 'test: data/test-1.jsonl'], ['extra', 'train: extra/x.csv'],
    ]);
    expect(shape(['en/train.csv', 'de/train.csv', 'de/test.csv'], await readCard('---\nconfigs:\n- config_name: de\n  data_dir: de\n---'))).toEqual([['de', 'train: de/train.csv', 'test: de/test.csv']]);
  });

  it.each([
    ['no front matter', '# Rows'], ['front matter that never ends', '---\nconfigs: []'], ['broken YAML', '---\nconfigs:\n- {[\n---\n'],
    ['aliases upon aliases', `---\na: &a [1,1]\nb: &b [*a,*a]\nconfigs:\n- *b\n---\n`], ['a list of texts', '---\nconfigs:\n- x\n---\n'],
    ['a pattern of many stars', `---\nconfigs:\n- data_files: "${'*a'.repeat(100)}"\n---\n`], ['hostile names', '---\nconfigs:\n- config_name: "<script>"\n  data_files: nothing.csv\n---\n'],
  ])('fall back to names with a card of %s', async (_, readme) => {
    expect(shape(['train.csv'], await readCard(readme))).toEqual([['default', 'train: train.csv']]);
  });
});

const rows = (n: number): Uint8Array => new TextEncoder().encode(Array.from({ length: n }, (_, i) => `${JSON.stringify({ instruction: `What is ${i}?`, output: `It is ${i}.` })}\n`).join(''));
const files = (): Map<string, Uint8Array> => new Map([
  ['README.md', new TextEncoder().encode('---\nlicense: mit\n---\n# Rows')], ['data/train-00000-of-00002.jsonl', rows(5000)], ['data/train-00001-of-00002.jsonl', noise(300_000, 5)], ['data/test.jsonl.gz', new Uint8Array(gzipSync(rows(3)))],
]);
const dataset = (more: Partial<TestRepo> = {}): TestRepo => ({ commits: { [MAIN]: files(), [OLDER]: new Map([['train.csv', noise(10, 1)]]) }, refs: { main: MAIN, old: OLDER }, largeFrom: 100_000, info: { tags: ['license:mit'] }, ...more });

describe('A dataset of the hub', () => {
  afterEach(closeAll);

  it('is pinned to a commit, and only the files asked for are downloaded, checked and kept', async () => {
    const { hub, visit } = await bench({ datasets: { 'org/rows': dataset() } });
    const models = visit();
    const seen = await models.lookDataset('org/rows', undefined, never);
    expect(seen).toMatchObject({ repo: 'org/rows', revision: 'main', commit: MAIN, licence: 'mit', gated: false });
    expect(seen.layout.configs[0]!.splits.map((split) => [split.name, split.files.length])).toEqual([['train', 2], ['test', 1]]);
    const [train, test] = seen.layout.configs[0]!.splits;
    const got = await models.openDataset({ repo: seen.repo, commit: seen.commit, files: train!.files }, { signal: never });
    expect(got.map(({ path }) => path)).toEqual(['data/train-00000-of-00002.jsonl', 'data/train-00001-of-00002.jsonl']);
    for (const { path, blob } of got) expect(Buffer.from(await blob.arrayBuffer()).equals(Buffer.from(files().get(path)!)), path).toBe(true);
    // Another part of the same commit comes beside it; what is there is not asked for again.
    hub.requests.length = 0;
    await visit().openDataset({ repo: seen.repo, commit: seen.commit, files: [...train!.files, ...test!.files] }, { signal: never });
    expect(hub.requests.filter((r) => r.path.includes('/resolve/')).map((r) => r.path)).toEqual([`/datasets/org/rows/resolve/${MAIN}/data/test.jsonl.gz`]);
    hub.requests.length = 0;
    const paths = [...files().keys()].filter((path) => path !== 'README.md');
    expect(await visit().cachedDataset({ repo: 'org/rows', commit: MAIN, paths })).toHaveLength(3);
    expect(await visit().cachedDataset({ repo: 'org/rows', commit: MAIN, paths: [...paths, 'README.md'] })).toBeNull();
    expect(hub.requests).toEqual([]);
  });

  it('goes on where a cancelled download stopped, and is not taken for a model of the same name', async () => {
    const big = new Map([['train.jsonl', noise(900_000, 9)]]);
    const { hub, visit } = await bench({ repos: { 'org/rows': { commits: { [MAIN]: modelFiles() }, refs: { main: MAIN }, largeFrom: 100_000 } }, datasets: { 'org/rows': dataset({ commits: { [MAIN]: big } }) } });
    const { layout } = await visit().lookDataset('org/rows', 'main', never);
    const wanted = layout.configs[0]!.splits[0]!.files;
    hub.bytesPerSecond = 1_000_000;
    const stop = new AbortController();
    const broken = visit().openDataset({ repo: 'org/rows', commit: MAIN, files: wanted }, { signal: stop.signal, onProgress: (done) => { if (done > 300_000) stop.abort(new Error('enough')); } });
    await expect(broken).rejects.toThrow('enough');
    hub.bytesPerSecond = Infinity;
    const [begun] = await visit().cache.list();
    expect(begun).toMatchObject({ kind: 'dataset', complete: false });
    expect(begun!.bytes).toBeGreaterThan(100_000);
    hub.requests.length = 0;
    await visit().openDataset({ repo: 'org/rows', commit: MAIN, files: wanted }, { signal: never });
    expect(hub.largeBytes).toBe(900_000 - begun!.bytes);
    // The model of that name is another folder.
    await visit().open('org/rows', undefined, { signal: never });
    expect((await visit().cache.list()).map((s) => s.kind ?? 'model').sort()).toEqual(['dataset', 'model']);
    await visit().delete('org/rows', MAIN, never, 'dataset');
    expect((await visit().cache.list()).map((s) => s.kind ?? 'model')).toEqual(['model']);
  });

  it('that is gated, missing or at no such revision says so as a model does', async () => {
    const { visit } = await bench({ datasets: { 'org/gated': dataset({ gated: 'manual' }), 'org/rows': dataset() }, tokens: { [TOKEN]: ['org/gated'], hf_other: [] } });
    expect((await refusal(visit().lookDataset('org/gated', undefined, never))).userMessage).toMatchObject({ code: 'hub.gated', nextStep: expect.stringContaining('the dataset’s page') });
    expect((await refusal(visit({ token: 'hf_other' }).lookDataset('org/gated', undefined, never))).userMessage).toMatchObject({ code: 'hub.noAccess' });
    expect((await visit({ token: TOKEN }).lookDataset('org/gated', undefined, never)).layout.configs).toHaveLength(1);
    expect((await refusal(visit().lookDataset('org/none', undefined, never))).userMessage).toMatchObject({ code: 'hub.notFound', what: 'The hub has no dataset org/none for you.' });
    expect((await refusal(visit().lookDataset('org/rows', 'nowhere', never))).userMessage).toMatchObject({ code: 'hub.noRevision' });
    expect((await refusal(visit().lookDataset('https://huggingface.co/x', undefined, never))).userMessage).toMatchObject({ code: 'hub.name' });
  });
});
