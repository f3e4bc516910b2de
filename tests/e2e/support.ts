/**
 * The studio in a real Chromium: the build served below a sub-path, every request and console error on record,
 * and the gestures a person makes (drop, look, resize). Refuses to know any screen.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { inject } from 'vitest';
import { launchChromium } from '../../src/cli/chromium.ts';
import { startStaticServer } from '../../src/cli/staticServer.ts';

const here = dirname(fileURLToPath(import.meta.url));
/** A sub-path no code can have guessed. */
const SUB_PATH = '/~someone/etude/';

export const VIEWPORTS = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } } as const;
export const COLOR_SCHEMES = ['light', 'dark'] as const;

export interface StudioRequest { method: string; url: string; resourceType: string }

export interface Studio {
  page: Page;
  context: BrowserContext;
  /** Address of the studio's page, without fragment. */
  url: string;
  origin: string;
  /** Every request of the page and its workers so far. */
  requests: StudioRequest[];
  /** Console errors, uncaught exceptions and Content-Security-Policy violations so far. */
  errors: string[];
  /** Requests that went anywhere but to the studio's own origin. */
  strayRequests(): string[];
  /** A second tab in the same browser profile. */
  openTab(fragment?: string): Promise<Page>;
  close(): Promise<void>;
}

export interface StudioOptions {
  viewport?: keyof typeof VIEWPORTS;
  colorScheme?: (typeof COLOR_SCHEMES)[number];
  /** Part of the address after '#'. */
  fragment?: string;
  /** Runs in the page before its own code. */
  initScript?: () => void;
  /** Lets the page keep itself for use without a network. Otherwise what is kept would answer in place of routes and counts. */
  serviceWorker?: boolean;
  /** Source that runs in the worker before its own code, e.g. to take WebGPU away: init scripts do not reach workers. */
  workerScript?: string;
}

/** Actions wait this long for what they act on: software adapters share the processor with the page. */
const ACTION_TIMEOUT = 60_000;

/** Serves the build and starts Chromium once for a test file; open as many studios in it as needed. */
export async function startStudios(more: { flags?: readonly string[]; dist?: string } = {}): Promise<{
  open(options?: StudioOptions): Promise<Studio>; browser: Browser; /** Takes the studio's own host off the network. */ unplug(): Promise<void>; stop(): Promise<void>;
}> {
  const server = await startStaticServer({ [SUB_PATH]: more.dist ?? inject('dist') });
  const browser = await launchChromium('swiftshader', more.flags);
  return {
    browser,
    open: (options = {}) => openStudio(browser, server.origin, options),
    unplug: () => server.close(),
    async stop() {
      await browser.close();
      await server.close();
    },
  };
}

async function openStudio(browser: Browser, origin: string, options: StudioOptions): Promise<Studio> {
  const context = await browser.newContext({
    viewport: VIEWPORTS[options.viewport ?? 'desktop'],
    colorScheme: options.colorScheme ?? 'light',
    reducedMotion: 'reduce',
    acceptDownloads: true,
    serviceWorkers: options.serviceWorker ? 'allow' : 'block',
  });
  const requests: StudioRequest[] = [];
  const errors: string[] = [];
  context.on('request', (request) => requests.push({ method: request.method(), url: request.url(), resourceType: request.resourceType() }));
  context.on('console', (message) => {
    if (message.type() === 'error') errors.push(`console: ${message.text()}`);
  });
  context.on('weberror', (error) => errors.push(`uncaught: ${error.error().stack ?? error.error().message}`));
  context.setDefaultTimeout(ACTION_TIMEOUT);
  if (options.initScript) await context.addInitScript(options.initScript);
  const { workerScript } = options;
  if (workerScript !== undefined) {
    await context.route(/\/assets\/worker-[^/]+\.js$/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${workerScript}\n${await response.text()}` });
    });
  }
  const url = `${origin}${SUB_PATH}`;
  const openTab = async (fragment?: string): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(fragment === undefined ? url : `${url}#${fragment}`);
    return page;
  };
  const page = await openTab(options.fragment);
  return {
    page, context, url, origin, requests, errors, openTab,
    strayRequests: () => requests.filter((request) => !request.url.startsWith(`${origin}/`) && !/^(data|blob):/.test(request.url)).map((request) => request.url),
    close: () => context.close(),
  };
}

export interface DroppedFile { name: string; text?: string; bytes?: Uint8Array; type?: string }

/** Drops files onto an element the way a person does: enter, over, drop. */
export async function dropFiles(target: Locator, files: DroppedFile[]): Promise<void> {
  const contents = files.map(({ name, text, bytes, type }) => ({
    name, type: type ?? '', base64: Buffer.from(bytes ?? new TextEncoder().encode(text ?? '')).toString('base64'),
  }));
  const dataTransfer = await target.page().evaluateHandle((items) => {
    const transfer = new DataTransfer();
    for (const { name, type, base64 } of items) {
      transfer.items.add(new File([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], name, { type }));
    }
    return transfer;
  }, contents);
  for (const event of ['dragenter', 'dragover', 'drop']) await target.dispatchEvent(event, { dataTransfer });
  await dataTransfer.dispose();
}

/** Bytes of what `act` makes the page download. */
export async function download(page: Page, act: () => Promise<void>): Promise<{ name: string; bytes: Uint8Array }> {
  const [file] = await Promise.all([page.waitForEvent('download'), act()]);
  return { name: file.suggestedFilename(), bytes: new Uint8Array(readFileSync(await file.path())) };
}

/** PNG of the page at every size in every scheme, in tests/e2e/screenshots (not kept in git). */
export async function takeScreenshots(page: Page, name: string, sizes: (keyof typeof VIEWPORTS)[] = ['desktop', 'phone']): Promise<string[]> {
  const folder = resolve(here, 'screenshots');
  mkdirSync(folder, { recursive: true });
  const before = page.viewportSize();
  const paths: string[] = [];
  for (const size of sizes) {
    await page.setViewportSize(VIEWPORTS[size]);
    for (const colorScheme of COLOR_SCHEMES) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      const path = join(folder, `${name}-${size}-${colorScheme}.png`);
      await page.screenshot({ path });
      paths.push(path);
    }
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  if (before !== null) await page.setViewportSize(before);
  return paths;
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Serious and critical accessibility violations as axe sees them: 'rule (impact): element'. */
export async function seriousViolations(page: Page): Promise<string[]> {
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(axeSource);
  // Text that is only just fading in has no contrast yet.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished)).then(() => null));
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string; impact: string | null; help: string; nodes: { html: string }[] }[] }> } };
    return (await axe.run()).violations;
  });
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, impact, help, nodes }) => nodes.map(({ html }) => `${id} (${impact}): ${help}: ${html.slice(0, 200)}`));
}

/** WebGPU adapter the page gets, or null. */
export const pageAdapter = (page: Page): Promise<string | null> => page.evaluate(async () => {
  const adapter = await navigator.gpu?.requestAdapter();
  return adapter ? `${adapter.info.vendor} ${adapter.info.architecture}` : null;
});
