/**
 * What a graphics card's compiler makes of every kernel of a training step, without the card: Mesa's radv compiles for a family of AMD cards that is not there.
 *   node scripts/run-ts.mjs bench/offline/kernels.ts [SHAPE] [family, navi31] [filter]
 * For each kernel: registers of a thread (VGPRs) and what spills, workgroup memory, waves a SIMD holds, and of the loop with the most multiply-adds their share
 * of its vector instructions and its reads of workgroup memory. Needs a C compiler, Vulkan's headers and libvulkan_radeon.so (Debian: gcc, libvulkan-dev,
 * mesa-vulkan-drivers). It tells of code, not of speed. At the end: what encoding a step costs this thread where the driver does nothing.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openNodeGpu } from '../../src/cli/nodeGpu.ts';
import { loraConfigSchema, TARGET_MODULES, trainingConfigSchema } from '../../src/config/recipe.ts';
import { openEngine } from '../../src/engine/device.ts';
import { flattenBatch } from '../../src/model/batchInputs.ts';
import { allTargets, LoraAdapter } from '../../src/model/lora.ts';
import { loadWeights } from '../../src/model/weights.ts';
import { TrainingPlan } from '../../src/train/plan.ts';
import { parseShape } from '../../src/worker/bench/shapes.ts';
import { syntheticTensors } from '../../src/worker/bench/syntheticModel.ts';

const MARK = '@@ ';
const [B, T] = [4, 512];

/** In the process that has the driver: makes a plan with every candidate of every choice, a mark before each pipeline. */
async function compile(shape: string): Promise<void> {
  const engine = await openEngine(await openNodeGpu('gpu'));
  const { device } = engine;
  device.addEventListener('uncapturederror', ({ error }) => console.error(`${MARK}error ${error.message}`));
  device.createComputePipelineAsync = async (descriptor) => {
    process.stderr.write(`${MARK}${descriptor.label}\n`);
    return device.createComputePipeline(descriptor);
  };
  const { config } = parseShape(shape, { batch: B, length: T });
  const weights = await loadWeights(engine, config, syntheticTensors(config));
  const adapter = new LoraAdapter(engine, config, loraConfigSchema.parse({ r: 16, loraAlpha: 32, loraDropout: 0, targetModules: [...TARGET_MODULES] }), allTargets(config, [...TARGET_MODULES]));
  adapter.initialise(42);
  const tokens = B * T;
  // No time to measure in: the candidates are compiled and the defaults stay.
  const plan = await TrainingPlan.create({
    engine, config, weights, adapter, maxTokens: tokens, maxTargets: tokens, maxPositions: T, loraDropout: 0, training: trainingConfigSchema.parse({}), tune: { budgetMs: 0 },
  });
  const ids = Int32Array.from({ length: tokens }, (_, i) => i % config.vocabSize);
  const flat = flattenBatch({ shape: [B, T], inputIds: ids, labels: ids, positions: ids.map((_, i) => i % T), segments: new Int32Array(tokens).fill(1) });
  const costs: number[] = [];
  for (let round = 0; round < 200; round++) {
    const { dispatches, encodeMs } = plan.submitter.counted;
    await plan.microBatch(flat, 1, round);
    costs.push((1000 * (plan.submitter.counted.encodeMs - encodeMs)) / (plan.submitter.counted.dispatches - dispatches));
    await plan.submitter.idle();
  }
  console.error(`${MARK}encode ${costs.slice(50).toSorted((a, b) => a - b)[75]!.toFixed(1)} us a dispatch, ${plan.dispatches.micro} a micro-batch`);
  process.exit(0);
}

/** Of the block with the most multiply-adds: how many, vector instructions, reads of workgroup memory. */
function hottest(assembly: string): { fma: number; vector: number; reads: number } {
  const blocks = assembly.split(/^BB\d+:/m).map((block) => {
    const ops = [...block.matchAll(/^\t(\w+)/gm)].map(([, op]) => op!);
    return { fma: ops.filter((op) => op.startsWith('v_fma')).length, vector: ops.filter((op) => op.startsWith('v_')).length, reads: ops.filter((op) => op.startsWith('ds_load')).length };
  });
  return blocks.reduce((most, block) => (block.fma > most.fma ? block : most));
}

export async function main([shape = 'L=1,d=576,H=9,Hkv=3,ff=1536,V=2048', family = 'navi31', filter = '']: string[]): Promise<number | void> {
  if (process.env.ETUDE_NULL_CARD) return compile(shape);
  const folder = mkdtempSync(join(tmpdir(), 'etude-null-card-'));
  const library = join(folder, 'libnullcard.so');
  const built = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-w', '-o', library, join(import.meta.dirname, 'nullCard.c'), '-ldl'], { stdio: 'inherit' });
  if (built.status !== 0) return 1;
  const icd = join(folder, 'icd.json');
  writeFileSync(icd, JSON.stringify({ file_format_version: '1.0.0', ICD: { library_path: library, api_version: '1.3.0' } }));
  const { stderr } = spawnSync(process.execPath, ['scripts/run-ts.mjs', 'bench/offline/kernels.ts', shape], {
    encoding: 'utf8', maxBuffer: 2 ** 30,
    env: { ...process.env, ETUDE_NULL_CARD: '1', VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd, RADV_FORCE_FAMILY: family, RADV_DEBUG: 'shaderstats,cs,asm', MESA_SHADER_CACHE_DISABLE: '1', XDG_RUNTIME_DIR: folder },
  });
  console.log(`${shape}, compiled for ${family}`);
  console.log(`${'kernel'.padEnd(38)} VGPRs spilled  bytes waves   multiply-adds of vector instructions, reads`);
  const seen = new Set<string>();
  for (const part of stderr.split(`\n${MARK}`).slice(1)) {
    const [first = '', ...rest] = part.split('\n');
    const text = rest.join('\n');
    const stat = (name: string): string => new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1] ?? '-';
    if (!text.includes('SHADER STATS')) {
      console.log(first);
      continue;
    }
    const { fma, vector, reads } = hottest(text);
    const line = `${first.padEnd(38)} ${stat('VGPRs').padStart(5)} ${stat('Spilled VGPRs').padStart(7)} ${stat('LDS size').padStart(6)} ${stat('Subgroups per SIMD').padStart(5)}   ${fma} of ${vector}, ${reads}`;
    if (first.includes(filter) && !seen.has(line)) console.log(line);
    seen.add(line);
  }
  return 0;
}
