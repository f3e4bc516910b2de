/**
 * What a large dataset costs: node scripts/run-ts.mjs bench/data.ts [--rows 1000000] [--bytes-a-row 1000]
 * Makes a JSONL file, splits it into lines plainly, imports it (every row parsed, checked and written to disk in the
 * chunks the store would write), and starts epochs over as many rows. Memory is all of JavaScript's, garbage included.
 */
import { createReadStream, createWriteStream, openAsBlob, type WriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { serialize } from 'node:v8';

import { importDataset, type ImportTarget } from '../src/data/importers/importDataset.ts';
import { DataLoader } from '../src/data/loader.ts';
import type { EncodedRow } from '../src/data/types.ts';

const MB = 1e6;
const HEAP_LIMIT_MB = 400;
const CHUNK_ROWS = 64;
const LOREM = 'The river begins in the hills and runs through three towns before it reaches the sea; in spring its water is cold, quick and brown. ';

async function write(path: string, rows: number, bytesARow: number): Promise<number> {
  const file = createWriteStream(path);
  let bytes = 0;
  for (let i = 0; i < rows; i++) {
    const filler = bytesARow - 120;
    const line = `${JSON.stringify({ instruction: `Question ${i}: what does line ${i * 7} say?`, input: '', output: `Answer ${i}. ${LOREM.repeat(Math.ceil(filler / LOREM.length)).slice(0, filler - (i % 50))}` })}\n`;
    bytes += line.length;
    if (!file.write(line)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
  return bytes;
}

const heapMB = (): number => {
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MB;
};

/** Lines of the file, decoded and counted, nothing else. */
async function plainSplit(path: string): Promise<{ seconds: number; lines: number; chars: number }> {
  const begun = performance.now();
  const decoder = new TextDecoder();
  let [lines, chars, rest] = [0, 0, ''];
  for await (const chunk of createReadStream(path, { highWaterMark: 64 * 1024 })) {
    const text = rest + decoder.decode(chunk as Uint8Array, { stream: true });
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      lines++;
      chars += text.slice(from, at).length;
      from = at + 1;
    }
    rest = text.slice(from);
  }
  return { seconds: (performance.now() - begun) / 1000, lines, chars };
}

/** Keeps rows on disk as IndexedDB does: cloned, in chunks. */
function diskTarget(file: WriteStream): ImportTarget {
  let pending: unknown[] = [];
  const flush = async (): Promise<void> => {
    const bytes = serialize(pending);
    pending = [];
    if (!file.write(bytes)) await once(file, 'drain');
  };
  return {
    create: async (id) => ({
      id,
      add: async (line, value) => {
        pending.push({ line, value });
        if (pending.length >= CHUNK_ROWS) await flush();
      },
      finish: async (summary) => {
        await flush();
        return summary;
      },
      abort: async () => undefined,
    }),
  };
}

/** `tenths`: rows a second of CPU time, which other work on the machine does not change, in each tenth of the file. */
interface Imported { seconds: number; rows: number; peakMB: number; tenths: number[] }
async function imported(path: string, out: string, expected: number): Promise<Imported> {
  const file = createWriteStream(out);
  const before = performance.now();
  let peakMB = 0;
  let next = 0;
  const cpuSeconds = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  let mark = { rows: 0, at: cpuSeconds() };
  const tenths: number[] = [];
  const summary = await importDataset({ name: 'rows.jsonl', blob: await openAsBlob(path), kind: 'file' }, diskTarget(file), {
    onProgress: ({ bytes, rows }) => {
      if (bytes < next) return;
      next = bytes + 4 * MB;
      peakMB = Math.max(peakMB, heapMB());
      if (rows >= ((tenths.length + 1) * expected) / 10) {
        const now = cpuSeconds();
        tenths.push((rows - mark.rows) / (now - mark.at));
        mark = { rows, at: now };
      }
    },
  });
  file.end();
  await once(file, 'close');
  if (summary.rows !== expected || summary.skipped !== 0) throw new Error(`${summary.rows} rows and ${summary.skipped} skipped, of ${expected}`);
  return { seconds: (performance.now() - before) / 1000, rows: summary.rows, peakMB, tenths };
}

/** From a shuffled epoch's beginning to its first window, and how much memory the loader holds. */
async function epochs(rows: number): Promise<{ first: number; second: number; heldMB: number }> {
  const empty = (index: number): EncodedRow => ({ index, inputIds: Int32Array.of(1, 2), labels: Int32Array.of(-100, 2), fullLength: 2, numTargets: 1 });
  const before = heapMB();
  const start = performance.now();
  const loader = new DataLoader(async (indices) => indices.map(empty), {
    rows: new Int32Array(rows).map((_, i) => i), lengths: new Int32Array(rows).fill(2), batchSize: 4, gradientAccumulationSteps: 4, seed: 42, shuffle: true, packing: false, maxLength: 1024,
  });
  await loader.windows({ epoch: 0, window: 0 }).next();
  const first = performance.now() - start;
  const again = performance.now();
  await loader.windows({ epoch: 1, window: 0 }).next();
  return { first, second: performance.now() - again, heldMB: Math.max(0, heapMB() - before) };
}

export async function main(words: string[]): Promise<number> {
  const { values } = parseArgs({ args: words, options: { rows: { type: 'string', default: '1000000' }, 'bytes-a-row': { type: 'string', default: '1000' } } });
  const rows = Number(values.rows);
  const folder = await mkdtemp(join(tmpdir(), 'etude-bench-data-'));
  try {
    const path = join(folder, 'rows.jsonl');
    const bytes = await write(path, rows, Number(values['bytes-a-row']));
    console.log(`File          ${rows.toLocaleString('en')} rows, ${(bytes / MB).toFixed(0)} MB`);
    const plain = await plainSplit(path);
    console.log(`Plain split   ${plain.seconds.toFixed(1)} s, ${Math.round(rows / plain.seconds).toLocaleString('en')} rows/s, ${(bytes / MB / plain.seconds).toFixed(0)} MB/s`);
    const { seconds, peakMB, tenths } = await imported(path, join(folder, 'store.bin'), rows);
    console.log(`Import        ${seconds.toFixed(1)} s, ${Math.round(rows / seconds).toLocaleString('en')} rows/s, ${(bytes / MB / seconds).toFixed(0)} MB/s, ${(seconds / plain.seconds).toFixed(1)} x the plain split`);
    console.log(`  by tenths   ${tenths.map((speed) => Math.round(speed / 1000)).join(' ')} thousand rows a second of CPU time`);
    console.log(`  JS memory   ${peakMB.toFixed(0)} MB at most (limit ${HEAP_LIMIT_MB})`);
    const { first, second, heldMB } = await epochs(rows);
    console.log(`Epoch start   ${first.toFixed(0)} ms with making the loader, ${second.toFixed(0)} ms for the next; ${heldMB.toFixed(0)} MB held`);
    return peakMB < HEAP_LIMIT_MB && first < 1000 && second < 1000 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true });
  }
}
