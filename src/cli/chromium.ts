/**
 * Where Chromium lies on this machine, and how it is started for WebGPU without a screen.
 * Refuses to install anything: scripts/test.ts does that.
 */
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { Browser, BrowserContext } from 'playwright-core';
import { EtudeError } from '../config/errors.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'microsoft-edge'];

const USUAL_PLACES: Partial<Record<NodeJS.Platform, string[]>> = {
  linux: ['/usr/lib/chromium/chromium', '/usr/lib/chromium-browser/chromium-browser', '/opt/google/chrome/chrome', '/opt/chromium.org/chromium/chrome', '/snap/bin/chromium'],
  darwin: ['Google Chrome', 'Chromium', 'Google Chrome Canary', 'Microsoft Edge'].flatMap((name) =>
    ['/Applications', join(homedir(), 'Applications')].map((folder) => join(folder, `${name}.app`, 'Contents', 'MacOS', name))),
  win32: [process.env.PROGRAMFILES, process.env['PROGRAMFILES(X86)'], process.env.LOCALAPPDATA].flatMap((folder) =>
    folder === undefined ? [] : [join(folder, 'Google', 'Chrome', 'Application', 'chrome.exe'), join(folder, 'Microsoft', 'Edge', 'Application', 'msedge.exe')]),
};

function playwrightCache(): string {
  const set = process.env.PLAYWRIGHT_BROWSERS_PATH;
  if (set !== undefined && set !== '' && set !== '0') return set;
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'ms-playwright');
  if (process.platform === 'win32') return join(process.env.LOCALAPPDATA ?? homedir(), 'ms-playwright');
  return join(homedir(), '.cache', 'ms-playwright');
}

/** Chromium as playwright's own download left it, newest revision first. */
function playwrightChromiums(): string[] {
  const cache = playwrightCache();
  if (!existsSync(cache)) return [];
  const app = (name: string): string => join(`${name}.app`, 'Contents', 'MacOS', name);
  const executables = process.platform === 'darwin' ? [app('Google Chrome for Testing'), app('Chromium')] : [process.platform === 'win32' ? 'chrome.exe' : 'chrome'];
  const revision = (name: string): number => Number(name.split('-')[1]);
  return readdirSync(cache)
    .filter((name) => /^chromium-\d+$/.test(name))
    .sort((a, b) => revision(b) - revision(a))
    .flatMap((name) => readdirSync(join(cache, name), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => executables.map((executable) => join(cache, name, entry.name, executable))));
}

/** Every Chromium, Chrome or Edge here: CHROME_PATH alone if it is set, else PATH, the usual places, playwright's download. */
export function findChromiums(): string[] {
  const asked = process.env.CHROME_PATH;
  if (asked) {
    if (existsSync(asked)) return [asked];
    throw new EtudeError({
      code: 'browser.chromePathWrong', what: `CHROME_PATH is '${asked}', and no file is there.`,
      expected: 'The path of a Chrome or Chromium executable.', nextStep: 'Correct CHROME_PATH, or unset it to let Etude look for a browser.',
    });
  }
  const onPath = (process.env.PATH ?? '').split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  const places = process.platform === 'win32' ? [] : onPath;
  return [...places, ...(USUAL_PLACES[process.platform] ?? []), ...playwrightChromiums()].filter((path) => existsSync(path));
}

export const findChromium = (): string | null => findChromiums()[0] ?? null;

/** Folders that may hold what ships with a browser (SwiftShader, a Vulkan loader): beside each executable found. */
export function chromiumFolders(): string[] {
  const executables = [...findChromiums(), ...(USUAL_PLACES[process.platform] ?? []), ...playwrightChromiums()];
  return [...new Set(executables.filter((path) => existsSync(path)).map((path) => dirname(realpathSync(path))))];
}

export type BrowserDevice = 'swiftshader' | 'gpu';

/** Flags for a quiet Chromium without a screen. As root its sandbox cannot start. */
export function chromiumFlags(device: BrowserDevice): string[] {
  const root = process.platform === 'linux' && process.getuid?.() === 0;
  return [
    ...(root ? ['--no-sandbox'] : []),
    '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic',
    '--enable-unsafe-webgpu',
    // Timestamps to the nanosecond, for the bench.
    '--disable-dawn-features=timestamp_quantization',
    ...(device === 'swiftshader' ? ['--use-webgpu-adapter=swiftshader'] : process.platform === 'linux' ? ['--enable-features=Vulkan'] : []),
  ];
}

function needChromium(): string {
  const executablePath = findChromium();
  if (executablePath !== null) return executablePath;
  throw new EtudeError({
    code: 'browser.missing', what: 'No Chrome or Chromium was found on this machine.',
    expected: 'A Chromium of version 113 or newer.',
    nextStep: 'apt-get install chromium, or npx playwright-core install chromium, or set CHROME_PATH to a Chrome that is installed.',
  });
}

/** A headless Chromium with WebGPU on the device asked for. Throws EtudeError 'browser.missing' where none is installed. */
export async function launchChromium(device: BrowserDevice, moreFlags: readonly string[] = []): Promise<Browser> {
  const executablePath = needChromium();
  const { chromium } = await import('playwright-core');
  return chromium.launch({ executablePath, headless: true, args: [...chromiumFlags(device), ...moreFlags] });
}

/** The same with a profile on disk, so that IndexedDB has the disk's room instead of memory's. */
export async function launchPersistentChromium(device: BrowserDevice, profile: string): Promise<BrowserContext> {
  const executablePath = needChromium();
  const { chromium } = await import('playwright-core');
  return chromium.launchPersistentContext(profile, { executablePath, headless: true, args: chromiumFlags(device) });
}
