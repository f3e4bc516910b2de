// Checks the three TypeScript projects (core in a worker, page, Node) at the same time and prints what fails in each.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');
if (!existsSync(tsc)) throw new Error(`${tsc} is missing; run npm ci.`);

const check = (project) => new Promise((done) => {
  const child = spawn(process.execPath, [tsc, '-p', join(root, project), '--noEmit'], { cwd: root });
  let output = '';
  child.stdout.on('data', (data) => { output += data; });
  child.stderr.on('data', (data) => { output += data; });
  child.on('close', (code) => done({ project, code, output }));
});

let failed = false;
for (const { project, code, output } of await Promise.all(['tsconfig.core.json', 'tsconfig.page.json', 'tsconfig.node.json'].map(check))) {
  console.log(`${project}: ${code === 0 ? 'clean' : 'errors'}`);
  if (code !== 0) {
    failed = true;
    console.log(output.trimEnd());
  }
}
process.exitCode = failed ? 1 : 0;
