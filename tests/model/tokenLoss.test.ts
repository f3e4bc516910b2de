/** The loss of single tokens against what transformers computed: golden logits, turned into cross-entropy in f64 here. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TARGET_MODULES } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { adaptedModules, readPeftAdapter } from '../../src/formats/peftAdapter.ts';
import { openSafetensors, readF32, readI32 } from '../../src/formats/safetensors.ts';
import { openModelWeights } from '../../src/hub/modelFolder.ts';
import { LoraAdapter } from '../../src/model/lora.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { tokenLosses } from '../../src/model/tokenLoss.ts';
import { destroyWeights, loadWeights } from '../../src/model/weights.ts';
import { caseFiles } from '../goldens/support.ts';
import { testGpu } from '../setup/gpu.ts';
import { onGpu, randomValues, TINY } from '../setup/tinyModel.ts';

let engine: Engine;
beforeAll(async () => { engine = await openEngine(await testGpu()); });
afterAll(() => engine.destroy());

/** -log softmax(logits)[label], f64. */
function crossEntropy(logits: Float32Array, label: number): number {
  const max = logits.reduce((m, v) => Math.max(m, v), -Infinity);
  return Math.log(logits.reduce((sum, v) => sum + Math.exp(v - max), 0)) + max - logits[label]!;
}

describe('The loss of each token of a row', () => {
  it.each(['llama_padded', 'gemma2_softcap'])('is the cross-entropy of the logits that transformers gives for %s, without and with the saved adapter', async (name) => {
    const { files, adapterFiles } = await caseFiles(name);
    const arrays = (await openSafetensors(files.get('golden.safetensors')!)).tensors;
    const folder = await openModelWeights(name, files);
    const config = parseModelConfig(folder.config, folder.generationConfig ?? undefined);
    const model = { engine, config, weights: await loadWeights(engine, config, folder.tensors) };
    const configJson: unknown = JSON.parse(new TextDecoder().decode(await adapterFiles.get('adapter_config.json')!.read(0, adapterFiles.get('adapter_config.json')!.size)));
    const saved = await readPeftAdapter(configJson, await openSafetensors(adapterFiles.get('adapter_model.safetensors')!));
    const targets = adaptedModules(saved.tensors.keys());
    const { r, loraAlpha, useRslora } = saved;
    const adapter = new LoraAdapter(engine, config, { r, loraAlpha, useRslora, loraDropout: 0, targetModules: TARGET_MODULES.filter((m) => targets.some((t) => t.module === m)) }, targets);
    adapter.load(saved.tensors);
    const int = (key: string) => readI32(arrays.get(key)!);
    const [ids, mask, labels] = [await int('batch.main.input_ids'), await int('batch.main.attention_mask'), await int('batch.main.labels')];
    const [B, T] = arrays.get('batch.main.input_ids')!.shape as [number, number];
    const V = config.vocabSize;
    let compared = 0;
    for (const [which, lora] of [['base', null], ['adapter', adapter]] as const) {
      const logits = await readF32(arrays.get(`fwd.main.logits_${which}`)!);
      let [sum, items] = [0, 0];
      for (let b = 0; b < B; b++) {
        const length = mask.subarray(b * T, (b + 1) * T).reduce((n, m) => n + m, 0);
        const ours = await tokenLosses(model, lora, ids.slice(b * T, b * T + length));
        expect(ours).toHaveLength(length);
        // One golden row is padding alone.
        if (length > 0) expect(ours[0]).toBeNaN();
        for (let t = 1; t < length; t++) {
          const expected = crossEntropy(logits.subarray((b * T + t - 1) * V, (b * T + t) * V), ids[b * T + t]!);
          expect(Math.abs(ours[t]! - expected), `${which}, row ${b}, token ${t}`).toBeLessThan(5e-5);
          compared++;
          if (labels[b * T + t] !== -100) [sum, items] = [sum + ours[t]!, items + 1];
        }
      }
      // Over the labelled tokens it is the loss that transformers reports for the batch.
      const golden = JSON.parse(new TextDecoder().decode(await files.get('golden.json')!.read(0, files.get('golden.json')!.size))) as { forward: { main: { loss_base: number } } };
      if (which === 'base') expect(Math.abs(sum / items - golden.forward.main.loss_base)).toBeLessThan(2e-5);
    }
    expect(compared).toBeGreaterThan(100);
    adapter.destroy();
    destroyWeights(engine, model.weights);
  });

  it('is asked again and again without a byte of GPU memory more; a row of one token has none', async () => {
    const model = await onGpu(engine, TINY, randomValues(TINY, 1));
    const ids = Int32Array.of(3, 9, 4, 9, 9);
    const first = await tokenLosses(model, null, ids);
    const held = engine.memory.live;
    expect(await tokenLosses(model, null, ids)).toEqual(first);
    expect(engine.memory.live).toBe(held);
    expect([...await tokenLosses(model, null, Int32Array.of(3))]).toEqual([Number.NaN]);
    destroyWeights(engine, model.weights);
  });
});
