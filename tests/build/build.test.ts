import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startStaticServer } from '../../src/cli/staticServer.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const out = mkdtempSync(join(tmpdir(), 'etude-build-'));
const read = (name: string): string => readFileSync(join(out, name), 'utf8');

/** Files a page loads before anyone clicks: its tags, what those import statically, its workers and stylesheets with their fonts. */
function firstLoad(page: string): string[] {
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name) || !existsSync(join(out, name))) return;
    seen.add(name);
    const beside = (link: string): string => join(dirname(name), link).replaceAll('\\', '/');
    if (name.endsWith('.html')) {
      for (const [, link] of read(name).matchAll(/(?:src|href)="([^"]+)"/g)) visit(beside(link!));
    } else if (name.endsWith('.js')) {
      const text = read(name);
      for (const [, link] of text.matchAll(/(?:from|import)\s*["'](\.\.?\/[^"']+\.js)["']/g)) visit(beside(link!));
      for (const [, link] of text.matchAll(/new URL\([^)]*?["'`]([^"'`]+\.js)["'`]/g)) visit(join('assets', link!.replace(/^.*\//, '')));
    } else if (name.endsWith('.css')) {
      for (const [, link] of read(name).matchAll(/url\(["']?([^"')]+)["']?\)/g)) visit(beside(link!));
    }
  };
  visit(page);
  return [...seen];
}

function policyOf(page: string): Record<string, string[]> {
  const tag = /<meta http-equiv="Content-Security-Policy" content="([^"]+)">/.exec(read(page));
  expect(tag, `${page} carries a policy`).not.toBeNull();
  const text = tag![1]!.replaceAll('&#39;', "'");
  return Object.fromEntries(text.split(';').map((part) => part.trim().split(/\s+/)).map(([name, ...values]) => [name!, values]));
}

beforeAll(() => {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status, stderr } = spawnSync(npm, ['run', 'build', '--', '--outDir', out, '--emptyOutDir'], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm run build failed:\n${stderr}`);
}, 180_000);

afterAll(() => rmSync(out, { recursive: true, force: true }));

describe.each(['index.html', 'headless.html'])('the policy of %s', (page) => {
  test('forbids everything it does not name, inline code and eval', () => {
    const policy = policyOf(page);
    expect(policy['default-src']).toEqual(["'none'"]);
    expect(policy['script-src']).toEqual(["'self'"]);
    expect(policy['worker-src']).toEqual(["'self'"]);
    expect(policy['base-uri']).toEqual(["'none'"]);
    expect(policy['form-action']).toEqual(["'none'"]);
    expect(policy['font-src']).toEqual(["'self'"]);
    expect(policy['img-src']).toEqual(["'self'", 'data:', 'blob:']);
    expect(Object.values(policy).flat().filter((value) => /unsafe|^\*$|^https?:$|strict-dynamic/.test(value))).toEqual([]);
  });

  test('lets the page talk to its own origin and the model hub only', () => {
    expect(policyOf(page)['connect-src']).toEqual(["'self'", 'https://huggingface.co', 'https://*.huggingface.co', 'https://*.hf.co']);
  });

  test('takes style elements by a nonce that the page holds, and no other inline style', () => {
    const [own, nonce, ...rest] = policyOf(page)['style-src']!;
    expect([own, rest]).toEqual(["'self'", []]);
    const held = /<meta property="csp-nonce" nonce="([^"]+)">/.exec(read(page));
    expect(nonce).toBe(`'nonce-${held?.[1]}'`);
    expect(read(page)).not.toMatch(/<style|\sstyle="|<script(?![^>]*\ssrc=)/);
  });

  test('stands before the first script and stylesheet', () => {
    const html = read(page);
    const [policy, first] = [html.indexOf('Content-Security-Policy'), html.search(/<(script|link)\b/)];
    expect(policy).toBeGreaterThan(0);
    expect(policy).toBeLessThan(first);
  });
});

describe('the built folder', () => {
  test('loads in under 1 MB compressed, without model and tokenizer files', () => {
    const files = firstLoad('index.html');
    expect(files.some((name) => name.endsWith('.js'))).toBe(true);
    expect(files.some((name) => name.endsWith('.css'))).toBe(true);
    const sizes = files.map((name) => ({ name, bytes: name.endsWith('.woff2') ? readFileSync(join(out, name)).length : gzipSync(read(name), { level: 9 }).length }));
    const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    console.log(`First load: ${(total / 1000).toFixed(0)} kB gzip in ${files.length} files`);
    expect(total, JSON.stringify(sizes)).toBeLessThan(1_000_000);
  });

  test('holds no ONNX runtime and no WebAssembly', () => {
    const names = readdirSync(out, { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => /ort-|onnx|\.wasm$/i.test(name))).toEqual([]);
    const scripts = names.filter((name) => name.endsWith('.js'));
    expect(scripts.filter((name) => /onnxruntime|ort-wasm/.test(read(name)))).toEqual([]);
  });

  test('serves every file of its first load from a sub-path', async () => {
    const server = await startStaticServer({ '/some/where/': out });
    try {
      for (const page of ['index.html', 'headless.html']) {
        const files = firstLoad(page);
        expect(files.length).toBeGreaterThan(1);
        for (const name of files) {
          const response = await fetch(`${server.origin}/some/where/${name}`);
          expect(response.status, name).toBe(200);
          await response.arrayBuffer();
        }
        expect(read(page)).not.toMatch(/(?:src|href)="\//);
      }
      expect((await fetch(`${server.origin}/assets/`)).status).toBe(404);
    } finally {
      await server.close();
    }
  });

  test('brings the built-in model and dataset along, byte for byte', () => {
    for (const name of ['builtin/model/model.safetensors', 'builtin/model/tokenizer.json', 'builtin/data/train.jsonl']) {
      expect(readFileSync(join(out, name)).equals(readFileSync(join(root, 'public', name))), name).toBe(true);
    }
  });
});
