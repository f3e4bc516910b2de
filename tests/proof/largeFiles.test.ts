/**
 * Proves that a 200 MB file is never held whole: imports it as JSONL, as one JSON array and as CSV. Rows go to a sink
 * that counts them, so that only the import's own memory is measured (IndexedDB keeps rows on disk).
 */
import { createWriteStream, openAsBlob } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { importDataset, type ImportTarget } from '../../src/data/importers/importDataset.ts';

const LIMIT_MB = 64;
const MB = 1e6;
const FILE_MB = 200;

const FORMATS = {
  jsonl: { start: '', row: (i: number) => `${JSON.stringify(rowOf(i))}\n`, between: '', end: '' },
  json: { start: '[\n', row: (i: number) => JSON.stringify(rowOf(i), null, 1), between: ',\n', end: '\n]\n' },
  csv: { start: 'instruction,output\n', row: (i: number) => `"Question ${i}?","Answer ${i}: ""${TEXT}"""\n`, between: '', end: '' },
};
const TEXT = 'The capital of Norway is Oslo — 挪威的首都是奥斯陆.\n'.repeat(10);
const rowOf = (i: number) => ({ instruction: `Question ${i}?`, output: `Answer ${i}: ${TEXT}` });

async function write(path: string, format: keyof typeof FORMATS, bytes: number): Promise<number> {
  const { start, row, between, end } = FORMATS[format];
  const file = createWriteStream(path);
  file.write(start);
  let rows = 0;
  for (let written = 0; written < bytes; rows++) {
    const text = (rows > 0 ? between : '') + row(rows);
    written += Buffer.byteLength(text);
    if (!file.write(text)) await once(file, 'drain');
  }
  file.end(end);
  await once(file, 'close');
  return rows;
}

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** MB in use by JavaScript: heap and buffers, garbage left out. */
function inUse(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MB;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etude-large-'));
});
afterAll(() => rm(folder, { recursive: true }));

it.each(Object.keys(FORMATS) as (keyof typeof FORMATS)[])('a 200 MB file of %s is imported whole while memory rises by less than 64 MB', async (format) => {
  const path = join(folder, `rows.${format}`);
  const written = await write(path, format, FILE_MB * MB);
  let rows = 0;
  const sink: ImportTarget = {
    create: async (id) => ({ id, add: async () => void rows++, finish: async (summary) => summary, abort: async () => undefined }),
  };
  const before = inUse();
  let peak = before;
  let next = 0;
  const begun = performance.now();
  const summary = await importDataset({ name: `rows.${format}`, blob: await openAsBlob(path), kind: 'file' }, sink, {
    onProgress: ({ bytes }) => {
      if (bytes < next) return;
      next = bytes + 2 * MB;
      peak = Math.max(peak, inUse());
    },
  });
  await rm(path);
  const seconds = (performance.now() - begun) / 1000;
  console.log(`${format}: ${(summary.bytes / MB).toFixed(0)} MB, ${rows} rows, memory rose by ${(peak - before).toFixed(1)} MB, ${seconds.toFixed(1)} s`);
  expect(summary.bytes).toBeGreaterThanOrEqual(FILE_MB * MB);
  expect([rows, summary.rows, summary.skipped]).toEqual([written, written, 0]);
  expect(peak - before).toBeLessThan(LIMIT_MB);
}, 600_000);
