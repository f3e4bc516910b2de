/**
 * What understanding and feeding a dataset cost, for `npm run bench:data`: the report's pass over many rows, tokenise + mask +
 * pack beside a training step, and the loader's memory at a thousand and at a million rows. Rows are made as they are asked for.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { recipeSchema } from '../src/config/recipe.ts';
import { collatePacked, packFirstFit } from '../src/data/collator.ts';
import { encodeStoredRow } from '../src/data/encodedRows.ts';
import { DataLoader } from '../src/data/loader.ts';
import { buildReport } from '../src/data/report.ts';
import { RowEncoder } from '../src/data/template.ts';
import { loadTokenizer } from '../src/data/tokenizer.ts';
import type { EncodedRow, Mapping, StoredRow } from '../src/data/types.ts';

const root = resolve(import.meta.dirname, '..');
const MAX_LENGTH = 256;
/** The loader may hold its shuffled order and nothing else that grows: this many bytes a row, with what garbage there is. */
const BYTES_A_ROW = 64;
const MAPPING: Mapping = { shape: 'alpaca', instruction: 'instruction', input: 'input', output: 'output' };
const QUESTIONS = readFileSync(join(root, 'public/builtin/data/train.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as { instruction: string; output: string });
const json = (name: string): unknown => JSON.parse(readFileSync(join(root, 'public/builtin/model', name), 'utf8'));
const tokenizer = loadTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
const encoder = new RowEncoder(tokenizer, 'model', MAX_LENGTH);

/** The built-in questions in turn, each with its own number: no two rows are the same. */
function rowAt(index: number): StoredRow {
  const { instruction, output } = QUESTIONS[index % QUESTIONS.length]!;
  return { index, line: index + 1, value: { instruction: `${instruction} (${index})`, input: '', output } };
}
function encodedAt(index: number): EncodedRow {
  const encoded = encodeStoredRow(rowAt(index), MAPPING, encoder);
  if (!encoded.ok) throw new Error(encoded.reason);
  return encoded.row;
}

const heapMB = (): number => {
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1e6;
};
const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Every finding over so many rows, near duplicates among them. */
export async function reportPass(count: number): Promise<void> {
  const [begun, cpu] = [performance.now(), cpuSeconds()];
  let peakMB = 0;
  async function* rows(): AsyncGenerator<StoredRow> {
    for (let i = 0; i < count; i++) yield rowAt(i);
  }
  const { report } = await buildReport({
    rows: rows(), dataset: { rows: count, skipped: 0, mapping: MAPPING }, encoder, tokenizer, read: async (indices) => indices.map(rowAt),
    onProgress: () => { peakMB = Math.max(peakMB, heapMB()); },
  });
  peakMB = Math.max(peakMB, heapMB());
  if (report.rows !== count || report.usableRows !== count) throw new Error(`${report.usableRows} of ${report.rows} rows usable, of ${count}`);
  const seconds = (performance.now() - begun) / 1000;
  console.log(`Report        ${count.toLocaleString('en')} rows in ${seconds.toFixed(1)} s, ${Math.round(count / seconds).toLocaleString('en')} rows/s, ${Math.round(count / (cpuSeconds() - cpu)).toLocaleString('en')} a second of CPU time, ${peakMB.toFixed(0)} MB at most`);
}

/** Tokens a second of tokenise + mask + pack + collate, and of a step of the built-in model on a software adapter. */
export function feeding(): void {
  const count = 20_000;
  const cpu = cpuSeconds();
  let tokens = 0;
  for (let from = 0; from < count; from += 64) {
    const rows = Array.from({ length: 64 }, (_, i) => encodedAt(from + i));
    const packs = packFirstFit(rows.map((_, i) => i), rows.map(({ inputIds }) => inputIds.length), MAX_LENGTH);
    for (const { length } of packs.map((pack) => collatePacked([pack.map((i) => rows[i]!)]).inputIds)) if (length === 0) throw new Error('an empty batch');
    tokens += rows.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  }
  const speed = tokens / (cpuSeconds() - cpu);
  console.log(`Feeding       ${Math.round(speed).toLocaleString('en')} tokens a second of CPU time: tokenise, mask, pack and collate, one thread`);

  const folder = mkdtempSync(join(tmpdir(), 'etude-bench-step-'));
  try {
    const recipe = recipeSchema.parse({ data: { maxLength: MAX_LENGTH }, training: { maxSteps: 6, perDeviceTrainBatchSize: 8, gradientAccumulationSteps: 1 } });
    writeFileSync(join(folder, 'recipe.json'), JSON.stringify(recipe));
    const ran = spawnSync(process.execPath, [join(root, 'scripts/run-ts.mjs'), join(root, 'src/cli/finetune.ts'), '--model', 'builtin', '--data', 'builtin', '--runtime', 'node', '--recipe', join(folder, 'recipe.json'), '--out', join(folder, 'out')], { encoding: 'utf8', cwd: root });
    if (ran.status !== 0) throw new Error(`the training run failed:\n${ran.stdout}\n${ran.stderr}`);
    const speeds = readFileSync(join(folder, 'out', 'metrics.jsonl'), 'utf8').trimEnd().split('\n').map((line) => (JSON.parse(line) as { tokens_per_second: number }).tokens_per_second);
    const step = Math.max(...speeds);
    const device = /^Device +(.*)$/m.exec(ran.stdout)?.[1] ?? 'unknown device';
    console.log(`  beside      a step of the built-in model: ${Math.round(step).toLocaleString('en')} tokens/s at best, ${(speed / step).toFixed(0)} times slower, on ${device}`);
    console.log('              compare a graphics card’s step, as `npm run bench` prints it, with the line above');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** JavaScript memory while 500 windows of 4 x 4 shuffled rows are read and encoded, at a thousand and at more rows. Gives whether it is flat. */
export async function loaderMemory(counts: readonly number[]): Promise<boolean> {
  const peaks: number[] = [];
  for (const count of counts) {
    const before = heapMB();
    const loader = new DataLoader(async (indices) => indices.map(encodedAt), {
      rows: new Int32Array(count).map((_, i) => i), lengths: new Int32Array(count).fill(30), batchSize: 4, gradientAccumulationSteps: 4, seed: 42, shuffle: true, packing: false, maxLength: MAX_LENGTH,
    });
    let [peak, windows, epoch] = [0, 0, 0];
    while (windows < 500) {
      for await (const window of loader.windows({ epoch: epoch++, window: 0 })) {
        if (window.batches.length === 0) throw new Error('an empty window');
        peak = Math.max(peak, heapMB());
        if (++windows >= 500) break;
      }
    }
    peaks.push(peak - before);
  }
  console.log(`Loader memory ${counts.map((count, i) => `${peaks[i]!.toFixed(0)} MB over ${count.toLocaleString('en')} rows`).join(', ')}, garbage included, while 8,000 rows are drawn`);
  return (peaks.at(-1)! - peaks[0]!) * 1e6 < BYTES_A_ROW * counts.at(-1)! + 32e6;
}
