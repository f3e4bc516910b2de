import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { StorageFull, type CacheDisk, type CacheWriter } from '../../src/hub/cacheDisk.ts';
import { bench, closeAll, expectFiles, MAIN, modelFiles, never, OLDER, openModel, refusal, repo, SHARD, TOKEN } from './support.ts';

afterEach(closeAll);

const TOTAL = [...modelFiles()].filter(([path]) => !path.includes('/') && !['.gitattributes', 'README.md'].includes(path)).reduce((n, [, bytes]) => n + bytes.length, 0);

/** Aborts a download once so many bytes are there. */
async function stopAt(models: ReturnType<Awaited<ReturnType<typeof bench>>['visit']>, bytes: number): Promise<unknown> {
  const abort = new AbortController();
  return models.open('org/model', undefined, { signal: abort.signal, onProgress: (done) => { if (done >= bytes) abort.abort(new Error('given up')); } }).catch((e: unknown) => e);
}

describe('a model of the hub', () => {
  it('arrives byte for byte at the commit its branch names, without the files no model folder needs', async () => {
    const { hub, visit } = await bench();
    const folder = await openModel(visit());
    expect(folder).toMatchObject({ repo: 'org/model', commit: MAIN });
    await expectFiles(folder, modelFiles());
    expect(hub.requests.filter((r) => /gitattributes|README|onnx/.test(r.path))).toEqual([]);
    expect(hub.requests.filter((r) => r.path.includes('/resolve/')).every((r) => r.path.includes(`/resolve/${MAIN}/`))).toBe(true);
  });

  it('is fetched in ranges, several at a time', async () => {
    const { hub, visit } = await bench();
    await openModel(visit());
    const ranges = hub.requests.filter((r) => hub.isCdn(r.host)).map((r) => r.range);
    expect(ranges).toHaveLength(3 * Math.ceil(SHARD / 200_000));
    expect(new Set(ranges).size).toBe(Math.ceil(SHARD / 200_000));
  });

  it('that is cached opens again without any request, also when the hub is gone', async () => {
    const { hub, visit } = await bench();
    await openModel(visit());
    hub.requests.length = 0;
    await openModel(visit());
    expect(hub.requests).toEqual([]);
    await hub.close();
    await expectFiles(await openModel(visit()), modelFiles());
    await expectFiles(await openModel(visit(), 'org/model', MAIN), modelFiles());
  });

  it('at a tag, a branch or a commit is another model beside it', async () => {
    const { visit } = await bench();
    await expectFiles(await openModel(visit(), 'org/model@old'), modelFiles(2));
    await expectFiles(await openModel(visit(), 'org/model', MAIN), modelFiles(1));
    expect(Object.fromEntries((await visit().cache.list()).map((s) => [s.commit, [s.revisions, s.complete]]))).toEqual({ [MAIN]: [[], true], [OLDER]: [['old'], true] });
  });

  it('tells its bytes as they come, and all of them at the end', async () => {
    const { visit } = await bench();
    const told: [number, number][] = [];
    await visit().open('org/model', undefined, { signal: never, onProgress: (done, total) => void told.push([done, total]) });
    expect(told[0]).toEqual([0, TOTAL]);
    expect(told.at(-1)).toEqual([TOTAL, TOTAL]);
    expect(told.every(([done], i) => i === 0 || done >= told[i - 1]![0])).toBe(true);
  });
});

