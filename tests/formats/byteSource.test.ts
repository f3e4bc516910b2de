import { createServer, type Server } from 'node:http';
import { gzipSync } from 'node:zlib';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sourceFromPath, sourcesFromFolder } from '../../src/cli/fsSource.ts';
import { readJson, readText, sourceFromBlob, sourceFromBytes, sourceFromUrl } from '../../src/formats/byteSource.ts';

const BYTES = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31) % 256);
let server: Server;
let base: string;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etude-source-'));
  await writeFile(join(folder, 'a.bin'), BYTES);
  server = createServer((request, response) => {
    if (request.url === '/plain.bin') response.writeHead(200, { 'content-length': BYTES.length }).end(BYTES);
    else if (request.url === '/zipped.bin') {
      const body = gzipSync(BYTES);
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length }).end(body);
    } else if (request.url === '/cut.bin') {
      response.writeHead(200, { 'content-length': BYTES.length });
      response.write(BYTES.subarray(0, 5000), () => response.destroy());
    } else if (request.url === '/page.bin') response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
    else response.writeHead(404).end();
  });
  // A connection kept open between two tests must not close just as the next one uses it, however slow the machine is.
  server.keepAliveTimeout = 300_000;
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === 'object' ? address!.port : 0}`;
});

afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await rm(folder, { recursive: true });
});

describe('a byte source', () => {
  const makers: Record<string, () => Promise<import('../../src/formats/byteSource.ts').ByteSource>> = {
    'from a dropped file': async () => sourceFromBlob(new File([BYTES], 'a.bin')),
    'from bytes': async () => sourceFromBytes(BYTES, 'a.bin'),
    'from the site': () => sourceFromUrl(`${base}/plain.bin`, { name: 'a.bin' }),
    'from the site, compressed on the way': () => sourceFromUrl(`${base}/zipped.bin`, { name: 'a.bin' }),
    'from a disk': () => sourceFromPath(join(folder, 'a.bin')),
  };
  for (const [name, make] of Object.entries(makers)) {
    it(`${name} gives the slices asked for, in memory of their own`, async () => {
      const source = await make();
      expect(source).toMatchObject({ name: 'a.bin', size: BYTES.length });
      for (const [start, end] of [[0, 0], [0, 5], [777, 70_001], [99_999, 100_000], [100_000, 100_000]] as const) {
        const slice = await source.read(start, end);
        expect(slice).toEqual(BYTES.slice(start, end));
        expect(slice.buffer.byteLength).toBe(end - start);
      }
    });

    it(`${name} refuses a range outside of the file`, async () => {
      const source = await make();
      for (const [start, end] of [[0, 100_001], [-1, 5], [5, 4], [0.5, 2], [0, NaN]] as const) {
        await expect(source.read(start, end)).rejects.toMatchObject({ userMessage: { code: 'file.range' } });
      }
    });
  }

  it('tells how far a download is, with the total where the server says it', async () => {
    const seen: [number, number | null][] = [];
    await sourceFromUrl(`${base}/plain.bin`, { onProgress: (done, total) => seen.push([done, total]) });
    expect(seen.at(-1)).toEqual([BYTES.length, BYTES.length]);
    const zipped: [number, number | null][] = [];
    await sourceFromUrl(`${base}/zipped.bin`, { onProgress: (done, total) => zipped.push([done, total]) });
    expect(zipped.at(-1)).toEqual([BYTES.length, null]);
  });

  it.each([
    ['missing.bin', '404'],
    ['cut.bin', 'could not be loaded'],
    ['page.bin', 'a web page in its place'],
  ])('%s on the site gives an error in words', async (path, words) => {
    const error = await sourceFromUrl(`${base}/${path}`).then(() => null, (e: unknown) => e);
    expect(error).toMatchObject({ userMessage: { code: 'file.fetch' } });
    expect(String(error)).toContain(words);
    expect(String(error)).toContain(path);
  });

  it('a cancelled download ends as a cancellation, not as a fault', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(sourceFromUrl(`${base}/plain.bin`, { signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('a file deleted after it was opened is named', async () => {
    await writeFile(join(folder, 'gone.bin'), 'abc');
    const source = (await sourcesFromFolder(folder)).get('gone.bin')!;
    await rm(join(folder, 'gone.bin'));
    await expect(source.read(0, 3)).rejects.toMatchObject({ userMessage: { code: 'file.unreadable' } });
  });
});

describe('text and JSON', () => {
  const source = (text: string | Uint8Array) => sourceFromBytes(typeof text === 'string' ? new TextEncoder().encode(text) : text, 'config.json');

  it('reads JSON', async () => {
    expect(await readJson(source('{"a": [1, "é"]}'))).toEqual({ a: [1, 'é'] });
  });

  it('broken UTF-8, broken JSON and an empty file are refused by name', async () => {
    await expect(readText(source(Uint8Array.of(0x22, 0xff, 0x22)))).rejects.toMatchObject({ userMessage: { code: 'file.notUtf8' } });
    await expect(readJson(source('{"a":'))).rejects.toMatchObject({ userMessage: { code: 'file.notJson', likelyCause: expect.stringContaining('cut off') } });
    await expect(readJson(source(''))).rejects.toMatchObject({ userMessage: { code: 'file.notJson', likelyCause: 'The file is empty.' } });
  });
});
