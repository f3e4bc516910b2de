import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HubServer } from '../setup/hubServer.ts';
import { shortRecipe } from './steps.ts';

const root = resolve(import.meta.dirname, '../..');
const model = resolve(root, 'public/builtin/model');
const COMMIT = '7'.repeat(40);
const ROWS = 'd'.repeat(40);
const rows = (part: number): Uint8Array => new TextEncoder().encode(Array.from({ length: 4 }, (_, i) => `${JSON.stringify({ instruction: `What is ${part}${i}?`, output: `It is ${part}${i}.` })}\n`).join(''));
const TOKEN = 'hf_ThisTokenMustNotLeak';

let hub: HubServer;
let folder: string;
beforeAll(async () => {
  const files = new Map(readdirSync(model).map((name) => [name, new Uint8Array(readFileSync(join(model, name)))]));
  hub = await HubServer.start({ tokens: { [TOKEN]: ['org/small'] }, repos: { 'org/small': { commits: { [COMMIT]: files }, refs: { main: COMMIT, v1: COMMIT }, gated: 'auto', largeFrom: 1_000_000 } },
    datasets: { 'org/rows': { commits: { [ROWS]: new Map([1, 2].map((i) => [`data/train-0000${i}-of-00002.jsonl`, rows(i)])) }, refs: { main: ROWS } } } });
  folder = mkdtempSync(join(tmpdir(), 'etude-finetune-hub-'));
  writeFileSync(join(folder, 'short.json'), JSON.stringify(shortRecipe({ training: { maxSteps: 1, perDeviceTrainBatchSize: 1 } })));
});
afterAll(async () => {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

async function finetune(out: string, ...words: string[]): Promise<{ code: number | null; said: string }> {
  const child = spawn('npm', ['run', '--silent', 'finetune', '--', '--data', 'builtin', '--recipe', join(folder, 'short.json'), '--device', 'swiftshader', '--out', out, ...words], {
    cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HF_ENDPOINT: hub.origin, HF_TOKEN: TOKEN, ETUDE_CACHE: join(folder, 'cache') },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => { said += data.toString(); });
  return { code: await new Promise<number | null>((done) => { child.on('close', done); }), said };
}

test.each([['node', 'org/small@v1', true], ['browser', 'org/small', true], ['node', `org/small@${COMMIT}`, false]] as const)(
  'finetune in %s takes %s from the hub or the cache, and the adapter names repository and commit', async (runtime, name, asks) => {
    hub.requests.length = 0;
    const out = join(folder, `${runtime}${asks}`);
    // One of them takes its rows from the hub too: the last word for an option counts.
    const { code, said } = await finetune(out, '--model', name, '--runtime', runtime, ...(runtime === 'browser' ? ['--data', 'org/rows'] : []));
    expect(code, said).toBe(0);
    expect(said).toContain('org/small');
    const read = (file: string) => JSON.parse(readFileSync(join(out, file), 'utf8')) as Record<string, unknown>;
    expect(read('adapter_config.json')).toMatchObject({ base_model_name_or_path: 'org/small', revision: COMMIT });
    expect(read('recipe.json')['model']).toEqual({ source: 'hub', name: 'org/small', revision: COMMIT });
    if (runtime === 'browser') {
      expect(said).toContain('org/rows train, 8 rows, 8 usable');
      expect(read('recipe.json')['dataset']).toEqual({ source: 'hub', name: 'org/rows', revision: ROWS, config: 'default', split: 'train' });
    }
    // The second name is asked for, and found to be the commit that is cached; the third is a commit, and nobody is asked.
    expect(hub.requests.some((r) => r.path.startsWith('/api/'))).toBe(asks);
    expect(hub.largeBytes > 0).toBe(name === 'org/small@v1');
    for (const file of readdirSync(out)) expect(readFileSync(join(out, file), 'utf8')).not.toContain(TOKEN);
    expect(said).not.toContain(TOKEN);
  },
);
