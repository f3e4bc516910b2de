/** The data studio in a browser: pasted rows, several files, findings corrected and taken back, the record of changes, advice. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goTo, ISLAND, toJsonl, useBuiltinModel } from './steps.ts';
import { download, dropFiles, seriousViolations, startStudios, takeScreenshots, type Studio } from './support.ts';

let studios: Awaited<ReturnType<typeof startStudios>>;
let studio: Studio;
beforeAll(async () => {
  studios = await startStudios();
  studio = await studios.open();
  await useBuiltinModel(studio.page);
  await goTo(studio.page, 'Data');
});
afterAll(() => studios.stop());

const overflow = (): Promise<number> => studio.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test('rows are pasted by keyboard, and what they are is told with the reason', async () => {
  const { page } = studio;
  await page.getByRole('button', { name: 'Paste or type rows' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  expect(await seriousViolations(page)).toEqual([]);
  await page.getByRole('textbox', { name: 'Rows' }).fill('{"prompt": "Where is Orlu?", "chosen": "On Sarn.", "rejected": "I will not say."}\n{"prompt": "Where is Benat?", "chosen": "On Sarn.", "rejected": "No."}');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('Pasted rows.txt · 2 rows').waitFor();
  const view = page.getByRole('radiogroup', { name: 'View of the data' });
  await view.getByText('Mapping').click();
  expect(await page.getByTestId('mapping').getByRole('paragraph').first().innerText()).toMatch(/\S+ \S+/);
  expect(await page.getByRole('combobox', { name: 'Rejected answer' }).or(page.getByRole('textbox', { name: 'Rejected answer' })).first().inputValue()).toBe('rejected');
  await view.getByText('Table').click();
  await page.getByTestId('rows-table').getByText('rejected: I will not say.').waitFor();
});

test('copies are left out with one click, named in the record of changes, and come back with Undo', async () => {
  const { page } = studio;
  await dropFiles(page.getByRole('main'), [{ name: 'island.jsonl', text: toJsonl([...ISLAND, ISLAND[1], ISLAND[2]]) }, { name: 'other.csv', text: 'prompt,completion\na,b\nc,d\n' }]);
  await page.getByText(`island.jsonl · ${ISLAND.length + 2} rows`).waitFor();
  expect(await page.getByTestId('stored-datasets').getByRole('button', { name: 'other.csv', exact: true }).count()).toBe(1);
  const copies = page.locator('[data-kind=duplicate]');
  await copies.getByRole('button', { name: /^Leave out 2 rows/ }).click();
  await page.getByRole('heading', { name: '1 fix applied' }).waitFor();
  await copies.waitFor({ state: 'detached' });
  expect(await page.evaluate(() => document.activeElement?.closest('[data-testid=findings]') !== null)).toBe(true);

  const record = await download(page, () => page.getByRole('button', { name: 'Download the record of changes as text' }).click());
  expect(record.name).toBe('island-changes.txt');
  const text = new TextDecoder().decode(record.bytes);
  expect(text).toContain(`line ${ISLAND.length + 1} (row ${ISLAND.length + 1}): dropped by a fix`);
  expect(text).toContain(`line ${ISLAND.length + 2} (row ${ISLAND.length + 2}): dropped by a fix`);

  await page.getByRole('button', { name: /^Undo: / }).click();
  await page.getByRole('heading', { name: 'Changes', exact: true }).waitFor();
  await copies.waitFor();
});

test('rows are searched, opened, edited, deleted and brought back by keyboard, and what is shown is exported; what a row holds is only ever text', async () => {
  const { page } = studio;
  const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  await page.getByRole('radiogroup', { name: 'View of the data' }).getByText('Table').click();
  const count = page.getByTestId('row-count');
  await page.getByRole('searchbox', { name: 'Search all rows' }).fill('bEnAt');
  await expect.poll(() => count.innerText()).toBe(`2 of ${ISLAND.length + 2} rows`);
  await page.getByRole('grid').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  const panel = page.getByTestId('row-panel');
  await panel.getByRole('heading', { name: 'Row 2' }).waitFor();
  await panel.getByRole('button', { name: 'Edit' }).press('Enter');
  await panel.getByRole('textbox', { name: 'Text of turn 2, assistant' }).fill(hostile);
  await page.keyboard.press('Control+Enter');
  await page.getByRole('heading', { name: '1 edit by hand' }).waitFor();
  await panel.getByText(hostile).waitFor();
  expect(await page.title()).not.toMatch(/^[12]$/);

  const file = await download(page, () => page.getByRole('button', { name: 'Export what you see, 2 rows, as JSONL' }).click());
  const rows = new TextDecoder().decode(file.bytes).trim().split('\n').map((line) => JSON.parse(line) as { messages: { role: string; content: string }[] });
  expect(rows.map((row) => row.messages.at(-1)!.content)).toEqual([hostile, 'The town of Benat is on the island of Sarn.']);

  await page.getByRole('button', { name: 'Delete 2 rows' }).click();
  await page.getByTestId('confirm-delete-rows').click();
  await page.getByText('No row matches.').waitFor();
  await page.getByTestId('last-edit').getByRole('button', { name: 'Undo' }).click();
  await expect.poll(() => count.innerText()).toBe(`2 of ${ISLAND.length + 2} rows`);

  await page.getByRole('searchbox').press('Escape');
  await page.getByRole('columnheader', { name: 'Characters of the answer' }).getByRole('button').press('Enter');
  await page.locator('[aria-sort=descending]').waitFor();
  await page.locator('[data-place="0"]').getByText(hostile).waitFor();
});

test('the advice, the mix and the parts of the quality are read by everyone, at both sizes and in both schemes', async () => {
  const { page } = studio;
  await page.getByRole('heading', { name: 'Under 1,000 examples' }).waitFor();
  expect(await page.getByTestId('task-mix').getByRole('img').first().getAttribute('aria-label')).toBe('18 rows: question answering 18.');
  await page.getByTestId('task-mix').getByRole('button', { name: 'Show as table' }).click();
  expect(await page.getByTestId('task-mix').getByRole('row').count()).toBeGreaterThan(1);
  await page.getByTestId('task-mix').getByRole('button', { name: 'Show as chart' }).click();
  expect(await page.getByTestId('quality').getByRole('term').count()).toBe(4);
  await takeScreenshots(page, 'data-studio');
  for (const [width, colorScheme] of [[1280, 'light'], [390, 'dark']] as const) {
    await page.setViewportSize({ width, height: 844 });
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    expect(await seriousViolations(page)).toEqual([]);
    // Charts measure their box again before they draw.
    await expect.poll(overflow, { message: `${width}` }).toBe(0);
  }
  expect(studio.errors).toEqual([]);
});
