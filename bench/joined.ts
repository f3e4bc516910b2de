/**
 * Projections of one input as one product against each by itself: the same step of the same model in one run, taking turns.
 *   node scripts/run-ts.mjs bench/joined.ts [swiftshader|lavapipe|gpu] [SHAPE] [batch] [length] [rounds] [dropout]
 * Processor time where the adapter is software, so that other work on the machine does not count, and the clock's beside it.
 */
import { openNodeGpu, type NodeGpuKind } from '../src/cli/nodeGpu.ts';
import { loraConfigSchema, TARGET_MODULES, trainingConfigSchema } from '../src/config/recipe.ts';
import { openEngine } from '../src/engine/device.ts';
import { flattenBatch } from '../src/model/batchInputs.ts';
import { allTargets, LoraAdapter } from '../src/model/lora.ts';
import { loadWeights } from '../src/model/weights.ts';
import { TrainingPlan } from '../src/train/plan.ts';
import { parseShape } from '../src/worker/bench/shapes.ts';
import { syntheticTensors } from '../src/worker/bench/syntheticModel.ts';

const [kind = 'lavapipe', shape = 'L=4,d=256,H=4,Hkv=2,ff=768,V=4096', batch = '2', length = '128', rounds = '9', dropout = '0'] = process.argv.slice(2);
const [B, T] = [Number(batch), Number(length)];
const engine = await openEngine(await openNodeGpu(kind as NodeGpuKind));
const { config } = parseShape(shape, { batch: B, length: T });
const weights = await loadWeights(engine, config, syntheticTensors(config));
const lora = loraConfigSchema.parse({ r: 16, loraAlpha: 32, loraDropout: Number(dropout), targetModules: [...TARGET_MODULES] });
const adapter = new LoraAdapter(engine, config, lora, allTargets(config, lora.targetModules));
adapter.initialise(42);
const inputIds = Int32Array.from({ length: B * T }, (_, i) => (i * 7919 + 13) % config.vocabSize);
const flat = flattenBatch({ shape: [B, T], inputIds, labels: inputIds, positions: inputIds.map((_, i) => i % T), segments: new Int32Array(B * T).fill(1) });

const takers: { name: string; plan: TrainingPlan; clock: number[]; processor: number[] }[] = [];
for (const join of [true, false]) {
  const plan = await TrainingPlan.create({
    engine, config, weights, adapter, maxTokens: flat.tokens, maxTargets: flat.targets, maxPositions: T, loraDropout: lora.loraDropout, training: trainingConfigSchema.parse({}), join,
  });
  takers.push({ name: join ? 'joined' : 'each by itself', plan, clock: [], processor: [] });
}
for (let round = -1; round < Number(rounds); round++) {
  for (const { plan, clock, processor } of takers) {
    const [start, used] = [performance.now(), process.cpuUsage()];
    await plan.microBatch(flat, 1 / flat.targets, round + 1);
    await plan.submitter.idle();
    const { user, system } = process.cpuUsage(used);
    if (round < 0) continue; // some drivers compile when a kernel first runs
    clock.push(performance.now() - start);
    processor.push((user + system) / 1000);
  }
}
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
console.log(`${engine.info.description}, ${shape}, ${B} x ${T} tokens, dropout ${dropout}, ${rounds} rounds`);
for (const { name, plan, clock, processor } of takers) {
  console.log(`${name.padEnd(15)} ${plan.dispatches.micro} dispatches, processor ${median(processor).toFixed(0)} ms (lowest ${Math.min(...processor).toFixed(0)}), clock ${median(clock).toFixed(0)} ms (lowest ${Math.min(...clock).toFixed(0)})`);
}
const [joined, apart] = takers as [(typeof takers)[0], (typeof takers)[0]];
console.log(`ratio           processor ${(median(joined.processor) / median(apart.processor)).toFixed(3)}, clock ${(median(joined.clock) / median(apart.clock)).toFixed(3)}`);
process.exit(0);
