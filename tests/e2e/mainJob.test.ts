import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { collate } from '../../src/data/collator.ts';
import { toMessages } from '../../src/data/messages.ts';
import { RowEncoder } from '../../src/data/template.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import { ask, goTo, ISLAND, lossTable, modelLoaded, readout, shortRecipe, startTraining, toJsonl, trained, typeRecipe, useBuiltinModel } from './steps.ts';
import { download, dropFiles, startStudios, type Studio } from './support.ts';

const STEPS = 16;
const RANK = 4;
/** Two passes in the order of the file, so that the tokens fed can be counted by hand. */
const recipe = shortRecipe({ lora: { r: RANK, loraAlpha: 2 * RANK }, training: { maxSteps: STEPS, perDeviceTrainBatchSize: 2, shuffle: false } });
const PROMPT = 'Where is the town of Zamba?';

const builtin = (path: string): unknown => JSON.parse(readFileSync(resolve(import.meta.dirname, '../../public/builtin/model', path), 'utf8'));

/** What the collator makes of each row of ISLAND: tokens that are no padding, and labels. */
function fedRows(): { tokens: number; labels: number }[] {
  const encoder = new RowEncoder(loadTokenizer(builtin('tokenizer.json'), builtin('tokenizer_config.json')), 'model', recipe.data.maxLength);
  const mapping = { shape: 'alpaca', instruction: 'instruction', input: 'input', output: 'output' } as const;
  return ISLAND.map((row, i) => {
    const read = toMessages(row, mapping, 'model');
    if (!read.ok) throw new Error(read.reason);
    const encoded = encoder.encode(read.messages, i);
    if (!encoded.ok) throw new Error(encoded.reason);
    const batch = collate([encoded.row]);
    return { tokens: batch.segments.filter((s) => s > 0).length, labels: batch.labels.filter((label) => label !== -100).length };
  });
}

let studios: Awaited<ReturnType<typeof startStudios>>;
let studio: Studio;
beforeAll(async () => {
  studios = await startStudios();
  studio = await studios.open();
});
afterAll(() => studios.stop());

test('the built-in model loads with one click, and a dropped Alpaca file is recognised', async () => {
  const { page } = studio;
  await useBuiltinModel(page);
  await dropFiles(page.getByRole('main'), [{ name: 'island.jsonl', text: toJsonl(ISLAND) }]);
  await page.getByRole('heading', { level: 1, name: 'Data' }).waitFor();
  await page.getByText(`island.jsonl · ${ISLAND.length} rows`).waitFor();
  expect(await page.getByText(/^island\.jsonl ·/).innerText()).toContain('Alpaca');
  await page.getByText('Mapping', { exact: true }).click();
  expect(await page.getByRole('combobox', { name: 'Shape of a row' }).inputValue()).toBe('Alpaca');
});

test('the mask inspector counts exactly the tokens and labels that the collator feeds', async () => {
  const { page } = studio;
  await typeRecipe(page, recipe);
  await goTo(page, 'Data');
  await page.getByText('Mask', { exact: true }).click();
  const fed = fedRows();
  for (const row of [0, 1, ISLAND.length - 1]) {
    await page.getByRole('textbox', { name: 'Row', exact: true }).fill(String(row + 1));
    await expect.poll(() => page.getByTestId('mask-count').innerText())
      .toBe(`${fed[row]!.labels} of ${fed[row]!.tokens} tokens are trained`);
    expect(await page.locator('[data-turn] [role=option][data-trained]').count()).toBe(fed[row]!.labels);
  }
});

