/**
 * A small web server on 127.0.0.1 for tests and the command line: folders and single files below a sub-path, with byte ranges.
 * It answers GET and HEAD only and knows nothing that was not mounted.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';

const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.jsonl': 'application/x-ndjson',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
};

export interface StaticServer {
  /** http://127.0.0.1:PORT, without a path. */
  origin: string;
  close(): Promise<void>;
}

/** Start and end (exclusive) of a single byte range, 'whole' without one, null when the range cannot be met. */
export function parseRange(header: string | undefined, size: number): { start: number; end: number } | 'whole' | null {
  if (header === undefined) return 'whole';
  const match = /^bytes=(\d*)-(\d*)$/.exec(header);
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole';
  const [, first = '', last = ''] = match;
  if (first === '') return size === 0 ? null : { start: Math.max(0, size - Number(last)), end: size };
  const start = Number(first);
  const end = last === '' ? size : Math.min(size, Number(last) + 1);
  return start < end ? { start, end } : null;
}

/** File behind a request path, or null. A path never leaves its mount. */
function resolveMount(mounts: Record<string, string>, pathname: string): string | null {
  const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);
  for (const prefix of prefixes) {
    const target = mounts[prefix]!;
    if (pathname === prefix && !prefix.endsWith('/')) return target;
    if (!prefix.endsWith('/') || !pathname.startsWith(prefix)) continue;
    const inside = normalize(decodeURIComponent(pathname.slice(prefix.length)));
    if (inside.includes('\0') || inside === '..' || inside.startsWith(`..${sep}`) || inside.startsWith(sep)) return null;
    return join(target, inside === '.' || inside === '' ? 'index.html' : inside);
  }
  return null;
}

async function answer(mounts: Record<string, string>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const refuse = (status: number): void => void response.writeHead(status, { 'Content-Type': 'text/plain' }).end(`${status}\n`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405);
  const pathname = (request.url ?? '/').split(/[?#]/, 1)[0]!;
  const path = resolveMount(mounts, pathname);
  const info = path === null ? null : await stat(path).catch(() => null);
  if (path === null || info === null || !info.isFile()) return refuse(404);
  const range = parseRange(request.headers.range, info.size);
  if (range === null) {
    response.writeHead(416, { 'Content-Range': `bytes */${info.size}` }).end();
    return;
  }
  const { start, end } = range === 'whole' ? { start: 0, end: info.size } : range;
  response.writeHead(range === 'whole' ? 200 : 206, {
    'Content-Type': CONTENT_TYPES[extname(path)] ?? 'application/octet-stream',
    'Content-Length': end - start,
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(range === 'whole' ? {} : { 'Content-Range': `bytes ${start}-${end - 1}/${info.size}` }),
  });
  if (request.method === 'HEAD' || start === end) {
    response.end();
    return;
  }
  const stream = createReadStream(path, { start, end: end - 1 });
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
}

/**
 * Serves `mounts`: a key that ends in '/' is a folder ('/app/' -> '/tmp/build'), any other key one file.
 * Port 0 takes a free one.
 */
export async function startStaticServer(mounts: Record<string, string>, port = 0): Promise<StaticServer> {
  const server = createServer((request, response) => {
    answer(mounts, request, response).catch(() => {
      if (!response.headersSent) response.writeHead(400);
      response.end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The local server has no port.');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
