/**
 * `npm run bench:pack [-- --out FILE.tar.gz] [--peers | --peers-dir DIR]`: one archive that runs the bench on a bare Linux x86-64 machine
 * with a GPU driver and nothing else: node, Dawn, the Vulkan loader and our bundle; with --peers the packages of npm that it is compared
 * with. There: tar xzf FILE && etude-bench/run
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'vite';
import { bundlePeers } from '../src/cli/benchPeers.ts';

const root = resolve(import.meta.dirname, '..');
const NAME = 'etude-bench';
const MOST_BYTES = 60e6;

const RUN = `#!/bin/sh
# Without words: every shape and every comparison that this machine allows, all of it into etude-bench.json here.
# run SHAPE... [--device gpu] [--json FILE] measures a part; run --help tells the rest.
[ $# -eq 0 ] && set -- --all --json "$PWD/etude-bench.json"
here="$(cd "$(dirname "$0")" && pwd)"
LD_LIBRARY_PATH="$here/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/node" "$here/standalone.mjs" "$@"
`;

function vulkanLoader(): string {
  const found = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib'].map((folder) => join(folder, 'libvulkan.so.1')).find((path) => existsSync(path));
  if (found === undefined) throw new Error('libvulkan.so.1 is not here: apt-get install libvulkan1');
  return realpathSync(found);
}

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { out: { type: 'string', default: `${NAME}.tar.gz` }, peers: { type: 'boolean', default: false }, 'peers-dir': { type: 'string' } } });
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.error(`The archive is made of this machine's own node and Vulkan loader, and this is ${process.platform}-${process.arch}; run it on Linux x86-64.`);
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), 'etude-pack-'));
  const pack = join(folder, NAME);
  try {
    await build({
      root,
      configFile: false,
      publicDir: false,
      logLevel: 'error',
      build: {
        ssr: true,
        target: 'node20',
        outDir: pack,
        emptyOutDir: true,
        minify: false,
        rolldownOptions: {
          input: { standalone: join(root, 'bench/standalone.ts'), ours: join(root, 'bench/ours.ts') },
          output: { entryFileNames: '[name].mjs', chunkFileNames: 'chunks/[name]-[hash].mjs' },
          external: ['webgpu', 'vite', 'playwright-core'],
        },
      },
      ssr: { noExternal: true, external: ['webgpu', 'vite', 'playwright-core'] },
    });
    copyFileSync(process.execPath, join(pack, 'node'));
    chmodSync(join(pack, 'node'), 0o755);
    // Debug symbols are a quarter of some builds of node, and nothing here needs them.
    try {
      execFileSync('strip', [join(pack, 'node')], { stdio: 'ignore' });
    } catch { /* no strip here: the archive is larger */ }
    mkdirSync(join(pack, 'lib'));
    copyFileSync(vulkanLoader(), join(pack, 'lib/libvulkan.so.1'));
    const dawn = 'node_modules/webgpu';
    mkdirSync(join(pack, dawn, 'dist'), { recursive: true });
    for (const file of ['package.json', 'index.js', 'LICENSE.md'].filter((name) => existsSync(join(root, dawn, name)))) copyFileSync(join(root, dawn, file), join(pack, dawn, file));
    cpSync(join(root, dawn, 'dist/linux-x64'), join(pack, dawn, 'dist/linux-x64'), { recursive: true });
    if (values.peers || values['peers-dir'] !== undefined) await bundlePeers(values['peers-dir'], join(pack, 'peers'));
    writeFileSync(join(pack, 'run'), RUN, { mode: 0o755 });
    const out = resolve(values.out);
    mkdirSync(dirname(out), { recursive: true });
    execFileSync('tar', ['-czf', out, '-C', folder, NAME]);
    const { size } = statSync(out);
    console.log(`${out}: ${(size / 1e6).toFixed(1)} MB`);
    if (size > MOST_BYTES) {
      console.error(`That is more than ${MOST_BYTES / 1e6} MB.`);
      return 1;
    }
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
