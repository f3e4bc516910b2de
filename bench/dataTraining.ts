/**
 * What understanding and feeding a dataset cost, for `npm run bench:data`: the report's pass over many rows, tokenise + mask +
 * pack beside a training step, and the loader's memory at a thousand and at a million rows. Rows are made as they are asked for.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

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
/** The loader holds its rows, their lengths and the shuffled order, 4 bytes each, or with packing where each pack starts, and nothing else that grows. */
const BYTES_A_ROW = 16;
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
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
/** Arrays' memory is given back some time after they are collected. */
const liveMB = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return heapMB();
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

/** Whatever the number of rows, their texts are these: the pieces that the tokenizer remembers, at most 50,000, are no part of the loader. */
const TEXTS = 1000;
/** What is held, and the most there is with garbage, MB, while 500 windows of 4 x 4 shuffled rows are read and encoded. */
async function loaderMB(count: number, packing: boolean): Promise<{ held: number; most: number }> {
  const before = await liveMB();
  const rows = new Int32Array(count);
  for (let row = 0; row < count; row++) rows[row] = row;
  const loader = new DataLoader(async (indices) => indices.map((index) => encodedAt(index % TEXTS)), {
    rows, lengths: new Int32Array(count).fill(30), batchSize: 4, gradientAccumulationSteps: 4, seed: 42, shuffle: true, packing, maxLength: MAX_LENGTH,
  });
  let [held, most, windows, epoch] = [0, 0, 0, 0];
  while (windows < 500) {
    for await (const window of loader.windows({ epoch: epoch++, window: 0 })) {
      if (window.batches.length === 0) throw new Error('an empty window');
      most = Math.max(most, heapMB() - before);
      if (++windows % 100 === 0) held = Math.max(held, (await liveMB()) - before);
      if (windows >= 500) break;
    }
  }
  return { held, most };
}

/** The loader's memory at a thousand and at more rows: what the order and the lengths take. Gives whether no more is held. */
export async function loaderMemory(counts: readonly number[]): Promise<boolean> {
  let flat = true;
  for (const packing of [false, true]) {
    // What code, caches and tables take is there before.
    await loaderMB(counts[0]!, packing);
    const used: { held: number; most: number }[] = [];
    for (const count of counts) used.push(await loaderMB(count, packing));
    console.log(`Loader memory ${counts.map((count, i) => `${used[i]!.held.toFixed(1)} MB held and ${used[i]!.most.toFixed(0)} MB with garbage over ${count.toLocaleString('en')} rows`).join(', ')}${packing ? ', packed' : ''}`);
    flat &&= (used.at(-1)!.held - used[0]!.held) * 1e6 < BYTES_A_ROW * counts.at(-1)! + 4e6;
  }
  return flat;
}
