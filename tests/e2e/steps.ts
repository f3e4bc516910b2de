/**
 * What a person does on each screen, by role and accessible name, and the short recipes that keep a test run small.
 * Refuses to know how the page is built.
 */
import type { Locator, Page } from 'playwright-core';
import { encodeShare } from '../../src/config/shareUrl.ts';
import { recipeSchema, type Recipe } from '../../src/config/recipe.ts';

/** First heading of each screen. */
const HEADINGS = {
  Model: 'Fine-tune a small language model in this page.', Data: 'Data', Recipe: 'Recipe', Train: 'Training', Try: 'Try', Export: 'Export', Runs: 'Runs',
} as const;
export type StepName = keyof typeof HEADINGS;

export const headingOf = (page: Page, step: StepName): Locator => page.getByRole('heading', { level: 1, name: HEADINGS[step], exact: true });

type Settings = { data?: Partial<Recipe['data']>; lora?: Partial<Recipe['lora']>; training?: Partial<Recipe['training']> };

/** A few steps of 2 rows on the built-in model: seconds on a software adapter. */
export const shortRecipe = ({ data, lora, training }: Settings = {}): Recipe => recipeSchema.parse({
  data: { template: 'model', maxLength: 64, ...data },
  lora: { r: 4, loraAlpha: 8, loraDropout: 0, ...lora },
  training: { maxSteps: 8, perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 1, learningRate: 5e-3, warmupRatio: 0, ...training },
});

/** The part of a link after '#'. */
export const fragmentOf = (recipe: Recipe): string => encodeShare(recipe).slice(1);

/** Rows with instruction, input and output, about a made-up island: whatever is learnt is learnt here. */
export const ISLAND = ['Orlu', 'Benat', 'Casmir', 'Dovrin', 'Elspa', 'Ferro', 'Gulma', 'Hestra', 'Iskar', 'Jolma', 'Kvell', 'Lumar', 'Mirrow', 'Nesta', 'Olvar', 'Pellin'].map((name, i) => (
  i % 4 === 0
    ? { instruction: 'Where is this town?', input: name, output: `The town of ${name} is on the island of Sarn.` }
    : { instruction: `Where is the town of ${name}?`, input: '', output: `The town of ${name} is on the island of Sarn.` }
));

export const toJsonl = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

export async function goTo(page: Page, step: StepName): Promise<void> {
  await page.getByRole('navigation', { name: 'Steps' }).getByRole('link', { name: new RegExp(`\\b${step}\\b`) }).click();
  await headingOf(page, step).waitFor();
}

const column = (page: Page, title: string): Locator => page.getByRole('region', { name: title });

/** Loads the built-in model from the first screen. */
export async function useBuiltinModel(page: Page): Promise<void> {
  await goTo(page, 'Model');
  await page.getByRole('button', { name: 'Use built-in model' }).click();
  await modelLoaded(page);
}

export const modelLoaded = (page: Page): Promise<void> => column(page, 'Choose a model').getByRole('button', { name: 'In use' }).waitFor();

/** Imports the built-in data from the first screen. */
export async function useBuiltinData(page: Page): Promise<void> {
  await goTo(page, 'Model');
  await page.getByRole('button', { name: 'Use built-in data' }).click();
  await column(page, 'Choose data').getByRole('button', { name: 'In use' }).waitFor();
}

/** Types a recipe on the Recipe step, as JSON. */
export async function typeRecipe(page: Page, recipe: Recipe): Promise<void> {
  await goTo(page, 'Recipe');
  await page.getByRole('radiogroup', { name: 'View of the recipe' }).getByText('JSON').click();
  await page.getByRole('textbox', { name: 'Recipe as JSON' }).fill(JSON.stringify(recipe));
}

/** Takes the recipe of the link the page was opened with. */
export const takeSharedRecipe = (page: Page): Promise<void> => page.getByRole('button', { name: 'Use this recipe' }).click();

export async function startTraining(page: Page): Promise<void> {
  await goTo(page, 'Recipe');
  await page.getByRole('button', { name: 'Start training' }).click();
}

/** The run has come to its end, and its adapter can be tried. */
export const trained = (page: Page): Promise<void> => page.getByRole('button', { name: 'Continue to Try' }).waitFor({ timeout: 200_000 });

/** Model, data and a short recipe from a link; the page was opened with `fragmentOf(recipe)`. */
export async function prepareBuiltin(page: Page): Promise<void> {
  await takeSharedRecipe(page);
  await useBuiltinModel(page);
  await useBuiltinData(page);
}

/** Number of the large readout of this name: 'Step', 'Training loss'. */
export async function readout(page: Page, name: string): Promise<string> {
  return page.getByRole('term').filter({ hasText: new RegExp(`^${name}$`) }).locator('xpath=following-sibling::dd').innerText();
}

/** The loss of each step as the chart's table gives it. */
export async function lossTable(page: Page): Promise<{ step: number; loss: number; smoothed: number }[]> {
  const chart = page.getByTestId('loss-chart');
  await chart.getByRole('button', { name: 'Show as table' }).click();
  const rows = await chart.getByRole('table').getByRole('row').allInnerTexts();
  await chart.getByRole('button', { name: 'Show as chart' }).click();
  return rows.slice(1).map((row) => row.split('\t').map(Number)).map(([step, loss, smoothed]) => ({ step: step!, loss: loss!, smoothed: smoothed! }));
}

/** Both answers to a prompt, with the sampling the page has set. */
export async function ask(page: Page, prompt: string): Promise<{ base: string; tuned: string }> {
  await goTo(page, 'Try');
  await page.getByRole('textbox', { name: 'Prompt' }).fill(prompt);
  await page.getByRole('button', { name: 'Run' }).click();
  const answerOf = async (which: 'base' | 'tuned'): Promise<string> => {
    await page.locator(`[data-testid=answer-${which}][data-status=done]`).waitFor();
    return page.getByTestId(`text-${which}`).innerText();
  };
  return { base: await answerOf('base'), tuned: await answerOf('tuned') };
}

/** What an error says: the four parts a message must have. */
export async function errorShown(page: Page): Promise<{ code: string; what: string; expected: string; likelyCause: string; nextStep: string }> {
  const panel = page.getByTestId('error-panel').first();
  await panel.waitFor();
  const fact = async (name: string): Promise<string> => {
    const term = panel.getByRole('term').filter({ hasText: new RegExp(`^${name}$`) });
    return await term.count() > 0 ? term.locator('xpath=following-sibling::dd').innerText() : '';
  };
  return {
    code: await panel.getAttribute('data-code') ?? '',
    what: await panel.getByRole('paragraph').first().innerText(),
    expected: await fact('Expected'),
    likelyCause: await fact('Likely cause'),
    nextStep: await fact('Next step') || await panel.getByRole('button').first().innerText(),
  };
}