describe('a download that was stopped', () => {
  it('goes on where it was: only what had not arrived is fetched', async () => {
    const { hub, visit } = await bench();
    hub.bytesPerSecond = 4e6;
    expect(await stopAt(visit(), TOTAL / 2)).toMatchObject({ message: 'given up' });
    const [state] = await visit().cache.list();
    expect(state).toMatchObject({ complete: false, totalBytes: TOTAL });
    expect(state!.bytes).toBeGreaterThan(TOTAL / 3);
    hub.requests.length = 0;
    hub.bytesPerSecond = Infinity;
    await expectFiles(await openModel(visit()), modelFiles());
    expect(hub.largeBytes).toBe(TOTAL - state!.bytes);
    // The list of files is on disk too.
    expect(hub.requests.filter((r) => r.path.startsWith('/api/models'))).toEqual([]);
  });

  it('never mixes commits: when its branch moves on in between, the commit it began with is finished', async () => {
    const { hub, visit } = await bench();
    hub.bytesPerSecond = 4e6;
    await stopAt(visit(), TOTAL / 2);
    hub.options.repos['org/model']!.refs['main'] = OLDER;
    hub.bytesPerSecond = Infinity;
    await expectFiles(await openModel(visit()), modelFiles(1));
    expect((await visit().look('org/model', undefined, never)).commit).toBe(OLDER);
    await expectFiles(await openModel(visit(), 'org/model', OLDER), modelFiles(2));
  });

  it('survives a journal torn in the middle of a line and data cut short', async () => {
    const { hub, visit, folder } = await bench();
    hub.bytesPerSecond = 4e6;
    await stopAt(visit(), TOTAL / 2);
    hub.bytesPerSecond = Infinity;
    const inside = join(folder, 'models', `org--model--${MAIN}`);
    for (const name of readdirSync(inside).filter((n) => n.endsWith('.ranges'))) {
      const journal = readFileSync(join(inside, name), 'utf8');
      writeFileSync(join(inside, name), `${journal.slice(0, -3)}\n999999 3\nnot a line\n40000`);
    }
    await expectFiles(await openModel(visit()), modelFiles());
  });

  it('notices bytes that were changed on disk meanwhile, and only that file is fetched again', async () => {
    const { hub, visit, folder } = await bench();
    hub.faults.push({ match: (r) => r.path.includes('00003-of'), times: 99, status: 503 });
    await refusal(openModel(visit()));
    hub.faults.length = 0;
    const [state] = await visit().cache.list();
    const shard = 'model-00002-of-00003.safetensors';
    expect(state!.cached.get(shard)).toBe(SHARD);
    // The journal of a file that passed its check is gone; this one is put back to before the check.
    const inside = join(folder, 'models', `org--model--${MAIN}`);
    const bytes = readFileSync(join(inside, shard));
    bytes[5000]! ^= 1;
    writeFileSync(join(inside, shard), bytes);
    await visit().cache.disk.remove(`org--model--${MAIN}`, `${shard}.checked`);
    writeFileSync(join(inside, `${shard}.ranges`), `0 ${SHARD}\n`);
    expect((await refusal(openModel(visit()))).code).toBe('hub.checksum');
    hub.requests.length = 0;
    await expectFiles(await openModel(visit()), modelFiles());
    expect(hub.requests.filter((r) => r.path.includes('00001-of'))).toEqual([]);
  });
});

