/**
 * Embeddings and heads of the largest vocabularies at their true size, on a device that binds 128 MiB at a time: lookups, logits, loss
 * and gradient beside f64. What the parts hold between them is 0.3 GB of random bf16.
 */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { TARGET_MODULES } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { testGpu } from '../setup/gpu.ts';
import { checkVocabulary } from '../setup/largeVocabulary.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine(await testGpu(), { maxBinding: 128 * 1024 * 1024 });
});
afterAll(() => engine.destroy());

describe('with 128 MiB bindings', () => {
  it.each([
    ['Gemma 3 270M', { vocabSize: 262_144, hiddenSize: 640, finalSoftcap: 4 }, 3, 128],
    ['Qwen2.5 0.5B', { vocabSize: 151_936, hiddenSize: 896, finalSoftcap: null }, 3, 220],
  ] as const)('%s: %o lies in %i parts and gives the f64 loss, logits and gradient in chunks of at most %i rows', async (_, sizes, parts, chunkRows) => {
    await checkVocabulary(engine, sizes, { parts, chunkRows, modules: TARGET_MODULES });
  });
});
