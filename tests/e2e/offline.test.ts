import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startStudios, type Studio } from './support.ts';

/** A copy of the build, so that a newer one can be put in its place. */
let dist: string;
let studios: Awaited<ReturnType<typeof startStudios>>;
let studio: Studio;
let page: Page;

beforeAll(async () => {
  dist = mkdtempSync(join(tmpdir(), 'etude-versions-'));
  cpSync(inject('dist'), dist, { recursive: true });
  studios = await startStudios({ dist });
  studio = await studios.open({ serviceWorker: true });
  ({ page } = studio);
});
afterAll(async () => {
  await studios.stop();
  rmSync(dist, { recursive: true, force: true });
});

/** The next version: another description, and the checksum of the page that carries it. */
function publish(description: string): void {
  const html = readFileSync(join(dist, 'index.html'), 'utf8');
  writeFileSync(join(dist, 'index.html'), html.replace(/(<meta name="description" content=")[^"]*/, `$1${description}`));
  const worker = readFileSync(join(dist, 'sw.js'), 'utf8');
  writeFileSync(join(dist, 'sw.js'), worker.replace(/"index\.html":"\w+"/, `"index.html":"${description.length}${description.charCodeAt(0)}"`));
}

const version = () => page.locator('meta[name=description]').getAttribute('content');
const active = () => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.active?.state ?? null);
const waiting = () => page.evaluate(async () => Boolean((await navigator.serviceWorker.getRegistration())?.waiting));
const look = () => page.evaluate(async () => { await (await navigator.serviceWorker.getRegistration())!.update(); });

test('the page keeps every file of the build, and nothing of the command line’s page', async () => {
  await expect.poll(active).toBe('activated');
  const kept = await page.evaluate(async () => (await (await caches.open('etude-app')).keys()).map((request) => new URL(request.url).pathname));
  expect(kept.filter((path) => /builtin\/model\/model\.safetensors$|index\.html$|assets\/worker-.*\.js$/.test(path))).toHaveLength(3);
  expect(kept.filter((path) => /headless|sw\.js/.test(path))).toEqual([]);
  expect(studio.errors).toEqual([]);
});

test('a new version waits: reloading shows the old one, and taking it shows the new one', async () => {
  await page.reload();
  publish('The next one');
  await look();
  await expect.poll(waiting).toBe(true);
  await page.reload();
  expect(await version()).not.toBe('The next one');
  await page.evaluate(async () => {
    const replaced = new Promise((resolve) => { navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }); });
    (await navigator.serviceWorker.getRegistration())!.waiting!.postMessage('etude.update');
    await replaced;
  });
  await page.reload();
  expect(await version()).toBe('The next one');
  const pages = await page.evaluate(async () => (await (await caches.open('etude-app')).keys()).filter((request) => request.url.includes('index.html')).length);
  expect(pages).toBe(1);
});

test('the page of the command line is never answered from what is kept', async () => {
  const before = studio.requests.length;
  await page.goto(`${studio.url}headless.html`);
  await page.waitForFunction(() => 'etudeRun' in globalThis);
  writeFileSync(join(dist, 'headless.html'), '<title>served</title>');
  await page.reload();
  expect(await page.title()).toBe('served');
  expect(studio.requests.length).toBeGreaterThan(before);
});
