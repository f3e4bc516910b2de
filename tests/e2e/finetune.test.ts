import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { sourcesFromFolder } from '../../src/cli/fsSource.ts';
import { recipeSchema } from '../../src/config/recipe.ts';
import { shareLink } from '../../src/config/shareUrl.ts';
import { openAdapterFolder } from '../../src/hub/adapterFolder.ts';
import { testDeviceKind } from '../setup/gpu.ts';

const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'etude-finetune-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const recipe = recipeSchema.parse({
  data: { maxLength: 64 },
  lora: { r: 2, loraAlpha: 4, targetModules: ['q_proj', 'v_proj'], loraDropout: 0 },
  training: { maxSteps: 3, perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 1, learningRate: 5e-3, warmupRatio: 0, shuffle: false, validationSplit: 0.2, evalSteps: 3 },
});
const link = shareLink('http://127.0.0.1/etude/', recipe);
const data = join(folder, 'rows.jsonl');
const row = (i: number): string => JSON.stringify({ instruction: `Name the capital of land ${i}.`, input: '', output: `The capital is city ${i}.` });
writeFileSync(data, [...Array.from({ length: 10 }, (_, i) => row(i)), '{broken', row(10)].join('\n'));

const finetune = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/run-ts.mjs', 'src/cli/finetune.ts', ...args], { cwd: root, encoding: 'utf8', timeout: 200_000 });
  return { status, stdout, stderr };
};
const model = join(root, 'public', 'builtin', 'model');
const lines = (out: string): Record<string, number>[] => readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Record<string, number>);
/** Both runtimes on the adapter that this machine's tests run on; headless Chromium has no lavapipe. */
const device = testDeviceKind();
const browserDevice = device === 'lavapipe' ? 'swiftshader' : device;

test('a run in headless Chromium ends with an adapter folder that reads back and a line for each step', async () => {
  const out = join(folder, 'browser');
  const { status, stdout, stderr } = finetune('--model', model, '--data', data, '--recipe', link, '--out', out, '--device', browserDevice);
  expect(status, stdout + stderr).toBe(0);
  expect(readdirSync(out).sort()).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors', 'metrics.jsonl', 'recipe.json']);
  const adapter = await openAdapterFolder('browser', await sourcesFromFolder(out));
  expect([adapter.r, adapter.loraAlpha, adapter.tensors.size]).toEqual([2, 4, 16]);
  expect([...adapter.tensors].some(([key, { data: values }]) => key.includes('lora_B') && values.some((value) => value !== 0)), 'lora_B has learned').toBe(true);
  const logged = lines(out);
  expect(logged.map(({ step }) => step)).toEqual([1, 2, 3]);
  for (const line of logged) {
    expect(Object.keys(line).filter((key) => key !== 'eval_loss')).toEqual(['step', 'epoch', 'loss', 'learning_rate', 'grad_norm', 'num_tokens', 'tokens_per_second']);
    expect(Object.values(line).every((value) => Number.isFinite(value))).toBe(true);
  }
  expect(logged[2]!.eval_loss).toBeGreaterThan(0);
  expect(stdout).toContain('1 lines could not be read: line 11');
  expect(stdout).toContain('11 rows');
  expect(recipeSchema.parse(JSON.parse(readFileSync(join(out, 'recipe.json'), 'utf8'))).training).toEqual(recipe.training);
});

test('a run in Node gives the same losses on the same adapter, and can start from an adapter', () => {
  const out = join(folder, 'node');
  const words = ['--model', model, '--data', data, '--recipe', link, '--runtime', 'node', '--device', device];
  const first = finetune(...words, '--out', out);
  expect(first.status, first.stdout + first.stderr).toBe(0);
  if (device === browserDevice && existsSync(join(folder, 'browser', 'metrics.jsonl'))) {
    expect(lines(out).map(({ loss }) => loss)).toEqual(lines(join(folder, 'browser')).map(({ loss }) => loss));
  }
  const second = finetune(...words, '--out', join(folder, 'further'), '--adapter', out);
  expect(second.status, second.stdout + second.stderr).toBe(0);
  // The first batch is the same; an adapter that was trained on it knows it better.
  expect(lines(join(folder, 'further'))[0]!.loss).toBeLessThan(lines(out)[0]!.loss!);
});

test('a run that cannot be done says why, exits with 1 and writes no adapter', () => {
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  const nothing = join(folder, 'nothing.jsonl');
  writeFileSync(nothing, '{"height":1}\n{"height":2}\n');
  const cases: [string[], RegExp][] = [
    [['--model', empty, '--data', data], /no config\.json/],
    [['--model', join(folder, 'absent'), '--data', data], /absent/],
    [['--model', model, '--data', join(folder, 'absent.jsonl')], /absent\.jsonl/],
    [['--model', model, '--data', nothing], /None of the 2 rows|shape/],
    [['--model', data, '--data', data], /is not a folder/],
    [['--model', model, '--data', data, '--adapter', empty], /adapter_config\.json/],
  ];
  for (const [words, said] of cases) {
    const out = join(folder, 'refused');
    const { status, stderr } = finetune(...words, '--recipe', link, '--out', out, '--runtime', 'node', '--device', device);
    expect(status, words.join(' ')).toBe(1);
    expect(stderr).toMatch(said);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(existsSync(out) ? readdirSync(out) : [], 'an empty folder can be used again').toEqual([]);
  }
});

test('a folder that holds files is written over only when asked', () => {
  const out = join(folder, 'full');
  mkdirSync(out);
  writeFileSync(join(out, 'precious.txt'), 'x');
  const { status, stderr } = finetune('--model', model, '--data', data, '--out', out);
  expect(status).toBe(1);
  expect(stderr).toContain('already holds 1 file');
  expect(readdirSync(out)).toEqual(['precious.txt']);
});
