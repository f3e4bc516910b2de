import { unzipSync } from 'fflate';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { recipeSchema } from '../../src/config/recipe.ts';
import { hubModelFiles } from '../setup/hubModelFiles.ts';
import { HubServer } from '../setup/hubServer.ts';
import { fragmentOf, goTo, shortRecipe, startTraining, takeSharedRecipe, trained, typeRecipe, useBuiltinData } from './steps.ts';
import { download, startStudios, type Studio } from './support.ts';

const TOKEN = 'hf_ThisTokenMustNotLeak';
/** The small model's tensors, without the headers of their files. */
const WEIGHT_BYTES = 1_115_392;
const [OPEN, GATED] = ['5'.repeat(40), '6'.repeat(40)];

const rowsOf = (n: number, instruction: string, output: string): Uint8Array => new TextEncoder().encode(Array.from({ length: n }, (_, i) => `${JSON.stringify({ instruction: `${instruction} ${i}?`, output })}\n`).join(''));

let hub: HubServer;
let studios: Awaited<ReturnType<typeof startStudios>>;
let studio: Studio;

beforeAll(async () => {
  const info = { downloads: 1500, likes: 9, tags: ['license:apache-2.0', 'safetensors'], config: { architectures: ['LlamaForCausalLM'] }, safetensors: { total: WEIGHT_BYTES / 2 } };
  hub = await HubServer.start({
    tls: true, tokens: { [TOKEN]: ['org/page-gated'] },
    repos: {
      'org/page-model': { commits: { [OPEN]: hubModelFiles({ shards: 2, seed: 5, small: true }) }, refs: { main: OPEN }, largeFrom: 200_000, info },
      'org/page-gated': { commits: { [GATED]: hubModelFiles({ shards: 1, seed: 6, small: true }) }, refs: { main: GATED }, largeFrom: 200_000, info, gated: 'manual' },
      'org/page-gguf': { commits: { [OPEN]: new Map([['model.gguf', new Uint8Array(9)]]) }, refs: { main: OPEN }, info: { tags: ['gguf'] } },
    },
    datasets: { 'org/page-rows': { commits: { [OPEN]: new Map([
      ['README.md', new TextEncoder().encode('---\nlicense: mit\nconfigs:\n- config_name: all\n  data_files:\n  - split: train\n    path: rows/*.jsonl\n---\n')],
      ['rows/1.jsonl', rowsOf(6, 'What is thing', 'A thing.')], ['rows/2.jsonl', rowsOf(3, 'Write a Python function for', 'def f(): pass')], ['test.csv', new Uint8Array(5)],
    ]) }, refs: { main: OPEN }, info: { tags: ['license:mit'] } } },
  });
  studios = await startStudios({ flags: hub.chromiumFlags });
  studio = await studios.open();
});
afterAll(async () => {
  await studios.stop();
  await hub.close();
});
beforeEach(() => { hub.requests.length = 0; });

test('the hub is asked only when a person searches; what cannot be run is shown with its reason', async () => {
  const { page } = studio;
  await page.getByTestId('more-models').click();
  await page.getByTestId('known-models').waitFor();
  expect(hub.requests).toEqual([]);
  await page.getByTestId('hub-search').fill('page-');
  await page.getByTestId('hub-search-go').click();
  const rows = page.getByTestId('hub-results').getByTestId('model-row');
  await rows.first().waitFor();
  expect(await rows.evaluateAll((all) => all.map((row) => [row.getAttribute('data-repo'), (row as HTMLButtonElement).disabled]))).toEqual([
    ['org/page-model', false], ['org/page-gated', false], ['org/page-gguf', true],
  ]);
  expect(await rows.last().innerText()).toMatch(/safetensors/);
});

test('a chosen model tells what it takes, is downloaded on Use, trained on, and its adapter names repository and commit', async () => {
  const { page } = studio;
  await page.locator('[data-repo="org/page-model"]').first().click();
  await page.getByTestId('hub-facts').waitFor();
  expect(hub.largeBytes).toBe(0);
  await page.getByTestId('use-model').click();
  await page.getByTestId('model-facts').filter({ hasText: 'page-model' }).waitFor();
  expect(hub.largeBytes).toBeGreaterThanOrEqual(WEIGHT_BYTES);
  await useBuiltinData(page);
  await typeRecipe(page, shortRecipe({ training: { maxSteps: 2, perDeviceTrainBatchSize: 1 } }));
  await startTraining(page);
  await trained(page);
  await goTo(page, 'Export');
  const { bytes } = await download(page, () => page.getByRole('button', { name: /Download/ }).click());
  const files = unzipSync(bytes);
  const read = (name: string): Record<string, unknown> => JSON.parse(new TextDecoder().decode(Object.entries(files).find(([path]) => path.endsWith(name))![1])) as Record<string, unknown>;
  expect(read('adapter_config.json')).toMatchObject({ base_model_name_or_path: 'org/page-model', revision: OPEN });
  expect(read('recipe.json')['model']).toEqual({ source: 'hub', name: 'org/page-model', revision: OPEN });
  expect(studio.errors).toEqual([]);
});

