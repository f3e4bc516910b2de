/** The memory planner against what is really taken, on a device that only counts: models of the list in their true sizes. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countLoraParameters } from '../../src/config/forecast.ts';
import { RECOMPUTE_POLICIES, TARGET_MODULES, type LoraConfig } from '../../src/config/recipe.ts';
import { openEngine } from '../../src/engine/device.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { countParameters } from '../../src/model/expectedTensors.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { plannedWeightBytes } from '../../src/model/storage.ts';
import { memoryBudget } from '../../src/train/budget.ts';
import { forecastMemory } from '../../src/train/memory.ts';
import { countFlops, planMemory, whatFits } from '../../src/train/planner.ts';
import { countingGpu } from '../setup/countingGpu.ts';
import { takePeak } from '../setup/realPlan.ts';

const models = JSON.parse(readFileSync(new URL('../fixtures/configs/models.json', import.meta.url), 'utf8')) as Record<string, { parameters: number; config: unknown }>;
const configOf = (name: string): ModelConfig => parseModelConfig(models[name]!.config, undefined);
const lora = (change: Partial<LoraConfig> = {}): LoraConfig => ({ r: 16, loraAlpha: 32, useRslora: false, loraDropout: 0.05, targetModules: [...TARGET_MODULES], ...change });
const GiB = 2 ** 30;

describe('the models of the list', () => {
  it.each(Object.keys(models))('%s has as many parameters as its publisher says', (name) => {
    expect(countParameters(configOf(name))).toBe(models[name]!.parameters);
  });

  it.each([['HuggingFaceTB/SmolLM2-135M', 1_843_200, 4_884_480], ['Qwen/Qwen3-0.6B', 4_587_520, 10_092_544], ['meta-llama/Llama-3.2-1B', 3_407_872, 11_272_192]] as const)(
    '%s has the LoRA parameters that PEFT counts at rank 16', (name, attention, all) => {
      const config = configOf(name);
      expect(countLoraParameters(config, { r: 16, targetModules: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] })).toBe(attention);
      expect(countLoraParameters(config, { r: 16, targetModules: [...TARGET_MODULES] })).toBe(all);
    });

  it.each([['HuggingFaceTB/SmolLM2-135M', 269, 143, 90], ['meta-llama/Llama-3.2-1B', 2472, 1313, 827]] as const)('%s takes so many megabytes as stored, in 8 and in 4 bits', (name, bf16, int8, nf4) => {
    const config = configOf(name);
    expect((['none', 'int8', 'nf4'] as const).map((q) => Math.round(plannedWeightBytes(config, 'bf16', q) / 1e6))).toEqual([bf16, int8, nf4]);
  });
});

describe('the memory plan', () => {
  it.each([
    ['HuggingFaceTB/SmolLM2-135M', 'none', 4, 512], ['HuggingFaceTB/SmolLM2-360M', 'nf4', 1, 256], ['Qwen/Qwen2.5-0.5B', 'int8', 8, 1024],
    ['Qwen/Qwen3-0.6B', 'none', 4, 512], ['google/gemma-3-270m', 'nf4', 1, 256], ['TinyLlama/TinyLlama-1.1B-Chat-v1.0', 'none', 1, 2048], ['HuggingFaceTB/SmolLM3-3B', 'nf4', 1, 512],
  ] as const)('is within a tenth of the peak of buffers made and destroyed: %s in %s, %i x %i', async (name, quantization, batch, length) => {
    const config = configOf(name);
    const tokens = batch * length;
    const counting = countingGpu({ maxBufferSize: 4 * GiB, maxStorageBufferBindingSize: 4 * GiB - 4 });
    const engine = await openEngine(counting.gpu);
    const weightBytes = plannedWeightBytes(config, 'bf16', quantization);
    for (const recompute of RECOMPUTE_POLICIES) {
      const question = { config, quantization, lora: lora(), tokens, positions: length, recompute, contextLength: 1024 };
      const real = await takePeak(engine, question);
      const plan = forecastMemory({ config, weightBytes, lora: lora(), maxTokens: tokens, maxTargets: tokens, maxPositions: length, maxBinding: engine.maxBinding, recompute, contextLength: 1024 });
      expect(real.weightBytes).toBe(weightBytes);
      expect(Math.abs(plan.total / real.peak - 1), `${recompute}: planned ${plan.total}, taken ${real.peak}`).toBeLessThan(0.1);
      // The engine's own count is what createBuffer and destroy saw.
      expect([engine.memory.live, counting.live]).toEqual([0, 0]);
    }
    expect(engine.memory.peak).toBeLessThanOrEqual(counting.peak);
  });

  it('tells within a twentieth how many operations a policy repeats', async () => {
    for (const name of ['HuggingFaceTB/SmolLM2-135M', 'Qwen/Qwen3-0.6B', 'google/gemma-3-270m']) {
      const config = configOf(name);
      const engine = await openEngine(countingGpu({ maxBufferSize: 4 * GiB, maxStorageBufferBindingSize: 4 * GiB - 4 }).gpu);
      const flops: Record<string, number> = {};
      for (const recompute of RECOMPUTE_POLICIES) {
        flops[recompute] = (await takePeak(engine, { config, quantization: 'none', lora: lora({ loraDropout: 0 }), tokens: 512, positions: 512, recompute, contextLength: null })).flops;
      }
      const planned = countFlops({ config, weightBytes: 0, lora: lora({ loraDropout: 0 }), maxTokens: 512, maxTargets: 512, maxBinding: 4 * GiB });
      expect(Math.abs(planned.layers / planned.step - (flops['layers']! / flops['none']! - 1)), name).toBeLessThan(0.05);
      expect(Math.abs(planned.cheap / planned.step - (flops['cheap']! / flops['none']! - 1)), name).toBeLessThan(0.05);
      expect(flops['layers']! / flops['none']!, name).toBeGreaterThan(1.1);
    }
  });

  const question = { config: configOf('HuggingFaceTB/SmolLM2-135M'), weightBytes: 269e6, lora: lora(), maxTokens: 2048, maxTargets: 2048, maxPositions: 512, maxBinding: 4 * GiB };

  it('takes the first policy that fits, the last where none does, and the one asked for in any case', () => {
    const { policies } = planMemory(question, 'auto', Infinity);
    const totals = policies.map((p) => p.memory.total);
    expect(policies.map((p) => p.policy)).toEqual(['none', 'cheap', 'layers']);
    expect(totals[0]).toBeGreaterThan(totals[1]!);
    expect(totals[1]).toBeGreaterThan(totals[2]!);
    expect(policies.map((p) => p.extraFlops).every((f, i, all) => i === 0 ? f === 0 : f > all[i - 1]!)).toBe(true);
    const chosenAt = (budget: number, asked: 'auto' | 'none' = 'auto') => planMemory(question, asked, budget).chosen;
    expect(chosenAt(totals[0]!).policy).toBe('none');
    expect(chosenAt(totals[0]! - 1).policy).toBe('cheap');
    expect(chosenAt(totals[1]! - 1).policy).toBe('layers');
    expect(chosenAt(totals[2]! - 1)).toMatchObject({ policy: 'layers', fits: false });
    expect(chosenAt(totals[2]! - 1, 'none')).toMatchObject({ policy: 'none', fits: false });
  });

  it('names changes that fit, each alone where one is enough, with what they take', () => {
    const asked = { ...question, batchSize: 4, maxLength: 512, recompute: 'none', quantization: 'none', stored: 'bf16' } as const;
    const needed = forecastMemory(question).total;
    const changes = whatFits(asked, 0.8 * needed);
    expect(changes.map((c) => c.change)).toEqual(['recompute cheap parts', 'batch size 2', 'maximum length 256']);
    expect(changes.every((c) => c.bytes <= 0.8 * needed)).toBe(true);
    const [together, ...rest] = whatFits(asked, 0.25e9);
    expect(rest).toEqual([]);
    expect(together!.change).toMatch(/^batch size 1, maximum length \d+, recompute layers and the model in 4 bits$/);
    expect(whatFits(asked, 1e8)).toEqual([]);
  });

  it('says what its limit is based on', () => {
    expect(memoryBudget({ set: 3e9, failedAt: 2e9 }, GiB)).toEqual({ bytes: 3e9, basis: 'person', words: 'You set a limit of 3.00 GB.' });
    expect(memoryBudget({ set: null, failedAt: 2e9 }, GiB)).toMatchObject({ bytes: 1.8e9, basis: 'failure', words: expect.stringContaining('2.00 GB did not fit') });
    expect(memoryBudget({ set: null, failedAt: null }, 4 * GiB)).toMatchObject({ bytes: 8 * GiB, basis: 'largestBuffer', words: expect.stringContaining('twice its largest buffer, 4.29 GB') });
    expect(memoryBudget({ set: null, failedAt: 90e9 }, GiB / 4)).toMatchObject({ bytes: 2 * GiB, basis: 'largestBuffer' });
  });
});
