import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shortRecipe, toJsonl } from './steps.ts';

const root = resolve(import.meta.dirname, '../..');
const STEPS = 4;
/** No rows are shuffled, so that both runtimes see the same. */
const recipe = shortRecipe({ training: { maxSteps: STEPS, perDeviceTrainBatchSize: 4, shuffle: false } });
const FILES = ['README.md', 'adapter_config.json', 'adapter_model.safetensors', 'metrics.jsonl', 'recipe.json'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'etude-finetune-'));
  writeFileSync(join(folder, 'short.json'), JSON.stringify(recipe));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `npm run finetune -- WORDS` as a person types it. */
async function finetune(...words: string[]): Promise<{ code: number | null; out: string; seconds: number }> {
  const started = Date.now();
  const child = spawn('npm', ['run', '--silent', 'finetune', '--', ...words], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => { out += data.toString(); });
  const code = await new Promise<number | null>((done) => { child.on('close', done); });
  return { code, out, seconds: (Date.now() - started) / 1000 };
}

interface Line { step: number; epoch: number; loss: number; learning_rate: number; grad_norm: number; num_tokens: number; tokens_per_second: number }

function readMetrics(out: string): Line[] {
  const text = readFileSync(join(out, 'metrics.jsonl'), 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text.trimEnd().split('\n').map((line) => JSON.parse(line) as Line);
}

/** Every file is there, every step has its line, every line its fields. */
function checkOutput(out: string): Line[] {
  expect(readdirSync(out).sort()).toEqual(FILES);
  const lines = readMetrics(out);
  expect(lines.map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
  for (const line of lines) {
    expect(Object.keys(line).sort()).toEqual(['epoch', 'grad_norm', 'learning_rate', 'loss', 'num_tokens', 'step', 'tokens_per_second']);
    expect(Object.values(line).every(Number.isFinite), JSON.stringify(line)).toBe(true);
    expect(line.loss).toBeGreaterThan(0);
    expect(line.grad_norm).toBeGreaterThan(0);
  }
  expect(lines.every((line, i) => i === 0 || line.num_tokens > lines[i - 1]!.num_tokens)).toBe(true);
  expect(JSON.parse(readFileSync(join(out, 'adapter_config.json'), 'utf8'))).toMatchObject({ peft_type: 'LORA', r: recipe.lora.r, lora_alpha: recipe.lora.loraAlpha });
  expect((JSON.parse(readFileSync(join(out, 'recipe.json'), 'utf8')) as typeof recipe).training).toEqual(recipe.training);
  return lines;
}

test('finetune in headless Chromium writes a checked adapter and a line a step', async () => {
  const out = join(folder, 'browser');
  const { code, out: said, seconds } = await finetune('--model', 'builtin', '--data', 'builtin', '--recipe', join(folder, 'short.json'), '--device', 'swiftshader', '--out', out);
  console.log(`${said.trimEnd()}\n${seconds.toFixed(1)} s in all`);
  expect(code, said).toBe(0);
  const lines = checkOutput(out);
  expect(lines.at(-1)!.loss).toBeLessThan(lines[0]!.loss);
  expect(said).toMatch(/Same logits as the model you tried: largest difference 0\./);
});

test('finetune in Node takes the same steps and writes the same tensors', async () => {
  const out = join(folder, 'node');
  const { code, out: said, seconds } = await finetune('--model', 'builtin', '--data', 'builtin', '--recipe', join(folder, 'short.json'), '--runtime', 'node', '--device', 'swiftshader', '--out', out);
  console.log(`${seconds.toFixed(1)} s in all`);
  expect(code, said).toBe(0);
  const lines = checkOutput(out);
  const browser = readMetrics(join(folder, 'browser'));
  const differences = lines.map((line, i) => Math.abs(line.loss - browser[i]!.loss));
  console.log(`Largest difference of a loss between the runtimes: ${Math.max(...differences)}`);
  expect(Math.max(...differences)).toBeLessThan(1e-3);
  expect(lines.map(({ num_tokens }) => num_tokens)).toEqual(browser.map(({ num_tokens }) => num_tokens));
  const header = (path: string): string => {
    const bytes = readFileSync(path);
    return bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString();
  };
  expect(header(join(out, 'adapter_model.safetensors'))).toBe(header(join(folder, 'browser', 'adapter_model.safetensors')));
});

test('--adapter goes on from the weights of an earlier run', async () => {
  const out = join(folder, 'further');
  const { code, out: said } = await finetune(
    '--model', 'builtin', '--data', 'builtin', '--recipe', join(folder, 'short.json'), '--runtime', 'node', '--device', 'swiftshader', '--adapter', join(folder, 'browser'), '--out', out,
  );
  expect(code, said).toBe(0);
  const first = readMetrics(join(folder, 'browser'))[0]!.loss;
  const further = checkOutput(out)[0]!.loss;
  console.log(`The same first rows: loss ${first.toFixed(4)} afresh, ${further.toFixed(4)} from the adapter`);
  expect(further).toBeLessThan(0.9 * first);
});

// Without --device: whatever this machine offers.
test.each(['browser', 'node'])('a broken data file ends finetune in %s with words and an exit code, and leaves no adapter', async (runtime) => {
  const data = join(folder, `broken-${runtime}.jsonl`);
  const out = join(folder, `broken-${runtime}`);
  writeFileSync(data, toJsonl([{ height: 3 }, { height: 4 }]));
  const { code, out: said } = await finetune('--model', 'builtin', '--data', data, '--recipe', join(folder, 'short.json'), '--runtime', runtime, '--out', out);
  console.log(said.trimEnd());
  expect(code, said).not.toBe(0);
  expect(said).toMatch(/of no shape that can be trained/);
  expect(said).toMatch(/Next: /);
  expect(said).not.toMatch(/\n\s+at /);
  expect(existsSync(join(out, 'adapter_model.safetensors'))).toBe(false);
  expect(existsSync(join(out, 'adapter_config.json'))).toBe(false);
});
