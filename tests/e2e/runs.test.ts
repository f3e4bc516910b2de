import { unzipSync } from 'fflate';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorShown, fragmentOf, goTo, headingOf, lossTable, prepareBuiltin, readout, shortRecipe, startTraining, trained } from './steps.ts';
import { download, startStudios, type Studio } from './support.ts';

const STEPS = 8;
const recipe = shortRecipe({ training: { maxSteps: STEPS, saveSteps: 2 } });

/** Hands the test the device's loss: what a driver that restarts does. */
const LOSABLE_DEVICE = `
  let lose;
  const lost = new Promise((resolve) => { lose = resolve; });
  Object.defineProperty(GPUDevice.prototype, 'lost', { get() { return lost; } });
  const requestDevice = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    new BroadcastChannel('lose-device').onmessage = () => { lose({ reason: 'unknown', message: 'The driver was reset.' }); device.destroy(); };
    return device;
  };`;

let studios: Awaited<ReturnType<typeof startStudios>>;
let studio: Studio;
beforeAll(async () => {
  studios = await startStudios();
  studio = await studios.open({ fragment: fragmentOf(recipe) });
});
afterAll(() => studios.stop());

/** Waits until the run has come to this step or further. */
async function reached(page: Page, step: number): Promise<void> {
  await expect.poll(async () => Number(/^(\d+)\//.exec(await page.title())?.[1] ?? 0)).toBeGreaterThanOrEqual(step);
}

async function adapterBytes(page: Page): Promise<Uint8Array> {
  await goTo(page, 'Export');
  const { bytes } = await download(page, () => page.getByRole('button', { name: /^Download zip, / }).click());
  return Object.entries(unzipSync(bytes)).find(([path]) => path.endsWith('adapter_model.safetensors'))![1];
}

const runRows = (page: Page): Locator => page.getByTestId('runs-list').getByRole('listitem');

test('a reload in the middle leaves the run interrupted, and Resume brings the adapter it would have been, bit for bit', async () => {
  const { page } = studio;
  await prepareBuiltin(page);
  await startTraining(page);
  await reached(page, 3);
  await page.reload();
  await expect.poll(() => page.getByRole('navigation', { name: 'Steps' }).getByRole('link', { name: /\bRuns\b/ }).innerText()).toContain('1 to resume');
  await goTo(page, 'Runs');
  const row = await runRows(page).innerText();
  expect(row).toMatch(/Interrupted/);
  const kept = Number(/(\d+) of 8/.exec(row)![1]);
  console.log(`Interrupted with a checkpoint of step ${kept}`);
  expect(kept).toBeGreaterThanOrEqual(2);
  await runRows(page).getByRole('button', { name: 'Resume' }).click();
  await trained(page);
  const resumed = await lossTable(page);
  expect(resumed.map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
  const resumedBytes = await adapterBytes(page);

  await startTraining(page);
  await trained(page);
  expect(await lossTable(page)).toEqual(resumed);
  expect(Buffer.compare(await adapterBytes(page), resumedBytes)).toBe(0);
  expect(studio.errors).toEqual([]);
});

test('a second tab that resumes a run which goes on in the first is told so', async () => {
  const { page } = studio;
  await startTraining(page);
  await reached(page, 3);
  await page.reload();
  await goTo(page, 'Runs');
  const other = await studio.openTab('/runs');
  await other.getByRole('button', { name: 'Resume' }).waitFor();
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  // The other tab still lists the run as it was before.
  await other.getByRole('button', { name: 'Resume' }).click();
  await other.getByTestId('error-panel').first().waitFor();
  const shown = await errorShown(other);
  expect(shown).toMatchObject({ code: 'run.otherTab' });
  expect(shown.what).toMatch(/is open in another tab/);
  expect(shown.nextStep).not.toBe('');
  await other.close();
  // The first tab's run is unharmed.
  await page.getByRole('button', { name: 'Resume' }).click();
  await trained(page);
});

test('Stop keeps what was learnt: the adapter of that step is there to try', async () => {
  const { page } = studio;
  await startTraining(page);
  await reached(page, 2);
  await page.getByRole('button', { name: 'Stop' }).click();
  await trained(page);
  const step = Number((await readout(page, 'Step')).split(' ')[0]);
  expect(step).toBeGreaterThanOrEqual(2);
  expect(step).toBeLessThan(STEPS);
  await page.getByRole('button', { name: 'Continue to Try' }).click();
  expect(await page.getByRole('region', { name: 'Answer of the tuned model' }).innerText()).toContain(`step ${step}`);
});

test('a run is renamed, and the name outlasts a reload', async () => {
  const { page } = studio;
  await goTo(page, 'Runs');
  await expect.poll(() => runRows(page).count()).toBe(4);
  expect(await runRows(page).first().innerText()).toContain('Stopped');
  await runRows(page).first().getByRole('button', { name: /^More for / }).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.getByRole('textbox', { name: 'Name of the run' }).fill('Fourth try');
  await page.keyboard.press('Enter');
  await runRows(page).first().getByText('Fourth try', { exact: true }).waitFor();
  await page.reload();
  await runRows(page).first().getByText('Fourth try', { exact: true }).waitFor();
});

test('a past run is opened: its base model is loaded, its curve is back and its adapter answers', async () => {
  const { page } = studio;
  await runRows(page).nth(1).getByRole('button', { name: 'Open' }).click();
  await headingOf(page, 'Try').waitFor();
  expect(await page.getByRole('region', { name: 'Answer of the tuned model' }).innerText()).toContain(`step ${STEPS}`);
  await goTo(page, 'Train');
  expect(await lossTable(page)).toHaveLength(STEPS);
});

test('runs are deleted after a question that names them, and the data stays', async () => {
  const { page } = studio;
  await goTo(page, 'Runs');
  await runRows(page).first().getByRole('button', { name: 'More for Fourth try' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  const question = page.getByRole('dialog', { name: 'Delete Fourth try?' });
  await question.getByRole('button', { name: 'Keep' }).click();
  expect(await runRows(page).count()).toBe(4);
  await page.getByRole('checkbox', { name: 'Choose all' }).check();
  await page.getByRole('button', { name: 'Delete 4 runs' }).click();
  await page.getByRole('dialog', { name: 'Delete 4 runs?' }).getByRole('button', { name: 'Delete 4 runs' }).click();
  await page.getByText('No runs yet').waitFor();
  await page.reload();
  await page.getByText('No runs yet').waitFor();
  expect(await page.getByRole('navigation', { name: 'Steps' }).getByRole('link', { name: /\bData\b/ }).innerText()).toContain('480 rows');
});

test('a device lost in a run is told with the step that is kept, and after a reload the run goes on from there', async () => {
  const other = await studios.open({ fragment: fragmentOf(shortRecipe({ training: { maxSteps: STEPS, saveSteps: 3 } })), workerScript: LOSABLE_DEVICE });
  const { page } = other;
  await prepareBuiltin(page);
  await startTraining(page);
  await reached(page, 4);
  await page.evaluate(() => new BroadcastChannel('lose-device').postMessage('now'));
  await page.locator('[data-testid=error-panel][data-code="device.lostInRun"]').first().waitFor();
  const shown = await errorShown(page);
  console.log(shown.what, shown.nextStep);
  const kept = Number(/checkpoint of step (\d+) is kept/.exec(shown.what)?.[1]);
  expect([3, 6]).toContain(kept);
  expect(shown.nextStep).toMatch(/[Rr]eload/);
  await page.reload();
  await goTo(page, 'Runs');
  expect(await runRows(page).innerText()).toContain('Ended by an error');
  await runRows(page).getByRole('button', { name: 'Resume' }).click();
  await trained(page);
  // The steps after the checkpoint were made again, and each stands in the curve once.
  expect((await lossTable(page)).map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
  await other.close();
});
