// Runs a TypeScript entry under Node through Vite, so that `?raw` shader imports and JSON work as they do in the page:
//   node scripts/run-ts.mjs src/cli/finetune.ts ARGS...
// An entry exports `main(args: string[]): Promise<number | void>`; its number is the exit code. An entry without `main`
// does its work while it loads. No port is opened, no file is watched.
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer, createServerModuleRunner } from 'vite';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) {
  console.error('Usage: node scripts/run-ts.mjs ENTRY.ts ARGS...');
  process.exit(2);
}
const file = resolve(entry);
process.argv = [process.argv[0], file, ...args];

const server = await createServer({
  root,
  configFile: false,
  envDir: false,
  logLevel: 'warn',
  appType: 'custom',
  clearScreen: false,
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true, include: [] },
});
const runner = createServerModuleRunner(server.environments.ssr, { hmr: false });

const flushed = (stream) => new Promise((done) => void stream.write('', done));
async function exit(code) {
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(code);
}

try {
  const module = await runner.import(file);
  if (typeof module.main === 'function') await exit(Number((await module.main(args)) ?? process.exitCode ?? 0));
  await server.close();
} catch (error) {
  if (error?.userMessage) {
    const { what, expected, likelyCause, nextStep } = error.userMessage;
    console.error([what, expected && `Expected: ${expected}`, likelyCause && `Likely cause: ${likelyCause}`, nextStep && `Next: ${nextStep}`].filter(Boolean).join('\n'));
  } else console.error(error);
  await exit(1);
}
