import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, fragmentOf, goTo, headingOf, modelLoaded, prepareBuiltin, shortRecipe, startTraining, trained, type StepName } from './steps.ts';
import { seriousViolations, startStudios, VIEWPORTS } from './support.ts';

const SCREENS: StepName[] = ['Model', 'Data', 'Recipe', 'Train', 'Try', 'Export', 'Runs'];
/** Both sizes and both schemes; screens.test.ts looks at every state in all four, with a worker that is played. */
const LOOKS = [{ size: 'desktop', colorScheme: 'light' }, { size: 'phone', colorScheme: 'dark' }] as const;

let studios: Awaited<ReturnType<typeof startStudios>>;
beforeAll(async () => { studios = await startStudios(); });
afterAll(() => studios.stop());

async function look(page: Page, { size, colorScheme }: (typeof LOOKS)[number]): Promise<void> {
  await page.setViewportSize(VIEWPORTS[size]);
  await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
}

/** Serious violations of what is on screen, under the name of the place. */
async function violationsAt(page: Page, place: string): Promise<string[]> {
  return (await seriousViolations(page)).map((violation) => `${place}: ${violation}`);
}

/** On a phone the steps are a bar at the bottom and Runs is in the menu; an address works everywhere. */
async function open(page: Page, screen: StepName): Promise<void> {
  await page.evaluate((hash) => { location.hash = hash; }, `/${screen.toLowerCase()}`);
  await headingOf(page, screen).waitFor();
}

/** The page does not scroll sideways. */
const overflow = (page: Page): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test('axe finds nothing serious on any empty screen, in both schemes and sizes', async () => {
  const studio = await studios.open();
  const { page } = studio;
  const found: string[] = [];
  for (const style of LOOKS) {
    await look(page, style);
    for (const screen of SCREENS) {
      await open(page, screen);
      found.push(...await violationsAt(page, `${screen}, empty, ${style.size}, ${style.colorScheme}`));
      expect(await overflow(page), `${screen} at ${style.size}`).toBe(0);
    }
  }
  expect(found).toEqual([]);
  expect(studio.errors).toEqual([]);
  await studio.close();
});

test('axe finds nothing serious on any screen of a real run, in both schemes and sizes', async () => {
  const studio = await studios.open({ fragment: fragmentOf(shortRecipe({ training: { maxSteps: 4, validationSplit: 0.01 } })) });
  const { page } = studio;
  const found = await violationsAt(page, 'a shared recipe');
  await prepareBuiltin(page);
  await startTraining(page);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  found.push(...await violationsAt(page, 'Train, paused'));
  await page.getByRole('button', { name: 'Resume' }).click();
  await trained(page);
  await ask(page, 'What is a raven?');
  await goTo(page, 'Export');
  await page.getByRole('button', { name: /^Download zip, / }).waitFor();
  for (const style of LOOKS) {
    await look(page, style);
    for (const screen of SCREENS) {
      await open(page, screen);
      const views = screen === 'Data' ? ['Table', 'Mapping', 'Mask'] : screen === 'Recipe' ? ['Advanced', 'JSON', 'Simple'] : [null];
      for (const view of views) {
        if (view !== null) await page.getByRole('main').getByText(view, { exact: true }).click();
        found.push(...await violationsAt(page, `${screen}${view ? `, ${view}` : ''}, ${style.size}, ${style.colorScheme}`));
        expect(await overflow(page), `${screen} ${view} at ${style.size}`).toBe(0);
      }
    }
  }
  await look(page, LOOKS[0]!);
  await page.getByRole('button', { name: 'Share' }).click();
  await page.getByRole('dialog').waitFor();
  found.push(...await violationsAt(page, 'Share'));
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  found.push(...await violationsAt(page, 'Keyboard'));
  expect(found).toEqual([]);
  expect(studio.errors).toEqual([]);
  await studio.close();
});

