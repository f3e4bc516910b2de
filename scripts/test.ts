/**
 * `npm test`: gets the browser it lacks, runs every test on SwiftShader, runs the numbers again on lavapipe where
 * Mesa is installed, and ends with 'N passed, N failed'. Words after `npm test --` go to vitest (files, -t NAME).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureChromium } from './ensureChromium.ts';
import { chromiumFolders } from '../src/cli/chromium.ts';
import { findLavapipeIcd, findSwiftShaderIcd } from '../src/cli/nodeGpu.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
/** What is run a second time on lavapipe: its subgroups are 8 wide and it has f16, which SwiftShader lacks. */
const ON_LAVAPIPE = ['tests/goldens', 'tests/kernels', 'f16'];

interface Totals { passed: number; failed: number; skipped: number }

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
function runVitest(title: string, args: string[], env: Record<string, string>): Totals {
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
  console.log(`== ${title}: ${line(totals)}, ${Math.round((Date.now() - started) / 1000)} s`);
  return totals;
}

function countReport(report: unknown): Totals {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = report as Record<string, number | undefined>;
  if (numPassedTests === undefined || numFailedTests === undefined) throw new Error('not a vitest report');
  return { passed: numPassedTests, failed: numFailedTests, skipped: (numPendingTests ?? 0) + (numTodoTests ?? 0) };
}

const line = ({ passed, failed, skipped }: Totals): string => `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;

export function main(args: string[]): number {
  const started = Date.now();
  const chromium = ensureChromium();
  if (chromium === null) {
    console.error('npm test needs a Chromium and could not get one; the lines above say what was tried.');
    console.log('0 passed, 1 failed');
    return 1;
  }
  const env: Record<string, string> = { CHROME_PATH: chromium, ...vulkanLoaderEnv() };
  const swiftshader = findSwiftShaderIcd();
  const lavapipe = findLavapipeIcd();
  const device = process.env.ETUDE_TEST_DEVICE ?? (swiftshader !== null ? 'swiftshader' : lavapipe !== null ? 'lavapipe' : 'gpu');
  console.log(`Browser: ${chromium}`);
  console.log(`SwiftShader: ${swiftshader ?? 'not found'}`);
  console.log(`lavapipe: ${lavapipe ?? 'not installed'}`);
  if (env.LD_LIBRARY_PATH !== undefined) console.log(`Vulkan loader: the browser's own (${env.LD_LIBRARY_PATH})`);

  const runs = [runVitest(`All tests, shaders on ${device}`, args, { ...env, ETUDE_TEST_DEVICE: device })];
  // Words for vitest mean that a person is after some tests, not after the whole proof.
  const whole = args.length === 0;
  if (whole && lavapipe !== null && device !== 'lavapipe') {
    runs.push(runVitest('Numbers and f16 again, shaders on lavapipe', ['--project', 'gpu', '--passWithNoTests', ...ON_LAVAPIPE], { ...env, ETUDE_TEST_DEVICE: 'lavapipe' }));
  } else if (whole && device !== 'lavapipe') {
    console.log('\n!! NOT RUN: the tests on lavapipe (f16, subgroups of 8). Mesa 25 or newer is not installed:');
    console.log('!! apt-get install -t bookworm-backports mesa-vulkan-drivers libvulkan1');
  }

  const sum = (pick: (totals: Totals) => number): number => runs.reduce((n, totals) => n + pick(totals), 0);
  const totals = { passed: sum((t) => t.passed), failed: sum((t) => t.failed), skipped: sum((t) => t.skipped) };
  if (totals.passed + totals.failed === 0) console.error('No test ran.');
  console.log(`\n${Math.round((Date.now() - started) / 1000)} s in all`);
  console.log(line(totals));
  return totals.failed > 0 || totals.passed === 0 ? 1 : 0;
}
