import { deflateSync } from 'fflate';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recipeSchema, type Recipe } from '../../src/config/recipe.ts';
import { errorShown, goTo, headingOf, takeSharedRecipe, typeRecipe } from './steps.ts';
import { startStudios } from './support.ts';

/** Every setting differs from its default. */
const everything = recipeSchema.parse({
  data: { template: 'chatml', maxLength: 768, balance: 'own', balanceBy: 'file', balanceTemperature: 3, balanceRepeats: 2, balanceWeights: { 'a.jsonl': 0.5 }, balanceCaps: { 'b.jsonl': 900 } },
  lora: { r: 24, loraAlpha: 48, targetModules: ['q_proj', 'v_proj', 'down_proj'], loraDropout: 0.1, useRslora: true },
  training: {
    numTrainEpochs: 2, maxSteps: 300, perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 8, learningRate: 1e-4, lrSchedulerType: 'cosine', warmupRatio: 0.1,
    warmupSteps: 10, weightDecay: 0.01, adamBeta1: 0.95, adamBeta2: 0.98, adamEpsilon: 1e-6, maxGradNorm: 0.5, seed: 7, shuffle: false, packing: true,
    validationSplit: 0.1, evalSteps: 50, loggingSteps: 10, saveSteps: 100, gradientCheckpointing: 'layers',
  },
});
const SETTINGS = Object.values(everything.data).length + Object.values(everything.lora).length + Object.values(everything.training).length;

/** A fragment as a stranger may write it: any JSON, packed as Share packs it. */
const crafted = (value: unknown): string => `recipe=${Buffer.from(deflateSync(new TextEncoder().encode(JSON.stringify(value)))).toString('base64url')}`;

let studios: Awaited<ReturnType<typeof startStudios>>;
beforeAll(async () => { studios = await startStudios(); });
afterAll(() => studios.stop());

async function shownRecipe(page: Page): Promise<Recipe> {
  await page.getByRole('radiogroup', { name: 'View of the recipe' }).getByText('JSON').click();
  return JSON.parse(await page.getByRole('textbox', { name: 'Recipe as JSON' }).inputValue()) as Recipe;
}

/** Whatever a page may load by itself: its own code and style, and no model, tokenizer or data. */
const expectOnlyTheApp = (urls: string[], base: string): void => {
  expect(urls.length).toBeGreaterThan(3);
  expect(urls.filter((url) => !url.startsWith(base) || url.includes('/builtin/'))).toEqual([]);
};

let link = '';

