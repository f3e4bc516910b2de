/**
 * What a large dataset costs: node scripts/run-ts.mjs bench/data.ts [--rows 1000000] [--bytes-a-row 1000] [--near]
 * Makes a JSONL file, splits it into lines plainly, imports it (every row parsed, checked and written to disk in the
 * chunks the store would write), starts epochs over as many rows, and looks at them as the table does: filtered, sorted,
 * searched. Memory is all of JavaScript's, garbage included. Then what dataTraining.ts measures. With --near, what
 * dataNear.ts measures in its place.
 */
import { createReadStream, createWriteStream, openAsBlob, type WriteStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { deserialize, serialize } from 'node:v8';

import { importDataset, type ImportTarget } from '../src/data/importers/importDataset.ts';
import { DataLoader } from '../src/data/loader.ts';
import type { Columns } from '../src/data/table/columns.ts';
import { TableIndex } from '../src/data/table/tableIndex.ts';
import { matcher, searchRows } from '../src/data/table/textSearch.ts';
import type { RowView } from '../src/data/table/types.ts';
import type { EncodedRow, StoredRow } from '../src/data/types.ts';
import { nearCopies } from './dataNear.ts';
import { feeding, loaderMemory, reportPass } from './dataTraining.ts';

const MB = 1e6;
const HEAP_LIMIT_MB = 400;
const VIEW_LIMIT_MS = 200;
/** For a million rows. */
const SEARCH_LIMIT_MS = 30_000;
const REPORT_ROWS = 100_000;
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

/** What an import left on disk. */
interface Kept {
  /** Where each chunk of rows ends in the file, bytes. */
  ends: number[];
  /** Columns and hashes as they were written, bytes each. */
  columns: Buffer[];
  repeats: Int32Array;
}

/** Keeps rows on disk as IndexedDB does: cloned, in chunks. */
function diskTarget(file: WriteStream, kept: Kept): ImportTarget {
  let pending: StoredRow[] = [];
  let index = 0;
  const flush = async (): Promise<void> => {
    const bytes = serialize(pending);
    pending = [];
    kept.ends.push((kept.ends.at(-1) ?? 0) + bytes.length);
    if (!file.write(bytes)) await once(file, 'drain');
  };
  return {
    create: async (id) => ({
      id,
      add: async (line, value) => {
        pending.push({ index: index++, line, value });
        if (pending.length >= CHUNK_ROWS) await flush();
      },
      putColumns: async (_, columns, hashes) => {
        // The hashes are written and not read here.
        kept.columns.push(serialize(columns));
        serialize(hashes);
      },
      putRepeats: async (rows) => void (kept.repeats = rows),
      finish: async (summary) => {
        await flush();
        return summary;
      },
      abort: async () => undefined,
    }),
  };
}

/** `tenths`: rows a second of CPU time, which other work on the machine does not change, in each tenth of the file. */
interface Imported { seconds: number; cpuSeconds: number; rows: number; peakMB: number; tenths: number[]; kept: Kept }
async function imported(path: string, out: string, expected: number): Promise<Imported> {
  const file = createWriteStream(out);
  const kept: Kept = { ends: [], columns: [], repeats: new Int32Array() };
  const before = performance.now();
  let peakMB = 0;
  let next = 0;
  const cpuSeconds = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  const cpuBefore = cpuSeconds();
  let mark = { rows: 0, at: cpuBefore };
  const tenths: number[] = [];
  const summary = await importDataset({ name: 'rows.jsonl', blob: await openAsBlob(path), kind: 'file' }, diskTarget(file, kept), {
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
  return { seconds: (performance.now() - before) / 1000, cpuSeconds: cpuSeconds() - cpuBefore, rows: summary.rows, peakMB, tenths, kept };
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

/** The table of what was imported: opened, then filtered and sorted by every column. Gives the slowest of the views, ms. */
function views(kept: Kept): number {
  const opened = performance.now();
  const table = new TableIndex(kept.columns.map((bytes) => deserialize(bytes) as Columns), kept.repeats);
  const openMs = performance.now() - opened;
  const bytes = kept.columns.reduce((sum, { length }) => sum + length, 0);
  console.log(`Table         ${(bytes / table.rows).toFixed(0)} bytes a row, opened in ${openMs.toFixed(0)} ms`);
  const all: RowView['where'] = {};
  const asked: [name: string, where: RowView['where'], by: RowView['sort']['by']][] = [
    ['all rows', all, 'row'], ['by quality', all, 'quality'], ['by task', all, 'task'], ['by answer', all, 'answer'], ['by prompt', all, 'prompt'], ['by length', all, 'total'],
    ['half of them by answer', { quality: [0, 100], answer: [850, 1e6], task: ['question-answering', 'other'] }, 'answer'],
  ];
  const found = new Int32Array(table.rows >> 1).map((_, i) => 2 * i);
  const times = asked.map(([name, where, by], i) => {
    const begun = performance.now();
    const rows = table.sort(table.filter({ search: '', where, sort: { by, descending: true } }, i === asked.length - 1 ? found : null), { by, descending: true });
    return { words: `${name} ${(performance.now() - begun).toFixed(0)} ms`, ms: performance.now() - begun, rows: rows.length };
  });
  console.log(`Views         ${times.map(({ words }) => words).join(', ')} (limit ${VIEW_LIMIT_MS} each; ${times.at(-1)!.rows.toLocaleString('en')} rows in the last)`);
  return Math.max(...times.map(({ ms }) => ms));
}

/** Looks through all rows on disk for a text that one row in a thousand has, and for one that none has. Gives the slower, ms. */
async function searches(path: string, kept: Kept, rows: number): Promise<number> {
  const run = async (search: string): Promise<{ firstMs: number; ms: number; hits: number }> => {
    const file = await open(path);
    const begun = performance.now();
    let [firstMs, hits] = [0, 0];
    const batches = async function* (): AsyncGenerator<StoredRow[]> {
      let at = 0;
      for (let chunk = 0, size = 1; chunk < kept.ends.length; chunk += size, size = Math.min(16, size * 2)) {
        const ends = kept.ends.slice(chunk, chunk + size);
        const bytes = Buffer.alloc(ends.at(-1)! - at);
        await file.read(bytes, 0, bytes.length, at);
        const from = at;
        yield ends.flatMap((end) => {
          const part = bytes.subarray(at - from, end - from);
          at = end;
          return deserialize(part) as StoredRow[];
        });
      }
    };
    await searchRows(batches(), matcher(search), () => true, (found) => {
      if (hits === 0 && found.length > 0) firstMs = performance.now() - begun;
      hits += found.length;
    }, new AbortController().signal);
    await file.close();
    return { firstMs, ms: performance.now() - begun, hits };
  };
  const common = await run('QUESTION 77');
  const none = await run('no row says this');
  console.log(`Search        first hit after ${common.firstMs.toFixed(0)} ms, all ${rows.toLocaleString('en')} rows in ${(common.ms / 1000).toFixed(1)} s (${common.hits.toLocaleString('en')} hits) and ${(none.ms / 1000).toFixed(1)} s (none)`);
  return Math.max(common.ms, none.ms);
}

export async function main(words: string[]): Promise<number> {
  const { values } = parseArgs({ args: words, options: { rows: { type: 'string', default: '1000000' }, 'bytes-a-row': { type: 'string', default: '1000' }, near: { type: 'boolean', default: false } } });
  const rows = Number(values.rows);
  if (values.near) {
    await nearCopies(rows);
    return 0;
  }
  const folder = await mkdtemp(join(tmpdir(), 'etude-bench-data-'));
  try {
    const path = join(folder, 'rows.jsonl');
    const store = join(folder, 'store.bin');
    const bytes = await write(path, rows, Number(values['bytes-a-row']));
    console.log(`File          ${rows.toLocaleString('en')} rows, ${(bytes / MB).toFixed(0)} MB`);
    const plain = await plainSplit(path);
    console.log(`Plain split   ${plain.seconds.toFixed(1)} s, ${Math.round(rows / plain.seconds).toLocaleString('en')} rows/s, ${(bytes / MB / plain.seconds).toFixed(0)} MB/s`);
    const { seconds, cpuSeconds, peakMB, tenths, kept } = await imported(path, store, rows);
    console.log(`Import        ${seconds.toFixed(1)} s, ${Math.round(rows / seconds).toLocaleString('en')} rows/s, ${(bytes / MB / seconds).toFixed(0)} MB/s, ${(seconds / plain.seconds).toFixed(1)} x the plain split; ${((1e6 * cpuSeconds) / rows).toFixed(0)} µs of CPU time a row`);
    console.log(`  by tenths   ${tenths.map((speed) => Math.round(speed / 1000)).join(' ')} thousand rows a second of CPU time`);
    console.log(`  JS memory   ${peakMB.toFixed(0)} MB at most (limit ${HEAP_LIMIT_MB})`);
    const { first, second, heldMB } = await epochs(rows);
    console.log(`Epoch start   ${first.toFixed(0)} ms with making the loader, ${second.toFixed(0)} ms for the next; ${heldMB.toFixed(0)} MB held`);
    const viewsMs = views(kept);
    const searchMs = await searches(store, kept, rows);
    await reportPass(Math.min(rows, REPORT_ROWS));
    feeding();
    const flat = await loaderMemory([1000, rows]);
    return flat && peakMB < HEAP_LIMIT_MB && first < 1000 && second < 1000 && viewsMs < VIEW_LIMIT_MS && searchMs < (SEARCH_LIMIT_MS * rows) / 1e6 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true });
  }
}
