/** A hub with a few made-up repositories, and a cache in a folder of its own, for tests of the hub's room. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { FolderDisk } from '../../src/cli/folderDisk.ts';
import { EtudeError } from '../../src/config/errors.ts';
import { HubModels, type CachedFolder, type HubModelsOptions } from '../../src/hub/hubModels.ts';
import { HubServer, type HubServerOptions, type TestRepo } from '../setup/hubServer.ts';

export const MAIN = 'a'.repeat(40);
export const OLDER = 'b'.repeat(40);
export const TOKEN = 'hf_ThisTokenMustNotLeak';

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Bytes that differ everywhere, the same for the same seed. */
export function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = seed * 2654435761 + 1;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

export const SHARD = 1_000_003;
/** A model folder of three shards of a megabyte; the weights are noise. */
export const modelFiles = (seed = 1): Map<string, Uint8Array> => new Map([
  ['.gitattributes', text('')],
  ['README.md', text('a model')],
  ['config.json', text({ architectures: ['LlamaForCausalLM'], seed })],
  ['tokenizer.json', noise(70_000, seed + 7)],
  ['tokenizer_config.json', text({ chat_template: '{{ messages }}' })],
  ['onnx/model.onnx', noise(50_000, 3)],
  ['model.safetensors.index.json', text({ weight_map: {} })],
  ...[1, 2, 3].map((i) => [`model-0000${i}-of-00003.safetensors`, noise(SHARD, seed * 10 + i)] as const),
]);

export const repo = (more: Partial<TestRepo> = {}): TestRepo => ({
  commits: { [MAIN]: modelFiles(), [OLDER]: modelFiles(2) }, refs: { main: MAIN, old: OLDER }, largeFrom: 100_000,
  info: { downloads: 12, likes: 3, tags: ['license:apache-2.0', 'safetensors'], config: { architectures: ['LlamaForCausalLM'] }, safetensors: { total: 1234 } }, ...more,
});

export interface Bench {
  hub: HubServer;
  /** A visit: HubModels on the same cache, as after a reload. */
  visit: (options?: Partial<HubModelsOptions>) => HubModels;
  disk: FolderDisk;
  folder: string;
}

const open: { close(): Promise<void> }[] = [];
export const closeAll = async (): Promise<void> => {
  for (const one of open.splice(0)) await one.close();
};

export async function bench(options: Partial<HubServerOptions> = {}): Promise<Bench> {
  const hub = await HubServer.start({ repos: { 'org/model': repo() }, ...options });
  const folder = mkdtempSync(join(tmpdir(), 'etude-hub-'));
  open.push({ async close() {
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  } });
  const disk = new FolderDisk(folder);
  return {
    hub, folder, disk,
    visit: (more = {}) => new HubModels({ endpoint: hub.origin, disk, firstPause: 5, rangeBytes: 200_000, stall: 500, ...more }),
  };
}

export const never = new AbortController().signal;
export const openModel = (models: HubModels, name = 'org/model', revision?: string): Promise<CachedFolder> => models.open(name, revision, { signal: never });

const hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The folder holds these files of a commit, byte for byte, and no others. */
export async function expectFiles(folder: CachedFolder, files: Map<string, Uint8Array>): Promise<void> {
  const wanted = [...files].filter(([path]) => !path.includes('/') && !['.gitattributes', 'README.md'].includes(path));
  expect([...folder.files.keys()].sort()).toEqual(wanted.map(([path]) => path).sort());
  for (const [path, bytes] of wanted) {
    const source = folder.files.get(path)!;
    expect([path, hex(await source.read(0, source.size))]).toEqual([path, hex(bytes)]);
  }
}

export async function refusal(work: Promise<unknown>): Promise<EtudeError> {
  const error = await work.then(() => null, (e: unknown) => e);
  expect(error).toBeInstanceOf(EtudeError);
  const { userMessage } = error as EtudeError;
  expect(userMessage.what.length).toBeGreaterThan(10);
  expect(userMessage.nextStep, userMessage.code).toBeTruthy();
  expect(JSON.stringify(userMessage)).not.toContain(TOKEN);
  return error as EtudeError;
}
