/**
 * Pictures of the real page at work: the built-in example, trained here, on every step in both sizes and schemes.
 *   node scripts/run-ts.mjs scripts/screenshots.ts           the pictures of the README, into docs/screenshots
 *   node scripts/run-ts.mjs scripts/screenshots.ts FOLDER    all of them, into FOLDER
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { builtinRecipe } from '../src/config/builtinRecipe.ts';
import { launchChromium } from '../src/cli/chromium.ts';
import { startStaticServer } from '../src/cli/staticServer.ts';
import { fragmentOf, goTo, headingOf, takeSharedRecipe, trained, useBuiltinData, useBuiltinModel } from '../tests/e2e/steps.ts';
import { optimisePng } from './optimisePng.ts';

const root = resolve(import.meta.dirname, '..');
const IN_README = ['train-desktop-light', 'data-desktop-light', 'table-desktop-light', 'train-phone-dark'];
const MOST_BYTES = 320_000;
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } } as const;
/** The step of the run at which the Train screen is taken, of 108. */
const TRAIN_AT = 70;

/** The built-in recipe with a tenth of the rows held out, so that there is a validation curve. */
function recipe() {
  const builtin = builtinRecipe();
  return { ...builtin, training: { ...builtin.training, validationSplit: 0.1, evalSteps: 12 } };
}

class Camera {
  readonly #page: Page;
  readonly #folder: string;
  readonly #wanted: (name: string) => boolean;

  constructor(page: Page, folder: string, wanted: (name: string) => boolean) {
    this.#page = page;
    this.#folder = folder;
    this.#wanted = wanted;
  }

  async take(screen: string): Promise<void> {
    for (const size of ['desktop', 'phone'] as const) {
      for (const colorScheme of ['light', 'dark'] as const) {
        const name = `${screen}-${size}-${colorScheme}`;
        if (!this.#wanted(name)) continue;
        await this.#page.setViewportSize(SIZES[size]);
        await this.#page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await this.#page.mouse.move(0, 0);
        // Charts measure their box again before they draw.
        await this.#page.waitForTimeout(600);
        const path = join(this.#folder, `${name}.png`);
        const png = optimisePng(await this.#page.screenshot());
        if (png.length > MOST_BYTES) throw new Error(`${name} has ${png.length} bytes, more than ${MOST_BYTES}.`);
        writeFileSync(path, png);
        console.log(`${path}  ${Math.round(png.length / 1000)} kB`);
      }
    }
    await this.#page.setViewportSize(SIZES.desktop);
  }
}

async function drive(page: Page, camera: Camera): Promise<void> {
  await takeSharedRecipe(page);
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await goTo(page, 'Model');
  await camera.take('home');
  await useBuiltinModel(page);
  await useBuiltinData(page);
  await goTo(page, 'Data');
  await page.getByTestId('length-histogram').waitFor();
  await camera.take('data');
  await page.getByRole('radiogroup', { name: 'View of the data' }).getByText('Table').click();
  await page.getByRole('searchbox', { name: 'Search all rows' }).fill('capital of s');
  // The list is narrowed before a row of it is opened.
  await page.getByTestId('row-count').filter({ hasText: '9 of 480 rows' }).waitFor();
  await page.locator('[data-place="1"]').click();
  await page.getByTestId('row-panel').waitFor();
  await camera.take('table');
  await goTo(page, 'Recipe');
  await page.getByText(/^about |^\d+ (s|min)/).first().waitFor({ timeout: 10_000 }).catch(() => undefined);
  await camera.take('recipe');
  await page.getByRole('button', { name: 'Start training' }).click();
  await page.waitForFunction((step) => Number(/^(\d+)\//.exec(document.title)?.[1] ?? 0) >= step, TRAIN_AT, { timeout: 900_000 });
  await camera.take('train');
  await trained(page);
  await goTo(page, 'Try');
  await page.getByRole('button', { name: 'Run' }).click();
  for (const which of ['base', 'tuned']) await page.locator(`[data-testid=answer-${which}][data-status=done]`).waitFor();
  await camera.take('try');
  await goTo(page, 'Export');
  await page.getByRole('button', { name: /^Download zip, / }).waitFor();
  await camera.take('export');
  await goTo(page, 'Runs');
  await headingOf(page, 'Runs').waitFor();
  await camera.take('runs');
}

export async function main([given]: string[]): Promise<void> {
  const folder = given === undefined ? join(root, 'docs', 'screenshots') : resolve(given);
  mkdirSync(folder, { recursive: true });
  const dist = mkdtempSync(join(tmpdir(), 'etude-screenshots-'));
  const { build } = await import('vite');
  await build({ root, configFile: join(root, 'vite.config.ts'), logLevel: 'error', build: { outDir: dist, emptyOutDir: true } });
  const server = await startStaticServer({ '/': dist });
  const browser = await launchChromium('swiftshader');
  try {
    const page = await browser.newPage({ viewport: SIZES.desktop, deviceScaleFactor: 2, reducedMotion: 'reduce', colorScheme: 'light' });
    page.setDefaultTimeout(120_000);
    await page.goto(`${server.origin}/#${fragmentOf(recipe())}`);
    await drive(page, new Camera(page, folder, (name) => given !== undefined || IN_README.includes(name)));
  } finally {
    await browser.close();
    await server.close();
    rmSync(dist, { recursive: true, force: true });
  }
}
