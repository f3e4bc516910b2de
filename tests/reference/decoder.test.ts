import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sourceFromPath, sourcesFromFolder } from '../../src/cli/fsSource.ts';
import { relativeL2 } from '../../src/worker/conformance/compare.ts';
import { openSafetensors, readF32, readI32 } from '../../src/formats/safetensors.ts';
import { openModelWeights } from '../../src/hub/modelFolder.ts';
import { flattenBatch } from '../../src/model/batchInputs.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { decoderForward, decoderLoss, type DecoderTwin } from './decoder.ts';

/** HF's float32 beside f64: the goldens' README measured up to 7e-7. */
const LIMIT = 3e-6;

describe('the f64 twin of the decoder gives what transformers and PEFT computed', () => {
  it.each(['odd_llama', 'qwen2_f16', 'qwen3_bf16', 'mistral_window', 'smollm3_window', 'gemma2_softcap', 'gemma3_hub', 'gemma3_v5'])('%s: logits with and without the adapter, hidden states, loss', async (name) => {
    const folder = resolve(import.meta.dirname, '../fixtures/goldens', name);
    const files = await sourcesFromFolder(folder);
    const golden = JSON.parse(new TextDecoder().decode(await files.get('golden.json')!.read(0, files.get('golden.json')!.size)));
    const { tensors: arrays } = await openSafetensors(await sourceFromPath(resolve(folder, 'golden.safetensors')));
    const model = await openModelWeights(name, files);
    const config = parseModelConfig(model.config);
    const weights = new Map<string, Float64Array>();
    for (const [key, entry] of model.tensors) weights.set(key, Float64Array.from(await readF32(entry)));
    const lora = new Map<string, Float64Array>();
    for (const key of golden.lora_keys as string[]) lora.set(key, Float64Array.from(await readF32(arrays.get(`init.grad.${key}`)!)));

    const [B, T] = golden.batches.main.shape as [number, number];
    const ints = async (key: string): Promise<Int32Array | null> => (arrays.has(`batch.main.${key}`) ? readI32(arrays.get(`batch.main.${key}`)!) : null);
    const flat = flattenBatch({
      shape: [B, T], inputIds: (await ints('input_ids'))!, labels: (await ints('labels'))!,
      positions: (await ints('position_ids')) ?? Int32Array.from({ length: B * T }, (_, i) => i % T), segments: (await ints('attention_mask'))!,
    });
    const real = async (key: string, cols: number): Promise<Float32Array> => {
      const all = await readF32(arrays.get(key)!);
      const out = new Float32Array(flat.tokens * cols);
      flat.source.forEach((place, i) => out.set(all.subarray(place * cols, (place + 1) * cols), i * cols));
      return out;
    };
    const base: DecoderTwin = { config, weight: (key) => weights.get(key)!, lora: null };
    const tuned: DecoderTwin = { ...base, lora: { r: golden.lora.r, scaling: golden.lora.scaling, tensor: (key) => lora.get(key), factor: null } };
    expect(relativeL2(decoderForward(base, flat).logits, await real('fwd.main.logits_base', config.vocabSize))).toBeLessThan(LIMIT);
    const { logits, hidden } = decoderForward(tuned, flat);
    expect(relativeL2(logits, await real('fwd.main.logits_lora', config.vocabSize))).toBeLessThan(LIMIT);
    for (const [i, states] of hidden.entries()) {
      expect(relativeL2(states, await real(`fwd.main.hidden.${i}`, config.hiddenSize)), `hidden ${i}`).toBeLessThan(LIMIT);
    }
    expect(Math.abs(decoderLoss(tuned, flat) - golden.forward.main.loss_lora)).toBeLessThan(LIMIT);
    expect(Math.abs(decoderLoss(base, flat) - golden.forward.main.loss_base)).toBeLessThan(LIMIT);
  });
});
