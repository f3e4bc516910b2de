/**
 * Puts the list of the build's files into its service worker, as a Vite plugin: those of the bundle and those of public/,
 * each with a checksum. The page of the command line and the service worker itself are left out.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

const PLACE = '__ETUDE_FILES__';
export const SERVICE_WORKER = 'sw.js';

const checksum = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

function publicFiles(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(folder, path)).isFile())
    .map((path) => [path.replaceAll('\\', '/'), checksum(readFileSync(join(folder, path)))]);
}

export function offlinePlugin(): Plugin {
  let publicDir = '';
  return {
    name: 'etude:offline',
    apply: 'build',
    configResolved(config) {
      publicDir = config.publicDir;
    },
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        const worker = bundle[SERVICE_WORKER];
        if (worker?.type !== 'chunk') return;
        const kept = Object.values(bundle).filter(({ fileName }) => !/^(headless\.html|sw\.js|assets\/headless-.*)$/.test(fileName));
        const built = kept.map((file): [string, string] => [file.fileName, checksum(file.type === 'chunk' ? file.code : file.source)]);
        const list = JSON.stringify(Object.fromEntries([...built, ...publicFiles(publicDir)].sort(([a], [b]) => (a < b ? -1 : 1))));
        // Inside a text of any kind of quotes: file names of a build hold none of them.
        const escaped = list.replaceAll('\\', '\\\\');
        if (!worker.code.includes(PLACE)) this.error(`${SERVICE_WORKER} has no place for its list of files`);
        if (/['`$]/.test(list)) this.error('a file name of the build holds a quote');
        worker.code = worker.code.replace(new RegExp(`(["'\`])${PLACE}\\1`), () => `'${escaped}'`);
      },
    },
  };
}