test('training pauses and goes on, the title tells how far it is, and the loss falls', async () => {
  const { page } = studio;
  await startTraining(page);
  await expect.poll(() => page.title()).toMatch(/^[1-9]\d*\/16 · .+ · Etude$/);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  await expect.poll(() => page.title()).toMatch(/^\d+\/16 · paused · Etude$/);
  const paused = Number((await readout(page, 'Step')).split(' ')[0]);
  expect(paused).toBeGreaterThan(0);
  expect(paused).toBeLessThan(STEPS);
  // A pause that pauses: nothing moves while two steps could have been made.
  await page.waitForTimeout(1500);
  expect(await page.title()).toBe(`${paused}/16 · paused · Etude`);
  await page.getByRole('button', { name: 'Resume' }).click();
  await trained(page);
  await expect.poll(() => page.title()).toBe('Done, 16 steps · Etude');
  const losses = await lossTable(page);
  console.log(`Loss ${losses[0]!.loss} -> ${losses.at(-1)!.loss} in ${losses.length} steps, paused at ${paused}`);
  expect(losses.map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
  expect(losses.at(-1)!.smoothed).toBeLessThan(0.8 * losses[0]!.loss);
  expect(Number(await readout(page, 'Training loss'))).toBeCloseTo(losses.at(-1)!.smoothed, 2);
});

test('a trained row costs less than before, token by token, on the GPU', async () => {
  const { page } = studio;
  await goTo(page, 'Data');
  await page.getByText('Mask', { exact: true }).click();
  await page.getByRole('button', { name: 'Show loss per token' }).click();
  const sentence = await page.getByTestId('loss-mean').innerText();
  console.log(sentence);
  const [, before, after, less] = /base model (\d+\.\d\d) nats .* tuned model (\d+\.\d\d) .*: (\d+\.\d\d) less\.$/.exec(sentence)!.map(Number);
  expect(after).toBeLessThan(before!);
  expect(before! - after!).toBeCloseTo(less!, 1);
  const assistant = page.getByRole('listbox', { name: /assistant turn, (base|tuned) model/ });
  expect(await assistant.count()).toBe(2);
  expect(await assistant.first().locator('[data-scale=loss]').count()).toBeGreaterThan(5);
  await page.getByText('Difference', { exact: true }).click();
  await assistant.first().waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Hide loss per token' }).click();
});

let tuned = '';

test('base and tuned answer the same prompt differently, and greedily twice the same', async () => {
  const { page } = studio;
  await goTo(page, 'Try');
  expect(Number(await page.getByRole('textbox', { name: 'Temperature' }).inputValue())).toBe(0);
  await page.getByRole('textbox', { name: 'Maximum tokens' }).fill('16');
  const first = await ask(page, PROMPT);
  console.log(`Base: ${first.base}\nTuned: ${first.tuned}`);
  expect(first.tuned).not.toBe('');
  expect(first.tuned).not.toBe(first.base);
  expect(await ask(page, PROMPT)).toEqual(first);
  ({ tuned } = first);
});

let zip: { name: string; bytes: Uint8Array };

test('every file of the export passes its check, and the download holds a PEFT adapter', async () => {
  const { page } = studio;
  await goTo(page, 'Export');
  const checks = page.getByTestId('export-checks').locator('tbody tr');
  await checks.first().waitFor();
  expect(await checks.evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset['ok']))).toEqual(['true', 'true', 'true', 'true', 'true']);
  expect(await checks.first().innerText()).toContain('Same logits as the model you tried');
  zip = await download(page, () => page.getByRole('button', { name: /^Download zip/ }).click());
  expect(zip.name).toMatch(/\.zip$/);

  const files = Object.fromEntries(Object.entries(unzipSync(zip.bytes)).map(([path, bytes]) => [path.split('/').at(-1), bytes]));
  expect(Object.keys(files).sort()).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors', 'metrics.jsonl', 'recipe.json']);
  const text = (name: string): string => new TextDecoder().decode(files[name]);
  expect(JSON.parse(text('adapter_config.json'))).toMatchObject({
    peft_type: 'LORA', task_type: 'CAUSAL_LM', r: RANK, lora_alpha: 2 * RANK, lora_dropout: 0, bias: 'none', fan_in_fan_out: false,
    init_lora_weights: true, use_rslora: false, use_dora: false, modules_to_save: null, inference_mode: true,
  });
  expect((JSON.parse(text('adapter_config.json')) as { target_modules: string[] }).target_modules.toSorted()).toEqual(['k_proj', 'o_proj', 'q_proj', 'v_proj']);
  expect((JSON.parse(text('recipe.json')) as typeof recipe).training).toEqual(recipe.training);
  checkSafetensors(files['adapter_model.safetensors']!);

  const metrics = text('metrics.jsonl').trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, number>);
  expect(metrics).toHaveLength(STEPS);
  // Each row was fed twice, none of its tokens lost or padded.
  expect(metrics.at(-1)!['num_tokens']).toBe(2 * fedRows().reduce((sum, row) => sum + row.tokens, 0));
});

/** Reads the file by its published layout alone: 8 bytes of header length, JSON padded with spaces, then f32 values. */
function checkSafetensors(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  expect((8 + length) % 8).toBe(0);
  const json = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  expect(json.trimEnd().endsWith('}')).toBe(true);
  const { __metadata__: metadata, ...tensors } = JSON.parse(json) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  expect(metadata).toEqual({ format: 'pt' });
  const { hidden_size: C, num_hidden_layers: layers } = builtin('config.json') as { hidden_size: number; num_hidden_layers: number };
  expect(Object.keys(tensors)).toHaveLength(layers * 4 * 2);
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(tensors)) {
    expect(name).toMatch(/^base_model\.model\.model\.layers\.\d+\.self_attn\.[qkvo]_proj\.lora_[AB]\.weight$/);
    expect(dtype).toBe('F32');
    expect(shape[name.includes('lora_A') ? 0 : 1]).toBe(RANK);
    if (name.includes('q_proj.lora_A')) expect(shape).toEqual([RANK, C]);
    expect(end - start).toBe(4 * shape[0]! * shape[1]!);
    const values = Array.from({ length: (end - start) / 4 }, (_, i) => view.getFloat32(8 + length + start + 4 * i, true));
    expect(values.every(Number.isFinite)).toBe(true);
    // B starts at zero: what is not zero was learnt.
    expect(values.some((value) => value !== 0), name).toBe(true);
  }
  expect(8 + length + Math.max(...Object.values(tensors).map((t) => t.data_offsets[1]))).toBe(bytes.length);
}

test('the zip, opened again in a fresh page, gives the same answer', async () => {
  const { page } = studio;
  const path = join(tmpdir(), `etude-${process.pid}-${zip.name}`);
  writeFileSync(path, zip.bytes);
  await page.reload();
  await useBuiltinModel(page);
  await modelLoaded(page);
  await goTo(page, 'Try');
  await page.getByRole('textbox', { name: 'Maximum tokens' }).fill('16');
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Open an adapter' }).click()]);
  await chooser.setFiles(path);
  await page.getByRole('region', { name: 'Answer of the tuned model' }).waitFor();
  expect((await ask(page, PROMPT)).tuned).toBe(tuned);
});

test('in all of this no request left the origin, and the console stayed free of errors', () => {
  const kinds = new Map<string, number>();
  for (const { resourceType } of studio.requests) kinds.set(resourceType, (kinds.get(resourceType) ?? 0) + 1);
  console.log(`${studio.requests.length} requests: ${[...kinds].map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
  expect(studio.strayRequests()).toEqual([]);
  expect(studio.requests.every(({ method }) => method === 'GET')).toBe(true);
  expect(studio.errors).toEqual([]);
});
