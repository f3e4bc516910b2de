/**
 * Files that people really have (tests/fixtures/datasets), one after the other in one page: each is recognised with its
 * reason, shown token by token, its findings are told, and it is trained. ETUDE_DATASETS names a folder of whole files instead.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fragmentOf, goTo, lossTable, shortRecipe, startTraining, takeSharedRecipe, trained, useBuiltinModel } from './steps.ts';
import { dropFiles, startStudios, type Studio } from './support.ts';

const STEPS = 2;
const whole = process.env.ETUDE_DATASETS;
const folder = whole ?? resolve(import.meta.dirname, '../fixtures/datasets');

interface RealFile {
  file: string;
  /** Its name among the whole files. */
  wholeFile?: string;
  /** Rows of the file here, and of the whole one. */
  rows: [number, number];
  shape: RegExp;
  because: RegExp;
  /** The row that is looked at in the whole file, from 1; 3 where none is given. */
  look?: number;
  /** A finding that must be told, by its kind and words. */
  told?: [string, RegExp];
}
const FILES: RealFile[] = [
  { file: 'alpaca.json', wholeFile: 'alpaca_en_demo.json', rows: [6, 999], shape: /Alpaca/, because: /"instruction", "input" and "output"/ },
  { file: 'gsm8k.json', wholeFile: 'gsm8k_train.json', rows: [8, 7473], shape: /Alpaca/, because: /"instruction", "input" and "output"/ },
  { file: 'identity.json', wholeFile: 'identity.json', rows: [4, 91], shape: /Alpaca/, because: /"instruction", "input" and "output"/, told: ['unfilled-placeholder', /\{\{name\}\}.*\{\{author\}\}|\{\{author\}\}.*\{\{name\}\}/] },
  { file: 'preference.json', wholeFile: 'dpo_en_demo.json', rows: [3, 300], shape: /ShareGPT/, because: /the chosen answer is trained, the rejected answer is not trained; it is kept/ },
  // Its calls are written by no template here: those rows are refused by name, the others are trained.
  { file: 'toolcalls.json', wholeFile: 'glaive_toolcall_en_demo.json', rows: [4, 300], look: 22, shape: /ShareGPT/, because: /refuses rows with calls by name/, told: ['unproven-mask', /calls a tool: the model's template does not write calls/] },
  { file: 'labelled.json', rows: [160, 0], shape: /prompt/i, because: /"prompt" and "answer"/ },
];

let studios: Awaited<ReturnType<typeof startStudios>>;
let studio: Studio;
beforeAll(async () => {
  studios = await startStudios();
  // Long rows are cut, so that two steps stay short.
  studio = await studios.open({ fragment: fragmentOf(shortRecipe({ data: { maxLength: whole ? 256 : 128 }, training: { maxSteps: STEPS, perDeviceTrainBatchSize: 1 } })) });
  await takeSharedRecipe(studio.page);
  await useBuiltinModel(studio.page);
});
afterAll(() => studios.stop());

test.each(FILES.filter(({ wholeFile }) => !whole || wholeFile))('$file is recognised, shown, judged and trained', async ({ file, wholeFile, rows, look = 3, shape, because, told }) => {
  const { page } = studio;
  const begun = Date.now();
  const name = whole ? wholeFile! : file;
  await goTo(page, 'Data');
  await dropFiles(page.getByRole('main'), [{ name, bytes: new Uint8Array(readFileSync(join(folder, name))) }]);
  const facts = page.getByText(`${name} · ${rows[whole ? 1 : 0].toLocaleString('en')} rows`);
  await facts.waitFor();
  expect(await facts.innerText()).toMatch(shape);

  const view = page.getByRole('radiogroup', { name: 'View of the data' });
  await view.getByText('Mapping').click();
  await expect.poll(() => page.getByTestId('mapping').innerText()).toMatch(because);
  await view.getByText('Mask').click();
  await page.getByRole('textbox', { name: 'Row', exact: true }).fill(String(whole ? look : 3));
  await expect.poll(() => page.getByTestId('mask-count').innerText()).toMatch(/^[1-9][\d,]* of [1-9][\d,]* tokens are trained$/);
  expect(await page.locator('[data-turn] [role=option][data-trained]').count()).toBeGreaterThan(0);
  await page.getByTestId('advice').waitFor();
  if (told) await page.locator(`[data-kind=${told[0]}]`).filter({ hasText: told[1] }).waitFor();
  const findings = await page.locator('[data-testid=findings] [data-kind]').allInnerTexts();
  const looked = Date.now();

  await startTraining(page);
  await trained(page);
  const losses = await lossTable(page);
  expect(losses.map(({ step }) => step)).toEqual([1, 2]);
  expect(losses.every(({ loss }) => loss > 0 && Number.isFinite(loss))).toBe(true);
  console.log(`${name}: ${rows[whole ? 1 : 0]} rows, ${findings.length} findings, loss ${losses.map(({ loss }) => loss).join(' ')}; ${((looked - begun) / 1000).toFixed(1)} s to look at, ${((Date.now() - looked) / 1000).toFixed(1)} s to train`);
  for (const finding of findings) console.log(`  ${finding.split('\n').slice(0, 2).join(' ')}`);
  expect(studio.errors).toEqual([]);
});
