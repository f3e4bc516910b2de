/**
 * A checkpoint of the size and shapes of Llama-3.2-1B (2.47 GB of bf16) goes through the cache to the GPU: how much memory
 * JavaScript holds on the way, and how fast against reading the same bytes and doing nothing with them.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FolderDisk } from '../../src/cli/folderDisk.ts';
import { openEngine } from '../../src/engine/device.ts';
import type { ByteSource } from '../../src/formats/byteSource.ts';
import { firstNonFinite } from '../../src/formats/halfFloats.ts';
import { streamTensor, type TensorEntry } from '../../src/formats/safetensors.ts';
import { openModelWeights } from '../../src/hub/modelFolder.ts';
import { ModelCache } from '../../src/hub/modelCache.ts';
import { expectedTensors } from '../../src/model/expectedTensors.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { destroyWeights, loadWeights } from '../../src/model/weights.ts';
import { testGpu } from '../setup/gpu.ts';

const LIMIT = 300e6;
const CHUNK = 8 * 1024 * 1024;
const REPO = 'meta-llama/Llama-3.2-1B';
const COMMIT = 'c'.repeat(40);

const CONFIG = {
  architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 16, num_attention_heads: 32, num_key_value_heads: 8, head_dim: 64,
  vocab_size: 128_256, max_position_embeddings: 131_072, rms_norm_eps: 1e-5, rope_theta: 500_000, tie_word_embeddings: true, bos_token_id: 128_000, eos_token_id: 128_001,
  rope_scaling: { factor: 32, high_freq_factor: 4, low_freq_factor: 1, original_max_position_embeddings: 8192, rope_type: 'llama3' },
};

/** Outside the repository; one stretch of values again and again. */
function writeCheckpoint(path: string): number {
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const { name, shape } of expectedTensors(parseModelConfig(CONFIG))) {
    const bytes = 2 * shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  const values = new Uint16Array(CHUNK / 2).map((_, i) => 0x3c00 + ((i * 2654435761) >>> 25));
  const stretch = new Uint8Array(values.buffer);
  const file = openSync(path, 'w');
  writeSync(file, prefix);
  writeSync(file, json);
  for (let done = 0; done < at; done += CHUNK) writeSync(file, stretch, 0, Math.min(CHUNK, at - done));
  closeSync(file);
  return 8 + json.length + at;
}

let folder: string;
let files: Map<string, ByteSource>;
let bytes: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'etude-large-'));
  const cache = new ModelCache(new FolderDisk(folder));
  const config = JSON.stringify(CONFIG);
  const inside = (name: string): string => join(folder, 'models', cache.folderOf(REPO, COMMIT), name);
  await cache.disk.writeText(cache.folderOf(REPO, COMMIT), 'config.json', config);
  bytes = writeCheckpoint(inside('model.safetensors'));
  const listed = [{ path: 'config.json', bytes: config.length }, { path: 'model.safetensors', bytes }].map((file) => ({ ...file, oid: '0'.repeat(40), sha256: null }));
  for (const { path } of listed) writeFileSync(inside(`${path}.checked`), '');
  const snapshot = await cache.begin({ repo: REPO, commit: COMMIT, revisions: ['main'], files: listed }, Date.now());
  if (!snapshot.complete) throw new Error('the cache does not take the files as complete');
  files = await cache.sources(snapshot);
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Seconds to read every byte of the weights in the same slices. */
async function plainRead(): Promise<number> {
  const source = files.get('model.safetensors')!;
  const started = performance.now();
  for (let at = 0; at < source.size; at += CHUNK) await source.read(at, Math.min(source.size, at + CHUNK));
  return (performance.now() - started) / 1000;
}

/** Seconds to read every tensor and look at every value, with no GPU behind. */
async function readAndCheck(tensors: Iterable<TensorEntry>): Promise<number> {
  const started = performance.now();
  for (const entry of tensors) {
    for await (const { bytes: piece } of streamTensor(entry, CHUNK)) if (firstNonFinite(piece, 'BF16') >= 0) throw new Error(entry.name);
  }
  return (performance.now() - started) / 1000;
}

test(`a checkpoint of 2.47 GB reaches the GPU with less than ${LIMIT / 1e6} MB in JavaScript's memory`, async () => {
  expect(bytes).toBeGreaterThan(2.47e9);
  const engine = await openEngine(await testGpu());
  await plainRead();
  const plain = await plainRead();
  const held = (): number => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = held();
  let peak = before;
  const { config, tensors } = await openModelWeights(REPO, files);
  const checked = await readAndCheck(tensors.values());
  const started = performance.now();
  const weights = await loadWeights(engine, parseModelConfig(config), tensors, { onProgress: () => { peak = Math.max(peak, held()); } });
  const seconds = (performance.now() - started) / 1000;
  const speed = (s: number): string => `${Math.round(bytes / 1e6 / s)} MB/s`;
  console.log(`Loaded ${(bytes / 1e9).toFixed(2)} GB in ${seconds.toFixed(1)} s (${speed(seconds)}); read and checked without a GPU: ${checked.toFixed(1)} s (${speed(checked)}); a plain read of the same bytes: ${plain.toFixed(1)} s (${speed(plain)})`);
  console.log(`JavaScript's memory: ${Math.round(before / 1e6)} MB before, ${Math.round(peak / 1e6)} MB at its peak`);
  expect(weights.parameters).toBe(1_235_814_400);
  expect(peak).toBeLessThan(LIMIT);
  destroyWeights(engine, weights);
  engine.destroy();
});