test('Share copies a link with every changed setting, and it is short', async () => {
  const studio = await studios.open();
  const { page } = studio;
  await studio.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await typeRecipe(page, everything);
  await page.getByRole('button', { name: 'Share' }).click();
  const dialog = page.getByRole('dialog', { name: 'Share the recipe' });
  link = await dialog.getByRole('textbox', { name: 'Link' }).inputValue();
  await dialog.getByRole('button', { name: 'Copy link' }).click();
  await dialog.getByRole('button', { name: 'Copied' }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(link);
  expect(await dialog.innerText()).toMatch(new RegExp(`\\b${SETTINGS} .*differ`));
  const [address, fragment] = link.split('#') as [string, string];
  console.log(`A link with all ${SETTINGS} settings changed has ${link.length} characters, ${fragment.length} of them after the #`);
  expect(address).toBe(studio.url);
  expect(link.length).toBeLessThan(750);
  expect(studio.errors).toEqual([]);
  await studio.close();
});

test('the link opens in another browser with the same recipe, starts nothing and fetches nothing', async () => {
  const studio = await studios.open({ fragment: link.split('#')[1]! });
  const { page } = studio;
  const dialog = page.getByRole('dialog', { name: 'Open a shared recipe' });
  await expect.poll(() => dialog.getByRole('listitem').count()).toBe(SETTINGS);
  await page.waitForLoadState('networkidle');
  // A reload must not ask again, and nothing is taken over without being asked.
  expect(page.url()).toBe(`${studio.url}#/recipe`);
  await takeSharedRecipe(page);
  expect(await shownRecipe(page)).toEqual(everything);
  const rail = page.getByRole('navigation', { name: 'Steps' });
  expect(await rail.innerText()).toMatch(/Choose a model[\s\S]*None yet[\s\S]*Not started[\s\S]*None yet/);
  expect(await page.title()).toBe('Etude');
  expectOnlyTheApp(studio.requests.map(({ url }) => url), studio.url);
  await page.reload();
  await headingOf(page, 'Recipe').waitFor();
  expect(await page.getByRole('dialog').count()).toBe(0);
  expect(await shownRecipe(page)).toEqual(everything);
  expect(studio.errors).toEqual([]);
  await studio.close();
});

test('a hostile link says setting by setting what was refused, and nothing in it runs', async () => {
  const evil = {
    model: { source: 'hub', name: 'https://evil.example/model' },
    dataset: { source: 'file', name: '<img src=x onerror="document.title=1">' },
    lora: { r: 1e9, loraAlpha: '32', targetModules: ['lm_head'], onload: 'alert(1)' },
    training: { learningRate: '<script>document.title = "hacked"</script>', numTrainEpochs: -1, maxSteps: 5, seed: { $gt: 0 } },
    data: 'javascript:alert(1)',
    constructor: { prototype: { polluted: true } },
    start: true,
  };
  const studio = await studios.open({ fragment: crafted(evil) });
  const { page } = studio;
  page.on('dialog', () => studio.errors.push('a dialog of the browser opened'));
  const refused = page.getByTestId('share-refused');
  await refused.waitFor();
  const lines = await refused.getByRole('listitem').allInnerTexts();
  console.log(lines.join('\n'));
  for (const name of ['model', 'dataset', 'lora.r', 'lora.loraAlpha', 'lora.targetModules', 'lora.onload', 'training.learningRate', 'training.numTrainEpochs', 'training.seed', 'data', 'constructor', 'start']) {
    expect(lines.some((line) => line.startsWith(`${name}:`)), name).toBe(true);
  }
  expect(lines).toHaveLength(12);
  expect(await refused.innerText()).toContain('12 settings in the link were refused.');
  // The one good setting is all that is offered.
  expect(await page.getByTestId('share-accepted').getByRole('listitem').allInnerTexts()).toEqual([expect.stringContaining('Maximum steps')]);
  await takeSharedRecipe(page);
  expect(await shownRecipe(page)).toEqual(recipeSchema.parse({ training: { maxSteps: 5 } }));
  expect(await page.title()).toBe('Etude');
  expect(await page.evaluate(() => ({ image: document.querySelectorAll('img').length, polluted: 'polluted' in {} }))).toEqual({ image: 0, polluted: false });
  expectOnlyTheApp(studio.requests.map(({ url }) => url), studio.url);
  expect(studio.errors).toEqual([]);
  await studio.close();
});

test('a link that was cut off is refused whole, and the present recipe stays', async () => {
  const studio = await studios.open();
  const { page } = studio;
  const mine = recipeSchema.parse({ lora: { r: 9 } });
  await typeRecipe(page, mine);
  await goTo(page, 'Model');
  await page.getByRole('button', { name: 'Open a shared recipe' }).click();
  const dialog = page.getByRole('dialog', { name: 'Open a shared recipe' });
  await dialog.getByRole('textbox', { name: 'Link' }).fill(link.slice(0, -40));
  await dialog.getByRole('button', { name: 'Read the link' }).click();
  const shown = await errorShown(page);
  expect(shown.code).toBe('share.unreadable');
  expect(shown.nextStep).toMatch(/Your present recipe is kept/);
  await page.keyboard.press('Escape');
  await goTo(page, 'Recipe');
  expect(await shownRecipe(page)).toEqual(mine);
  await studio.close();
});
