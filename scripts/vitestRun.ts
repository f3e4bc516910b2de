/** Running vitest and counting what it ran; shared by `npm test` and `npm run proof`. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromiumFolders } from '../src/cli/chromium.ts';
import { findLavapipeIcd, findSwiftShaderIcd } from '../src/cli/nodeGpu.ts';
import { ensureChromium } from './ensureChromium.ts';

const root = resolve(import.meta.dirname, '..');

export interface Totals { passed: number; failed: number; skipped: number }

/** Vulkan's loader: the system's, or the copy beside Chromium when the system has none. */
function vulkanLoaderEnv(): Record<string, string> {
  if (process.platform !== 'linux') return {};
  const known = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? '';
  if (known.includes('libvulkan.so.1')) return {};
  const folder = chromiumFolders().find((path) => existsSync(join(path, 'libvulkan.so.1')));
  if (folder === undefined) return {};
  return { LD_LIBRARY_PATH: [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':') };
}

/** Runs vitest and counts what it ran; a run that ends without its report counts as one failure. */
export function runVitest(title: string, args: string[], env: Record<string, string>): Totals {
  const folder = mkdtempSync(join(tmpdir(), 'etude-test-'));
  const report = join(folder, 'report.json');
  console.log(`\n== ${title}`);
  const started = Date.now();
  const { status, signal } = spawnSync(process.execPath, [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args,
  ], { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  let totals: Totals;
  try {
    const json: unknown = JSON.parse(readFileSync(report, 'utf8'));
    totals = countReport(json);
  } catch {
    console.error(`vitest left no report (exit ${status ?? signal}).`);
    totals = { passed: 0, failed: 1, skipped: 0 };
  }
  rmSync(folder, { recursive: true, force: true });
  // A file that does not load, or an error outside every test, fails the run without a failed test.
  if (status !== 0 && totals.failed === 0) totals.failed = 1;
  console.log(`== ${title}: ${closingLine(totals)}, ${Math.round((Date.now() - started) / 1000)} s`);
  return totals;
}

function countReport(report: unknown): Totals {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = report as Record<string, number | undefined>;
  if (numPassedTests === undefined || numFailedTests === undefined) throw new Error('not a vitest report');
  return { passed: numPassedTests, failed: numFailedTests, skipped: (numPendingTests ?? 0) + (numTodoTests ?? 0) };
}

export const closingLine = ({ passed, failed, skipped }: Totals): string => `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;

export interface TestMachine {
  env: Record<string, string>;
  device: string;
  lavapipe: string | null;
}

/** Finds or gets the browser and the software adapters, and prints them; null where no browser could be had. */
export function prepareMachine(): TestMachine | null {
  const chromium = ensureChromium();
  if (chromium === null) return null;
  const env: Record<string, string> = { CHROME_PATH: chromium, ...vulkanLoaderEnv() };
  const swiftshader = findSwiftShaderIcd();
  const lavapipe = findLavapipeIcd();
  const device = process.env.ETUDE_TEST_DEVICE ?? (swiftshader !== null ? 'swiftshader' : lavapipe !== null ? 'lavapipe' : 'gpu');
  console.log(`Browser: ${chromium}`);
  console.log(`SwiftShader: ${swiftshader ?? 'not found'}`);
  console.log(`lavapipe: ${lavapipe ?? 'not installed'}`);
  if (env.LD_LIBRARY_PATH !== undefined) console.log(`Vulkan loader: the browser's own (${env.LD_LIBRARY_PATH})`);
  return { env, device, lavapipe };
}

/** Prints the sum as the last line; the exit code is 1 on a failure or when nothing passed. */
export function closeRun(runs: Totals[], started: number): number {
  const sum = (pick: (totals: Totals) => number): number => runs.reduce((n, totals) => n + pick(totals), 0);
  const totals = { passed: sum((t) => t.passed), failed: sum((t) => t.failed), skipped: sum((t) => t.skipped) };
  if (totals.passed + totals.failed === 0) console.error('No test ran.');
  console.log(`\n${Math.round((Date.now() - started) / 1000)} s in all`);
  console.log(closingLine(totals));
  return totals.failed > 0 || totals.passed === 0 ? 1 : 0;
}