test('a gated model takes a token on the page, and the browser keeps it nowhere', async () => {
  const { page } = studio;
  await goTo(page, 'Model');
  if (!await page.getByTestId('model-shelf').isVisible()) await page.getByTestId('more-models').click();
  await page.locator('[data-repo="org/page-gated"]').first().click();
  await page.locator('[data-testid=hub-facts] [data-testid=error-panel]').waitFor();
  expect(await page.getByTestId('use-model').isDisabled()).toBe(true);
  await page.getByTestId('hub-token-input').fill(TOKEN);
  await page.getByTestId('hub-token-set').click();
  await expect.poll(() => page.getByTestId('use-model').isEnabled()).toBe(true);
  await page.getByTestId('use-model').click();
  await page.getByTestId('model-facts').filter({ hasText: 'page-gated' }).waitFor();
  expect(hub.requests.filter((r) => hub.isCdn(r.host) && r.authorization !== null)).toEqual([]);
  const kept = await page.evaluate(async () => {
    const texts = [JSON.stringify(Object.entries(localStorage)), JSON.stringify(Object.entries(sessionStorage)), location.href, document.body.innerHTML];
    for (const { name } of await indexedDB.databases()) {
      const db = await new Promise<IDBDatabase>((resolve, reject) => {
        const opening = indexedDB.open(name!);
        opening.addEventListener('success', () => resolve(opening.result));
        opening.addEventListener('error', () => reject(new Error('not opened')));
      });
      for (const store of db.objectStoreNames) {
        texts.push(JSON.stringify(await new Promise((resolve) => {
          const all = db.transaction(store).objectStore(store).getAll();
          all.addEventListener('success', () => resolve(all.result));
        })));
      }
      db.close();
    }
    return texts;
  });
  expect(kept.length).toBeGreaterThan(4);
  expect(kept.filter((text) => text.includes(TOKEN))).toEqual([]);
});

test('a dataset is looked at, downloaded and pinned to its commit; its mix is balanced, and steps and recipe follow', async () => {
  const { page } = studio;
  await goTo(page, 'Model');
  await page.getByTestId('data-from-hub').click();
  await page.getByTestId('hub-dataset-name').fill('org/page-rows');
  await page.getByTestId('hub-dataset-look').click();
  await page.getByTestId('hub-dataset').getByText('The dataset’s card says which files belong together.').waitFor();
  expect(hub.requests.filter((r) => /resolve.*jsonl/.test(r.path))).toEqual([]);
  await page.getByTestId('hub-dataset-use').click();
  await page.getByText(/^org\/page-rows all train · 9 rows/).waitFor();
  const effect = page.getByTestId('balance-effect');
  await expect.poll(() => effect.innerText()).toMatch(/^Every row once an epoch: 9 rows/);
  await page.getByTestId('balance-mode').click();
  await page.getByRole('option', { name: 'Own weights and caps' }).click();
  await page.getByTestId('balanceWeights-code').fill('3');
  await expect.poll(() => effect.innerText()).toMatch(/^15 rows an epoch \(9 as it is\)/);
  await goTo(page, 'Recipe');
  await page.getByText('Rows an epoch').waitFor();
  await page.getByRole('radiogroup', { name: 'View of the recipe' }).getByText('JSON').click();
  const recipe = recipeSchema.parse(JSON.parse(await page.getByRole('textbox', { name: 'Recipe as JSON' }).inputValue()));
  expect(recipe).toMatchObject({ dataset: { source: 'hub', name: 'org/page-rows', revision: OPEN, config: 'all', split: 'train', mapping: { shape: 'alpaca' } }, data: { balance: 'own', balanceWeights: { code: 3 } } });
  expect(studio.errors).toEqual([]);
});

test('a link with a model of the hub chooses it and asks the hub for nothing', async () => {
  const recipe = recipeSchema.parse({ ...shortRecipe(), model: { source: 'hub', name: 'org/page-model', revision: OPEN } });
  const other = await studios.open({ fragment: fragmentOf(recipe) });
  await takeSharedRecipe(other.page);
  await goTo(other.page, 'Model');
  await other.page.getByTestId('use-model').filter({ hasText: 'page-model' }).waitFor();
  await other.page.waitForLoadState('networkidle');
  expect(hub.requests.filter((r) => hub.isCdn(r.host) || r.path.includes('/resolve'))).toEqual([]);
  expect(hub.requests).toEqual([]);
  expect(other.strayRequests()).toEqual([]);
  await other.page.getByTestId('use-model').click();
  await other.page.getByTestId('model-facts').filter({ hasText: 'page-model' }).waitFor();
  expect(hub.requests.filter((r) => r.path.includes('/resolve/')).every((r) => r.path.includes(OPEN))).toBe(true);
  await other.close();
});
