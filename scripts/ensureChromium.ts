/** Gets a Chromium for the tests: one that is there, else Debian's or Ubuntu's package, else playwright's download. Says what it does. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { findChromiums } from '../src/cli/chromium.ts';

function run(command: string, args: string[]): boolean {
  console.log(`$ ${command} ${args.join(' ')}`);
  return spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }).status === 0;
}

const quietly = (command: string, args: string[]): boolean => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** ['apt-get'] as root, ['sudo', '-n', 'apt-get'] where sudo asks no password, null where neither works. */
function aptGet(): string[] | null {
  if (process.platform !== 'linux' || !quietly('apt-get', ['--version'])) return null;
  if (process.getuid?.() === 0) return ['apt-get'];
  return quietly('sudo', ['-n', 'true']) ? ['sudo', '-n', 'apt-get'] : null;
}

function installWithApt(): void {
  const apt = aptGet();
  if (apt === null) {
    console.log('apt-get is not usable here (no root and no sudo without a password).');
    return;
  }
  const [command = '', ...before] = apt;
  run(command, [...before, 'update']);
  run(command, [...before, 'install', '-y', '--no-install-recommends', 'chromium', 'libvulkan1']);
}

/** With the system libraries it needs where apt-get can bring them; alone otherwise. */
function downloadWithPlaywright(): void {
  const cli = join(dirname(createRequire(import.meta.url).resolve('playwright-core/package.json')), 'cli.js');
  const withDependencies = aptGet() !== null && run(process.execPath, [cli, 'install', '--no-shell', '--with-deps', 'chromium']);
  if (!withDependencies) run(process.execPath, [cli, 'install', '--no-shell', 'chromium']);
}

/** A browser can be present and still not start (libraries missing, a snap in a container). */
function starts(path: string): boolean {
  if (process.platform === 'win32') return true;
  const { status, stdout } = spawnSync(path, ['--version', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])], { encoding: 'utf8', timeout: 60_000 });
  if (status === 0) console.log(`Found ${stdout.trim()}`);
  else console.log(`${path} is there but does not start (exit ${status}).`);
  return status === 0;
}

/** Path of a Chromium that starts, or null after everything was tried. */
export function ensureChromium(): string | null {
  const usable = (): string | null => findChromiums().find(starts) ?? null;
  const present = usable();
  if (present !== null) return present;
  console.log('No Chrome or Chromium here. Installing one.');
  installWithApt();
  const installed = usable();
  if (installed !== null) return installed;
  downloadWithPlaywright();
  return usable();
}
