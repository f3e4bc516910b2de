/** Packed files are read in a real browser under the page's own security policy, which allows no WebAssembly. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goTo, ISLAND, toJsonl, useBuiltinModel } from './steps.ts';
import { dropFiles, startStudios, type Studio } from './support.ts';

let studios: Awaited<ReturnType<typeof startStudios>>;
let studio: Studio;
beforeAll(async () => {
  studios = await startStudios();
  studio = await studios.open();
  await useBuiltinModel(studio.page);
});
afterAll(() => studios.stop());

const parquet = (codec: string): Uint8Array => new Uint8Array(readFileSync(resolve(import.meta.dirname, `../fixtures/parquet/messages-${codec}.parquet`)));
test.each([
  ['zstd.parquet', parquet('zstd'), 40], ['snappy.parquet', parquet('snappy'), 40], ['brotli.parquet', parquet('brotli'), 40],
  ['island.jsonl.gz', new Uint8Array(gzipSync(toJsonl(ISLAND))), ISLAND.length],
] as [string, Uint8Array, number][])('%s is imported and its rows are shown token by token', async (name, bytes, rows) => {
  const { page } = studio;
  await goTo(page, 'Data');
  await dropFiles(page.getByRole('main'), [{ name, bytes }]);
  await page.getByText(`${name} · ${rows} rows`).waitFor();
  await page.getByTestId('mask-count').waitFor();
  expect(await page.getByTestId('error-panel').count()).toBe(0);
});
