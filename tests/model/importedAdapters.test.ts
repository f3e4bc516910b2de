/** Adapters that real PEFT saved, in every form Etude takes: read by the same code as a drop on the page, they compute what PEFT computes. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sourcesFromFolder } from '../../src/cli/fsSource.ts';
import { TARGET_MODULES } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { readTensor } from '../../src/engine/tensor.ts';
import { adapterTargets, writePeftAdapter, type AdapterState, type LoraModules } from '../../src/formats/peftAdapter.ts';
import { parsePeftConfig } from '../../src/formats/peftConfig.ts';
import { sourceFromBytes } from '../../src/formats/byteSource.ts';
import { openSafetensors, readF32, readI32, type SafetensorsFile } from '../../src/formats/safetensors.ts';
import { openAdapterFolder } from '../../src/hub/adapterFolder.ts';
import { openModelWeights } from '../../src/hub/modelFolder.ts';
import { flattenBatch, type BatchLike } from '../../src/model/batchInputs.ts';
import { batchLogits, type ModelOnGpu } from '../../src/model/inference.ts';
import { LoraAdapter, modulePath, projectionShape } from '../../src/model/lora.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { loadWeights } from '../../src/model/weights.ts';
import { STATS, TrainingPlan } from '../../src/train/plan.ts';
import { relativeL2 } from '../../src/worker/conformance/compare.ts';
import { LIMITS } from '../../src/worker/conformance/runCase.ts';
import { testGpu } from '../setup/gpu.ts';

const fixture = (path: string) => new URL(`../fixtures/${path}`, import.meta.url).pathname;

let engine: Engine;
let model: ModelOnGpu;
let modules: LoraModules;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
  const folder = await openModelWeights('llama_padded', await sourcesFromFolder(fixture('goldens/llama_padded')));
  const config = parseModelConfig(folder.config);
  model = { engine, config, weights: await loadWeights(engine, config, folder.tensors) };
  modules = new Map(Array.from({ length: config.numHiddenLayers }, (_, l) => TARGET_MODULES.map((m) => [modulePath(l, m), projectionShape(config, m)] as const)).flat());
});
afterAll(() => engine.destroy());

function adapterOf(state: AdapterState): LoraAdapter {
  const targets = adapterTargets(state);
  const { r, loraAlpha, useRslora, loraDropout } = state;
  const adapter = new LoraAdapter(engine, model.config, { r, loraAlpha, useRslora, loraDropout, targetModules: [...new Set(targets.map((t) => t.module))] }, targets);
  adapter.load(state.tensors);
  return adapter;
}

async function batchOf(expected: SafetensorsFile): Promise<BatchLike> {
  const ids = await readI32(expected.tensors.get('ids')!);
  return { shape: [1, ids.length], inputIds: ids, labels: ids, positions: Int32Array.from(ids, (_, i) => i), segments: new Int32Array(ids.length).fill(1) };
}

const CASES = ['pattern_ranks', 'some_layers_rslora', 'all_linear', 'excluded', 'full_paths'];

describe.each(CASES)('the adapter %s', (name) => {
  const folder = fixture(`peft/made/${name}`);

  it('gives PEFT’s logits, and after it was written anew the same bit for bit', async () => {
    const state = await openAdapterFolder(name, await sourcesFromFolder(folder), { modules });
    const expected = await openSafetensors((await sourcesFromFolder(folder)).get('expected.safetensors')!);
    const batch = await batchOf(expected);
    const adapter = adapterOf(state);
    const { logits } = await batchLogits(model, adapter, batch);
    const base = await batchLogits(model, null, batch);
    const theirs = await readF32(expected.tensors.get('logits')!);
    expect(relativeL2(logits, theirs)).toBeLessThan(LIMITS.logitsRel);
    expect(relativeL2(base.logits, theirs)).toBeGreaterThan(100 * LIMITS.logitsRel);

    const { configJson, safetensors } = writePeftAdapter(state);
    const files = new Map([['adapter_config.json', sourceFromBytes(new TextEncoder().encode(configJson), 'adapter_config.json')], ['adapter_model.safetensors', sourceFromBytes(safetensors, 'adapter_model.safetensors')]]);
    const again = adapterOf(await openAdapterFolder(name, files, { modules }));
    expect(Buffer.compare(Buffer.from((await batchLogits(model, again, batch)).logits.buffer), Buffer.from(logits.buffer))).toBe(0);
    adapter.destroy();
    again.destroy();
  });

  it('has PEFT’s loss and gradients, so that training goes on from it', async () => {
    const state = await openAdapterFolder(name, await sourcesFromFolder(folder), { modules });
    const expected = await openSafetensors((await sourcesFromFolder(folder)).get('expected.safetensors')!);
    const flat = flattenBatch(await batchOf(expected));
    const adapter = adapterOf(state);
    const plan = await TrainingPlan.create({
      ...model, adapter, maxTokens: flat.tokens, maxTargets: flat.targets, maxPositions: 16, loraDropout: 0,
      training: { adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 },
    });
    await plan.microBatch(flat, 1 / flat.targets, 0);
    const [loss] = await readF32(expected.tensors.get('loss')!);
    expect(Math.abs((await readTensor(engine, plan.stats))[STATS.loss]! - loss!)).toBeLessThan(LIMITS.loss * loss!);
    const grads = await adapter.read('grads');
    const theirs = [...expected.tensors.values()].filter((entry) => entry.name.startsWith('grad.'));
    expect(theirs.length).toBe(grads.size);
    for (const entry of theirs) expect(relativeL2(grads.get(entry.name.slice('grad.'.length))!.data, await readF32(entry)), entry.name).toBeLessThan(LIMITS.gradRel);
    plan.destroy();
    adapter.destroy();
  });
});

describe('what PEFT can write and Etude does not compute', () => {
  const { configs } = JSON.parse(readFileSync(fixture('peft/refused.json'), 'utf8')) as { configs: Record<string, Record<string, unknown>> };
  it.each(Object.keys(configs))('%s is refused by its name', (field) => {
    expect(() => parsePeftConfig(configs[field])).toThrow(field);
  });
});