/** What has the focus, as its role and text, and whether it is seen to have it. */
const focused = (page: Page): Promise<{ name: string; tag: string; seen: boolean }> => page.evaluate(() => {
  const element = document.activeElement as HTMLElement;
  // A radio of a segmented control is not drawn: its label shows the focus. A field has a ring of its border's shadow.
  const seen = [element, element.nextElementSibling].some((drawn) => {
    if (!(drawn instanceof HTMLElement)) return false;
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(drawn);
    const box = drawn.getBoundingClientRect();
    return ((outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2) || boxShadow !== 'none') && box.width > 1 && box.height > 1;
  });
  const name = element.getAttribute('aria-label') ?? (element.textContent?.trim() || (element as HTMLInputElement).value) ?? '';
  return { name, tag: element.tagName.toLowerCase(), seen };
});

/** Presses Tab until something of this name has the focus; every stop on the way must be seen to have it. */
async function tabTo(page: Page, name: RegExp | string): Promise<void> {
  const stops: string[] = [];
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const stop = await focused(page);
    stops.push(stop.name);
    if (stop.tag === 'body') continue;
    expect(stop.seen, `focus on ${stop.tag} "${stop.name}" cannot be seen`).toBe(true);
    if (typeof name === 'string' ? stop.name === name : name.test(stop.name)) return;
  }
  throw new Error(`Tab never came to ${String(name)}; it came to: ${stops.join(' | ')}`);
}

test('the keys 1 to 7 open the steps and Runs, and the heading has the focus', async () => {
  const studio = await studios.open();
  const { page } = studio;
  await headingOf(page, 'Model').waitFor();
  for (const [i, screen] of [...SCREENS.entries()].toReversed()) {
    await page.keyboard.press(String(i + 1));
    await headingOf(page, screen).waitFor();
    await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe('H1');
    expect(await headingOf(page, screen).evaluate((heading) => heading === document.activeElement), screen).toBe(true);
  }
  // In a field they are digits.
  await open(page, 'Recipe');
  const rank = page.getByRole('textbox', { name: 'Rank' });
  await rank.focus();
  await rank.fill('');
  await page.keyboard.press('4');
  expect(await rank.inputValue()).toBe('4');
  await headingOf(page, 'Recipe').waitFor();
  await studio.close();
});

test('model and data are chosen, and a row is read token by token, by keyboard alone', async () => {
  const studio = await studios.open();
  const { page } = studio;
  await page.getByText('Software adapter').first().waitFor();
  await page.keyboard.press('Tab');
  expect((await focused(page)).name).toBe('Skip to the step');
  await page.keyboard.press('Enter');
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
  await tabTo(page, 'Use built-in model');
  await page.keyboard.press('Enter');
  await modelLoaded(page);
  await tabTo(page, 'Use built-in data');
  await page.keyboard.press('Enter');
  await tabTo(page, 'See which tokens are trained');
  await page.keyboard.press('Enter');
  await headingOf(page, 'Data').waitFor();
  await page.getByTestId('mask-count').waitFor();

  await tabTo(page, /^Tokens of the assistant turn/);
  await page.keyboard.press('End');
  const listbox = page.getByRole('listbox', { name: 'Tokens of the assistant turn' });
  const active = (): Promise<string | null> => listbox.evaluate((box) => document.getElementById(box.getAttribute('aria-activedescendant') ?? '')?.getAttribute('aria-label') ?? null);
  expect(await active()).toMatch(/, ignored$/);
  await page.keyboard.press('ArrowLeft');
  expect(await active()).toMatch(/<\|im_end\|>, id 2, trained/);

  const before = await page.getByTestId('mask-count').innerText();
  await page.keyboard.press('t');
  await expect.poll(() => page.getByTestId('mask-count').innerText()).toMatch(/^0 of /);
  await page.keyboard.press('t');
  await expect.poll(() => page.getByTestId('mask-count').innerText()).toBe(before);
  await page.keyboard.press(']');
  await expect.poll(() => page.getByRole('textbox', { name: 'Row', exact: true }).inputValue()).toBe('2');
  expect(studio.errors).toEqual([]);
  await studio.close();
});
