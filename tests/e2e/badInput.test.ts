import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorShown, goTo, ISLAND, toJsonl, useBuiltinModel } from './steps.ts';
import { dropFiles, startStudios, type DroppedFile, type Studio } from './support.ts';

let studios: Awaited<ReturnType<typeof startStudios>>;
let studio: Studio;
beforeAll(async () => {
  studios = await startStudios();
  studio = await studios.open();
  await useBuiltinModel(studio.page);
  await drop(studio.page, { name: 'island.jsonl', text: toJsonl(ISLAND) });
  await studio.page.getByTestId('mask-count').waitFor();
});
afterAll(() => studios.stop());

const drop = (page: Page, ...files: DroppedFile[]): Promise<void> => dropFiles(page.getByRole('main'), files);

/** The message under `code`, with all it must say. */
async function refused(page: Page, code: string): Promise<Awaited<ReturnType<typeof errorShown>>> {
  const panel = page.getByTestId('error-panel').first();
  await expect.poll(async () => (await panel.count() > 0 ? panel.getAttribute('data-code') : null)).toBe(code);
  const shown = await errorShown(page);
  console.log(`${shown.code}: ${shown.what} | ${shown.expected} | ${shown.likelyCause} | ${shown.nextStep}`);
  expect(shown.code).toBe(code);
  for (const part of ['what', 'expected', 'likelyCause', 'nextStep'] as const) expect(shown[part], part).not.toBe('');
  return shown;
}

/** Model and data from before are there, and the worker still reads rows with that model's tokenizer. */
async function expectNothingLost(page: Page, row: number): Promise<void> {
  const rail = page.getByRole('navigation', { name: 'Steps' });
  expect(await rail.getByRole('link', { name: /\bModel\b/ }).innerText()).toContain('loaded');
  expect(await rail.getByRole('link', { name: /\bData\b/ }).innerText()).toContain('16 rows');
  await goTo(page, 'Data');
  await page.getByText('island.jsonl · 16 rows').waitFor();
  await page.getByRole('textbox', { name: 'Row', exact: true }).fill(String(row + 1));
  await page.getByRole('option', { name: new RegExp(`^${ISLAND[row]!.output.slice(0, 3)}, `) }).first().waitFor();
}

const BAD_DATA: { title: string; file: DroppedFile; code: string; says: RegExp }[] = [
  { title: 'a file that is not JSON', file: { name: 'notes.json', text: 'Dear diary, today' }, code: 'data.notJson', says: /notes\.json is not JSON/ },
  { title: 'JSON of no known shape', file: { name: 'boxes.json', text: '[{"height": 3, "width": 4}, {"height": 5, "width": 6}]' }, code: 'data.unknownShape', says: /height, width/ },
  { title: 'an empty file', file: { name: 'empty.jsonl', text: '' }, code: 'data.emptyFile', says: /^empty\.jsonl .*0 bytes/ },
  { title: 'a file with unusable rows only', file: { name: 'half.jsonl', text: toJsonl(Array.from({ length: 3 }, () => ({ messages: [{ role: 'wizard', content: 'Abracadabra' }] }))) }, code: 'data.noUsableRows', says: /0 of 3/ },
  { title: 'a packed file', file: { name: 'rows.parquet', bytes: new TextEncoder().encode('PAR1 and the rest') }, code: 'data.parquet', says: /Parquet/ },
];

for (const { title, file, code, says } of BAD_DATA) {
  test(`${title} is refused with its reason, and the data in use stays`, async () => {
    const { page } = studio;
    await drop(page, file);
    expect((await refused(page, code)).what).toMatch(says);
    await expectNothingLost(page, 1);
    await page.getByRole('button', { name: 'Dismiss' }).last().click();
    await expect.poll(() => page.getByTestId('error-panel').count()).toBe(0);
  });
}

test('a line of broken UTF-8 is skipped and named, and the lines around it are kept', async () => {
  const { page } = studio;
  const [first, second] = [ISLAND[1], ISLAND[2]].map((row) => new TextEncoder().encode(toJsonl([row])));
  const broken = new TextEncoder().encode(toJsonl([ISLAND[3]]));
  broken[20] = 0xff;
  await drop(page, { name: 'broken.jsonl', bytes: new Uint8Array([...first!, ...broken, ...second!]) });
  await page.getByText('broken.jsonl · 2 rows').waitFor();
  await page.getByTestId('findings').getByRole('button', { name: 'Show lines' }).click();
  expect(await page.getByRole('region', { name: 'Lines that could not be read' }).innerText()).toMatch(/^Line 2: .*UTF-8/);
  // Back to the file before it, which is kept.
  await page.getByRole('button', { name: 'island.jsonl', exact: true }).click();
  await page.getByText('island.jsonl · 16 rows').waitFor();
});

const MODEL_FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'] as const;
type ModelFile = (typeof MODEL_FILES)[number];

/** The built-in model's folder with some files changed (or left out: null), under the name of a folder of one's own. */
function modelFolder(changes: Partial<Record<ModelFile, ((bytes: Uint8Array) => Uint8Array) | null>>): DroppedFile[] {
  return MODEL_FILES.filter((name) => changes[name] !== null).map((name) => {
    const bytes = new Uint8Array(readFileSync(resolve(import.meta.dirname, '../../public/builtin/model', name)));
    return { name, bytes: changes[name]?.(bytes) ?? bytes };
  });
}

const changeText = (change: (text: string) => string) => (bytes: Uint8Array): Uint8Array => new TextEncoder().encode(change(new TextDecoder().decode(bytes)));

