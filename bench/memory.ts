/**
 * The memory planner against real buffers of a device: node scripts/run-ts.mjs bench/memory.ts [swiftshader|lavapipe|gpu] [filter] [GB]
 * Takes everything a run takes at its peak for the models of the list and gives it back; what is planned above the limit (2 GB by default) or holds a
 * tensor wider than a binding is named, not taken.
 */
import { readFileSync } from 'node:fs';
import { openNodeGpu, type NodeGpuKind } from '../src/cli/nodeGpu.ts';
import { RECOMPUTE_POLICIES, TARGET_MODULES, type LoraConfig } from '../src/config/recipe.ts';
import { openEngine } from '../src/engine/device.ts';
import { parseModelConfig } from '../src/model/parseConfig.ts';
import { plannedWeightBytes } from '../src/model/storage.ts';
import { forecastMemory, widestBytes } from '../src/train/memory.ts';
import { takePeak } from '../tests/setup/realPlan.ts';

const CONTEXT = 1024;
const LORA: LoraConfig = { r: 16, loraAlpha: 32, useRslora: false, loraDropout: 0.05, targetModules: [...TARGET_MODULES] };

export async function main([kind = 'lavapipe', filter = '', gigabytes = '2']: string[]): Promise<number> {
  const models = JSON.parse(readFileSync('tests/fixtures/configs/models.json', 'utf8')) as Record<string, { config: unknown }>;
  const gpu = await openNodeGpu(kind as NodeGpuKind);
  let [worst, taken, left] = [0, 0, 0];
  for (const [name, { config: json }] of Object.entries(models)) {
    if (!name.includes(filter)) continue;
    const config = parseModelConfig(json, undefined);
    for (const [batch, length] of [[1, 256], [1, 512], [4, 512], [8, 1024]] as const) {
      // Bind groups go only when JavaScript collects them; a software adapter runs out of mappings before that, so each size has a device of its own.
      const engine = await openEngine(gpu);
      for (const quantization of ['none', 'nf4'] as const) {
        for (const recompute of RECOMPUTE_POLICIES) {
          const tokens = batch * length;
          const { total } = forecastMemory({
            config, weightBytes: plannedWeightBytes(config, 'bf16', quantization), lora: LORA, maxTokens: tokens, maxTargets: tokens, maxPositions: length,
            maxBinding: engine.maxBinding, recompute, contextLength: CONTEXT,
          });
          if (total > 1e9 * Number(gigabytes) || widestBytes(config, tokens) > engine.maxBinding) {
            left++;
            continue;
          }
          const { peak } = await takePeak(engine, { config, quantization, lora: LORA, tokens, positions: length, recompute, contextLength: CONTEXT });
          worst = Math.max(worst, Math.abs(total / peak - 1));
          taken++;
          console.log(`${name.padEnd(36)} ${quantization.padEnd(5)} ${`${batch} x ${length}`.padEnd(9)} ${recompute.padEnd(7)} planned ${(total / 1e6).toFixed(1).padStart(7)} MB  taken ${(peak / 1e6).toFixed(1).padStart(7)} MB`);
        }
      }
      engine.destroy();
    }
  }
  console.log(`${taken} combinations taken, at most ${(100 * worst).toFixed(2)} % off; ${left} not taken`);
  return worst < 0.1 ? 0 : 1;
}
