/**
 * Files that lie: whatever a model folder or an adapter claims, loading ends in what was stored or in a refusal in words,
 * soon and without reading more than the files can honestly need. `npm run proof` tries thirty times as many cases.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EtudeError } from '../../src/config/errors.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import { sourceFromBytes, type ByteSource } from '../../src/formats/byteSource.ts';
import { openSafetensors, readBytes } from '../../src/formats/safetensors.ts';
import { openAdapterFolder } from '../../src/hub/adapterFolder.ts';
import { openModelFolder } from '../../src/hub/modelFolder.ts';
import { checkTensors } from '../../src/model/expectedTensors.ts';
import { modulePath, projectionShape } from '../../src/model/lora.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { TARGET_MODULES } from '../../src/config/recipe.ts';
import { runs } from '../setup/fuzz.ts';
import { ADAPTER_LIES, adapterFiles, CONFIG, joinFile, MODEL_LIES, modelFiles, SHARDS, vastFile, type Files } from './lies.ts';

/** Bytes a load may read: the honest files take 100 kB. */
const MOST_READ = 10_000_000;
/** Milliseconds of processor time a case may take; the honest load takes a few. */
const MOST_TIME = 10_000;
let cases = 0;

let bytesRead = 0;
const counted = (source: ByteSource): ByteSource => ({ ...source, read: (start, end) => { bytesRead += end - start; return source.read(start, end); } });
const sources = (files: Files): Map<string, ByteSource> =>
  new Map([...files].map(([name, content]) => [name, counted(content instanceof Uint8Array ? sourceFromBytes(content, name) : content)]));

/** What LoadedModel.load does before the GPU comes in, and every byte of every tensor. */
async function loadModel(files: Files): Promise<Map<string, string>> {
  const folder = await openModelFolder('tiny', sources(files));
  checkTensors(folder.tensors, parseModelConfig(folder.config, folder.generationConfig ?? undefined));
  loadTokenizer(folder.tokenizerJson, folder.tokenizerConfig, folder.chatTemplate);
  const entries = [...folder.tensors].map(async ([name, entry]) => [name, `${entry.dtype} ${entry.shape.join()} ${Buffer.from(await readBytes(entry)).toString('base64')}`] as const);
  return new Map(await Promise.all(entries));
}

const base = parseModelConfig(CONFIG);
const MODULES = new Map(Array.from({ length: base.numHiddenLayers }, (_, layer) => TARGET_MODULES.map((m) => [modulePath(layer, m), projectionShape(base, m)] as const)).flat());
const loadAdapter = (files: Files) => openAdapterFolder('tiny', sources(files), { modules: MODULES });

async function outcome(load: () => Promise<unknown>): Promise<unknown> {
  cases++;
  bytesRead = 0;
  const before = process.cpuUsage();
  const result = await load().catch((error: unknown) => error);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(MOST_TIME);
  expect(bytesRead).toBeLessThan(MOST_READ);
  return result;
}

async function isRefused(load: () => Promise<unknown>): Promise<void> {
  const error = await outcome(load);
  if (!(error instanceof EtudeError)) throw error instanceof Error ? error : new Error('It was loaded.');
  const { what, nextStep } = error.userMessage;
  expect(what.length).toBeLessThan(1000);
  expect(what).not.toMatch(/undefined|\[object|Maximum call stack|Cannot read/);
  expect(nextStep).toBeTruthy();
}

describe('the honest files', () => {
  it('load, so that a refusal is the lie’s doing', async () => {
    expect((await loadModel(modelFiles())).size).toBe(20);
    expect((await loadAdapter(adapterFiles())).tensors.size).toBe(8);
  });
});

describe('a model folder', () => {
  it.each(MODEL_LIES)('with $name is refused in words', async ({ draw }) => {
    await fc.assert(fc.asyncProperty(draw, async (tell) => {
      const files = modelFiles();
      tell(files);
      await isRefused(() => loadModel(files));
    }), { numRuns: runs(5) });
  });

  it('with any bytes of a header changed loads as it was or is refused', async () => {
    const honest = await loadModel(modelFiles());
    const shard = modelFiles().get(SHARDS[0]) as Uint8Array;
    const headerEnd = 8 + Number(new DataView(shard.buffer).getBigUint64(0, true));
    const edits = fc.array(fc.tuple(fc.nat(headerEnd - 1), fc.oneof(fc.nat(255), fc.constantFrom(...'0123456789[]{},:"'.split('').map((c) => c.charCodeAt(0))))), { minLength: 1, maxLength: 4 });
    await fc.assert(fc.asyncProperty(edits, async (changes) => {
      const files = modelFiles();
      const bytes = files.get(SHARDS[0]) as Uint8Array;
      for (const [place, value] of changes) bytes[place] = value;
      const result = await outcome(() => loadModel(files));
      if (result instanceof EtudeError) return;
      if (result instanceof Error) throw result;
      for (const [name, tensor] of honest) expect((result as Map<string, string>).get(name), name).toBe(tensor);
    }), { numRuns: runs(50) });
  });
});

describe('an adapter', () => {
  it.each(ADAPTER_LIES)('with $name is refused in words', async ({ draw }) => {
    await fc.assert(fc.asyncProperty(draw, async (tell) => {
      const files = adapterFiles();
      tell(files);
      await isRefused(() => loadAdapter(files));
    }), { numRuns: runs(5) });
  });
});

describe('the largest header that is read', () => {
  const SIZE = 4_000_000;
  const repeat = (unit: string) => unit.repeat(Math.floor((SIZE - 100) / unit.length));
  it.each([
    ['nested lists', () => `{"a":${repeat('[')}`],
    ['closed nested lists', () => `{"a":${'['.repeat(SIZE / 2 - 50)}${']'.repeat(SIZE / 2 - 50)}}`],
    ['numbers', () => `{"a":[${repeat('1,')}1]}`],
    ['one long name', () => `{"${repeat('a')}":1}`],
    ['many names', () => `{${Array.from({ length: SIZE / 16 }, (_, i) => `"${i.toString(36).padStart(6, '0')}":{}`).join(',')}}`],
    ['escapes', () => `{"${repeat('\\u0061')}":{}}`],
  ])('of %s is refused in bounded time and memory', async (_, header) => {
    const file = joinFile(header(), new Uint8Array(0));
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    await isRefused(() => openSafetensors(counted(sourceFromBytes(file, 'model.safetensors'))));
    expect(process.memoryUsage().rss - before).toBeLessThan(400_000_000);
  });

  it('is the most that is ever read of a file that claims more', async () => {
    const head = new Uint8Array(8);
    new DataView(head.buffer).setBigUint64(0, 4_000_001n, true);
    await isRefused(() => openSafetensors(counted(vastFile('model.safetensors', 2 ** 40, head))));
    expect(bytesRead).toBe(8);
  });
});

describe('the lies told above', () => {
  it('are more than 5,000 in `npm run proof`', () => {
    console.log(`${cases} lies told to the loaders`);
    expect(cases).toBeGreaterThan(runs(170));
  });
});
