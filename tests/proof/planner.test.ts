/**
 * The memory planner against buffers made and destroyed, for every model of the list, batch and length: on a device that only counts.
 * What takes more than 12 GB is planned only, and named. bench/memory.ts does the same with real buffers.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RECOMPUTE_POLICIES, TARGET_MODULES, type LoraConfig, type Quantization, type RecomputePolicy } from '../../src/config/recipe.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { plannedWeightBytes } from '../../src/model/storage.ts';
import { forecastMemory, widestBytes } from '../../src/train/memory.ts';
import { countingGpu } from '../setup/countingGpu.ts';
import { takePeak } from '../setup/realPlan.ts';

const models = JSON.parse(readFileSync(new URL('../fixtures/configs/models.json', import.meta.url), 'utf8')) as Record<string, { config: unknown }>;
const LORA: LoraConfig = { r: 16, loraAlpha: 32, useRslora: false, loraDropout: 0.05, targetModules: [...TARGET_MODULES] };
const GiB = 2 ** 30;
const LIMIT = 12e9;
const CONTEXT = 1024;

interface Combination {
  name: string;
  config: ModelConfig;
  quantization: Quantization;
  batch: number;
  length: number;
  recompute: RecomputePolicy;
}

const ALL: Combination[] = Object.entries(models).flatMap(([name, { config }]) => [1, 4, 8].flatMap((batch) => [256, 512, 1024, 2048].flatMap((length) =>
  (['none', 'nf4'] as const).flatMap((quantization) => RECOMPUTE_POLICIES.map((recompute) => ({
    name, config: parseModelConfig(config, undefined), quantization, batch, length, recompute,
  }))))));

const planned = (c: Combination, maxBinding: number): number => forecastMemory({
  config: c.config, weightBytes: plannedWeightBytes(c.config, 'bf16', c.quantization), lora: LORA, maxTokens: c.batch * c.length, maxTargets: c.batch * c.length, maxPositions: c.length,
  maxBinding, recompute: c.recompute, contextLength: CONTEXT,
}).total;

async function worst(engine: Engine, combinations: Combination[]): Promise<{ worst: number; at: string; largest: number }> {
  const found = { worst: 0, at: '', largest: 0 };
  for (const c of combinations) {
    const { peak } = await takePeak(engine, { config: c.config, quantization: c.quantization, lora: LORA, tokens: c.batch * c.length, positions: c.length, recompute: c.recompute, contextLength: CONTEXT });
    const off = Math.abs(planned(c, engine.maxBinding) / peak - 1);
    found.largest = Math.max(found.largest, peak);
    if (off > found.worst) Object.assign(found, { worst: off, at: `${c.name} ${c.quantization} ${c.batch} x ${c.length} ${c.recompute}` });
  }
  return found;
}

const say = (title: string, count: number, { worst: off, at, largest }: Awaited<ReturnType<typeof worst>>): void =>
  console.log(`${title}: ${count} combinations, at most ${(100 * off).toFixed(2)} % off (${at}); the largest took ${(largest / 1e9).toFixed(2)} GB`);

describe('the memory planner', () => {
  it('is within a tenth of the peak on a device that counts, for every combination below 12 GB', async () => {
    const engine = await openEngine(countingGpu({ maxBufferSize: 8 * GiB, maxStorageBufferBindingSize: 4 * GiB - 4 }).gpu);
    const fitting = ALL.filter((c) => planned(c, engine.maxBinding) < LIMIT && widestBytes(c.config, c.batch * c.length) <= engine.maxBinding);
    const found = await worst(engine, fitting);
    say('counted', fitting.length, found);
    expect(found.worst).toBeLessThan(0.1);
    expect(fitting.length).toBeGreaterThan(ALL.length / 2);
    const rest = ALL.filter((c) => !fitting.includes(c));
    console.log(`planned only, above 12 GB: ${rest.length} of ${ALL.length}`);
    for (const name of Object.keys(models)) {
      const of = rest.filter((c) => c.name === name && c.recompute === 'none' && c.quantization === 'none');
      if (of.length > 0) console.log(`  ${name} as stored, everything kept: ${of.map((c) => `${c.batch} x ${c.length} (${(planned(c, engine.maxBinding) / 1e9).toFixed(1)} GB)`).join(', ')}`);
    }
  }, 3_600_000);
});
