/** Builds the studio once for all projects of end-to-end tests. ETUDE_DIST names a folder that is built already. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Folder of the built studio. */
    dist: string;
  }
}

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

export default function setup(project: TestProject): (() => void) | undefined {
  const given = process.env.ETUDE_DIST;
  if (given) {
    project.provide('dist', resolve(given));
    return undefined;
  }
  const dist = mkdtempSync(join(tmpdir(), 'etude-dist-'));
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [vite, 'build', '--outDir', dist, '--emptyOutDir', '--logLevel', 'warn'], {
    cwd: root, encoding: 'utf8', env: { ...process.env, NODE_ENV: 'production' },
  });
  if (status !== 0) throw new Error(`vite build failed:\n${stdout}\n${stderr}`);
  project.provide('dist', dist);
  // The next project asks again.
  process.env.ETUDE_DIST = dist;
  return () => {
    delete process.env.ETUDE_DIST;
    rmSync(dist, { recursive: true, force: true });
  };
}
