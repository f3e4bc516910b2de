import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseRange, startStaticServer, type StaticServer } from '../../src/cli/staticServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'etude-server-'));
let server: StaticServer;

beforeAll(async () => {
  mkdirSync(join(folder, 'app', 'assets'), { recursive: true });
  writeFileSync(join(folder, 'app', 'index.html'), '<p>hi</p>');
  writeFileSync(join(folder, 'app', 'assets', 'a b.js'), '0123456789');
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  server = await startStaticServer({ '/deep/app/': join(folder, 'app'), '/one': join(folder, 'secret.txt') });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

/** Status of a path sent as it is: fetch would tidy '..' away. */
const rawStatus = (path: string): Promise<number> => new Promise((resolve, reject) => {
  const { port } = new URL(server.origin);
  get({ host: '127.0.0.1', port, path }, (response) => {
    response.resume();
    resolve(response.statusCode ?? 0);
  }).on('error', reject);
});

describe('the local server', () => {
  test('serves a folder below its sub-path, its index, and single files', async () => {
    const index = await fetch(`${server.origin}/deep/app/?x#y`);
    expect([index.status, index.headers.get('content-type'), await index.text()]).toEqual([200, 'text/html; charset=utf-8', '<p>hi</p>']);
    expect(await (await fetch(`${server.origin}/deep/app/assets/a%20b.js`)).text()).toBe('0123456789');
    expect(await (await fetch(`${server.origin}/one`)).text()).toBe('secret');
  });

  test('gives the byte range asked for', async () => {
    const response = await fetch(`${server.origin}/deep/app/assets/a%20b.js`, { headers: { Range: 'bytes=3-5' } });
    expect([response.status, response.headers.get('content-range'), await response.text()]).toEqual([206, 'bytes 3-5/10', '345']);
    expect((await fetch(`${server.origin}/one`, { headers: { Range: 'bytes=99-' } })).status).toBe(416);
  });

  test('never leaves what was mounted', async () => {
    for (const path of ['/deep/app/../secret.txt', '/deep/app/%2e%2e/secret.txt', '/deep/app/..%2fsecret.txt', '/deep/app//etc/passwd', '/deep/app/%00', '/', '/deep', '/one/two', '/deep/app/assets/']) {
      expect(await rawStatus(path), path).toBe(404);
    }
    expect(await rawStatus('/deep/app/%zz')).toBe(400);
    expect((await fetch(`${server.origin}/one`, { method: 'POST' })).status).toBe(405);
  });
});

test('a range header means bytes, the whole file, or nothing that can be met', () => {
  expect(parseRange(undefined, 10)).toBe('whole');
  expect(parseRange('bytes=0-', 10)).toEqual({ start: 0, end: 10 });
  expect(parseRange('bytes=2-99', 10)).toEqual({ start: 2, end: 10 });
  expect(parseRange('bytes=-4', 10)).toEqual({ start: 6, end: 10 });
  expect(parseRange('bytes=-40', 10)).toEqual({ start: 0, end: 10 });
  expect(parseRange('bytes=10-', 10)).toBeNull();
  expect(parseRange('bytes=5-4', 10)).toBeNull();
  expect(parseRange('bytes=-1', 0)).toBeNull();
  expect(parseRange('bytes=1-2,4-5', 10)).toBe('whole');
  expect(parseRange('lines=1-2', 10)).toBe('whole');
});