describe('trouble on the way', () => {
  it.each([
    ['too many requests, with Retry-After', { status: 429, headers: { 'Retry-After': '0' } }],
    ['too many requests, with RateLimit', { status: 429, headers: { RateLimit: '"resolvers";r=0;t=0' } }],
    ['an error of the server', { status: 503 }],
    ['a connection cut in the middle', { cutAfter: 70_000 }],
    ['a connection that falls silent', { hangAfter: 70_000 }],
  ])('that passes is waited for: %s', async (_name, fault) => {
    const { hub, visit } = await bench();
    hub.faults.push({ match: (r) => hub.isCdn(r.host) || r.path.includes('/resolve/'), times: 3, ...fault });
    await expectFiles(await openModel(visit()), modelFiles());
    expect(hub.faults[0]!.times).toBe(0);
  });

  it('does not throw away what a cut connection brought', async () => {
    const { hub, visit } = await bench();
    hub.faults.push({ match: (r) => hub.isCdn(r.host), times: 5, cutAfter: 131_072 });
    await openModel(visit());
    // Each cut range went on from its byte, so that nothing but what the closing socket swallowed came twice.
    const again = hub.requests.filter((r) => hub.isCdn(r.host) && Number(r.range?.match(/=(\d+)-/)?.[1]) % 200_000 !== 0);
    expect(again.length).toBeGreaterThan(0);
  });

  it('that does not pass ends in words, and what arrived is kept', async () => {
    const { hub, visit } = await bench();
    hub.faults.push({ match: (r) => r.path.includes('00003-of'), times: 99, status: 429, headers: { 'Retry-After': '0' } });
    expect((await refusal(openModel(visit()))).code).toBe('hub.busy');
    expect((await visit().cache.list())[0]!.bytes).toBeGreaterThan(SHARD);
    hub.faults.length = 0;
    hub.requests.length = 0;
    await expectFiles(await openModel(visit()), modelFiles());
    expect(hub.largeBytes).toBeLessThan(TOTAL - SHARD);
  });

  it('with the network says which host does not answer', async () => {
    const { hub, visit } = await bench();
    await hub.close();
    const { userMessage } = await refusal(openModel(visit()));
    expect(userMessage).toMatchObject({ code: 'hub.unreachable', what: expect.stringContaining(`localhost:${hub.port}`) });
  });

  it('with bytes that are not the listed ones deletes the file and says so; the next try fetches it alone', async () => {
    const { hub, visit } = await bench();
    hub.faults.push({ match: (r) => hub.isCdn(r.host) && r.range?.startsWith('bytes=400000-') === true, times: 1, corrupt: true });
    const { userMessage } = await refusal(openModel(visit()));
    expect(userMessage).toMatchObject({ code: 'hub.checksum', what: expect.stringMatching(/model-0000\d-of-00003/) });
    hub.requests.length = 0;
    await expectFiles(await openModel(visit()), modelFiles());
  });

  it('with a listing that lies about a checksum is a mismatch, for small files too', async () => {
    const { hub, visit } = await bench({ repos: { 'org/model': repo({ lies: { 'model-00001-of-00003.safetensors': { sha256: '0'.repeat(64) } } }) } });
    expect((await refusal(openModel(visit()))).code).toBe('hub.checksum');
    const small = await bench();
    small.hub.faults.push({ match: (r) => r.path.includes('resolve-cache') && r.path.includes('tokenizer.json'), times: 1, corrupt: true });
    expect((await refusal(openModel(small.visit()))).userMessage.what).toContain('tokenizer.json');
    expect(hub.requests.length).toBeGreaterThan(0);
  });

  it('an answer with the whole file where a range was asked for is refused', async () => {
    const { hub, visit } = await bench();
    hub.faults.push({ match: (r) => hub.isCdn(r.host), times: 99, status: 200 });
    expect((await refusal(openModel(visit()))).code).toBe('hub.answer');
  });
});

