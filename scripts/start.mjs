// `npm start`: the studio from source, opened in the browser. CI and machines without a screen get the address only.
// Options go to Vite: npm start -- --port 8080, npm start -- --no-open
import { createServer } from 'vite';
import { parseArgs } from 'node:util';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { values } = parseArgs({
  options: { port: { type: 'string' }, host: { type: 'string' }, open: { type: 'boolean' }, 'no-open': { type: 'boolean' } },
});
const hasScreen = process.platform !== 'linux' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
const open = values.open ?? (!values['no-open'] && !process.env.CI && hasScreen);

const server = await createServer({
  root,
  configFile: resolve(root, 'vite.config.ts'),
  server: { port: values.port ? Number(values.port) : 5173, host: values.host ?? '127.0.0.1', open },
});
await server.listen();
server.printUrls();
console.log(`  Etude needs a browser with WebGPU: Chrome or Edge 113 and newer, Safari 26, Firefox 141 on Windows.${open ? '' : ' Open the address above.'}`);