/** The same file with another header; the values stay where they are. */
const changeHeader = (change: (header: string) => string) => (bytes: Uint8Array): Uint8Array => {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = new TextEncoder().encode(change(new TextDecoder().decode(bytes.subarray(8, 8 + length))));
  const size = new Uint8Array(8);
  new DataView(size.buffer).setBigUint64(0, BigInt(header.length), true);
  return new Uint8Array([...size, ...header, ...bytes.subarray(8 + length)]);
};

const BAD_MODELS: { title: string; files: () => DroppedFile[]; code: string; says: RegExp }[] = [
  { title: 'without config.json', files: () => modelFolder({ 'config.json': null }), code: 'model.noConfig', says: /no config\.json/ },
  {
    title: 'of an unknown architecture', code: 'model.unsupported', says: /GPT2LMHeadModel/,
    files: () => modelFolder({ 'config.json': changeText((text) => text.replace('LlamaForCausalLM', 'GPT2LMHeadModel')) }),
  },
  { title: 'with truncated safetensors', files: () => modelFolder({ 'model.safetensors': (bytes) => bytes.subarray(0, bytes.length / 2) }), code: 'safetensors.truncated', says: /model\.safetensors/ },
  { title: 'with a header that lies about its length', files: () => modelFolder({ 'model.safetensors': (bytes) => { bytes.fill(0x7f, 0, 8); return bytes; } }), code: 'safetensors.header', says: /model\.safetensors/ },
  {
    title: 'with a tensor missing', code: 'model.tensors', says: /model\.norm\.weight/,
    files: () => modelFolder({ 'model.safetensors': changeHeader((header) => header.replace('"model.norm.weight"', '"model.gone.weight"')) }),
  },
  {
    title: 'with a tensor of another shape', code: 'model.tensors', says: /mlp/,
    files: () => modelFolder({ 'config.json': changeText((text) => text.replace(/"intermediate_size": (\d+)/, (_, n: string) => `"intermediate_size": ${Number(n) + 8}`)) }),
  },
  { title: 'with weights that are not numbers', files: () => modelFolder({ 'model.safetensors': (bytes) => bytes.fill(0xff, bytes.length - 64) }), code: 'model.notFinite', says: /not a number/ },
];

for (const { title, files, code, says } of BAD_MODELS) {
  test(`a model folder ${title} is refused with its reason, and the loaded model stays`, async () => {
    const { page } = studio;
    await drop(page, ...files());
    expect((await refused(page, code)).what).toMatch(says);
    await expectNothingLost(page, 2);
  });
}

test('none of these was an error of the page itself', () => {
  expect(studio.errors).toEqual([]);
  expect(studio.strayRequests()).toEqual([]);
});

const BAD_DEVICES: { title: string; workerScript: string; code: string; says: RegExp }[] = [
  { title: 'no WebGPU', workerScript: "Object.defineProperty(navigator, 'gpu', { value: undefined });", code: 'device.noWebGpu', says: /Chrome.+Edge.+Safari.+Firefox/ },
  { title: 'no adapter offered', workerScript: 'navigator.gpu.requestAdapter = async () => null;', code: 'device.noAdapter', says: /adapter/ },
  { title: 'the adapter refusing', workerScript: "GPUAdapter.prototype.requestDevice = async () => { throw new DOMException('blocked by the driver list', 'OperationError'); };", code: 'device.refused', says: /limits/ },
];

for (const { title, workerScript, code, says } of BAD_DEVICES) {
  test(`${title} is told with what to do, and data can be looked at all the same`, async () => {
    const other = await studios.open({ workerScript });
    const { page } = other;
    const shown = await refused(page, code);
    expect(shown.expected).toMatch(says);
    await page.getByRole('button', { name: 'How to turn WebGPU on' }).click();
    await page.getByText(/chrome:\/\/(gpu|settings)/).first().waitFor();
    expect(await page.getByRole('button', { name: 'Use built-in model' }).isDisabled()).toBe(true);
    await drop(page, { name: 'island.jsonl', text: toJsonl(ISLAND) });
    await page.getByText('island.jsonl · 16 rows').waitFor();
    expect(other.errors).toEqual([]);
    await other.close();
  });
}

test('a file larger than the storage left is told before its import starts', async () => {
  const other = await studios.open({ workerScript: 'navigator.storage.estimate = async () => ({ usage: 999_000, quota: 1_000_000 });' });
  await drop(other.page, { name: 'island.jsonl', text: toJsonl(ISLAND) });
  const shown = await refused(other.page, 'storage.tooLarge');
  expect(shown.what).toMatch(/island\.jsonl/);
  await other.page.getByRole('button', { name: 'Choose another file' }).waitFor();
  // Nothing was begun: no dataset, whole or half, is stored.
  expect(await other.page.evaluate(() => new Promise((done) => {
    const open = indexedDB.open('etude');
    open.onsuccess = () => {
      const count = open.result.transaction('datasets').objectStore('datasets').count();
      count.onsuccess = () => done(count.result);
    };
  }))).toBe(0);
  await other.close();
});

test('a browser that blocks storage is told, and the model still loads', async () => {
  const other = await studios.open({ workerScript: "IDBFactory.prototype.open = () => { throw new DOMException('The user denied permission to access the database.', 'SecurityError'); };" });
  await goTo(other.page, 'Data');
  expect((await refused(other.page, 'storage.unavailable')).likelyCause).toMatch(/private window/i);
  await useBuiltinModel(other.page);
  await other.close();
});