describe('a full disk', () => {
  const withRoom = (disk: CacheDisk, more: Partial<CacheDisk>): CacheDisk => new Proxy(disk, {
    get: (target, key) => {
      if (Object.hasOwn(more, key)) return more[key as keyof CacheDisk];
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

  it('is told before the download begins', async () => {
    const { hub, visit, disk } = await bench();
    const { userMessage } = await refusal(openModel(visit({ disk: withRoom(disk, { room: async () => 1_000_000 }) })));
    expect(userMessage).toMatchObject({ code: 'storage.full', what: expect.stringContaining('1.0 MB') });
    expect(hub.largeBytes).toBe(0);
  });

  it('that fills up in the middle loses nothing: told, and later the rest is fetched', async () => {
    const { hub, visit, disk } = await bench();
    let left = 1_500_000;
    const filling = withRoom(disk, {
      open: async (folder, name): Promise<CacheWriter> => {
        const writer = await disk.open(folder, name);
        return new Proxy(writer, {
          get: (target, key) => {
            const value: unknown = Reflect.get(target, key);
            if (key !== 'write') return typeof value === 'function' ? value.bind(target) : value;
            return (bytes: Uint8Array, at: number) => {
              left -= bytes.length;
              if (left < 0) throw new StorageFull(new Error('ENOSPC'));
              return target.write(bytes, at);
            };
          },
        });
      },
    });
    expect((await refusal(openModel(visit({ disk: filling })))).code).toBe('storage.full');
    const kept = (await visit().cache.list())[0]!.bytes;
    expect(kept).toBeGreaterThan(1_000_000);
    hub.requests.length = 0;
    await expectFiles(await openModel(visit()), modelFiles());
    expect(hub.largeBytes).toBe(TOTAL - kept);
  });
});

describe('two at once', () => {
  it('fetch a model once: the second waits, says so, and finds it', async () => {
    const { hub, visit } = await bench();
    hub.bytesPerSecond = 8e6;
    const waits: string[] = [];
    const first = openModel(visit());
    await expect.poll(() => hub.largeBytes).toBeGreaterThan(0);
    const second = visit().open('org/model', undefined, { signal: never, onWait: (reason) => void waits.push(reason) });
    await expectFiles(await first, modelFiles());
    await expectFiles(await second, modelFiles());
    expect(waits).toEqual(['other']);
    expect(hub.largeBytes).toBe(3 * SHARD);
  });

  it('a model is not deleted while another downloads it; afterwards it is, and nothing of it stays', async () => {
    const { hub, visit, folder } = await bench();
    hub.bytesPerSecond = 8e6;
    const first = openModel(visit());
    await expect.poll(() => hub.largeBytes).toBeGreaterThan(0);
    expect((await refusal(visit().delete('org/model', MAIN, never))).code).toBe('hub.elsewhere');
    await first;
    await visit().delete('org/model', MAIN, never);
    expect(await visit().cache.list()).toEqual([]);
    expect(readdirSync(join(folder, 'models'))).toEqual([]);
    expect((await refusal(visit().delete('org/model', MAIN, never))).code).toBe('cache.none');
  });

  it('a lock whose process is gone holds nobody up', async () => {
    const { visit, folder, disk } = await bench();
    await disk.room();
    writeFileSync(join(folder, 'models', `etude.model.org--model--${MAIN}.lock`), '999999999');
    await expectFiles(await openModel(visit()), modelFiles());
  });
});

describe('the token', () => {
  const gated = { repos: { 'org/model': repo({ gated: 'manual' as const }) }, tokens: { [TOKEN]: ['org/model'], hf_other: [] } };

  it('is asked for by a gated model, opens it, and goes to the hub alone: not to the host it redirects to, not to the disk', async () => {
    const { hub, visit, folder } = await bench(gated);
    expect((await refusal(openModel(visit()))).code).toBe('hub.gated');
    expect((await refusal(openModel(visit({ token: 'hf_other' })))).code).toBe('hub.noAccess');
    expect((await refusal(openModel(visit({ token: 'hf_revoked' })))).code).toBe('hub.badToken');
    hub.requests.length = 0;
    const models = visit();
    models.setToken(` ${TOKEN}\n`);
    await expectFiles(await openModel(models), modelFiles());
    const [elsewhere, home] = [hub.requests.filter((r) => hub.isCdn(r.host)), hub.requests.filter((r) => !hub.isCdn(r.host))];
    expect(elsewhere.length).toBeGreaterThan(10);
    expect(elsewhere.filter((r) => r.authorization !== null || r.path.includes(TOKEN))).toEqual([]);
    expect(home.every((r) => r.authorization === `Bearer ${TOKEN}` && !r.path.includes(TOKEN))).toBe(true);
    const inside = join(folder, 'models', `org--model--${MAIN}`);
    expect(readdirSync(inside).filter((name) => readFileSync(join(inside, name)).includes(TOKEN))).toEqual([]);
  });

  it('is not followed to a next page on another host', async () => {
    const { hub, visit } = await bench({ ...gated, pageSize: 2 });
    hub.origin = `http://127.0.0.1:${hub.port}`;
    const { userMessage } = await refusal(visit({ endpoint: `http://localhost:${hub.port}`, token: TOKEN }).look('org/model', undefined, never));
    expect(userMessage.what).toContain('another host');
    expect(hub.requests.filter((r) => hub.isCdn(r.host))).toEqual([]);
  });
});
