/**
 * Where the time of one training step of the built-in example goes, kernel by kernel:
 *   node scripts/run-ts.mjs bench/step.ts [swiftshader|lavapipe|gpu] [tokens] [r]
 * Each dispatch is timed alone, on software adapters by CPU time over all cores, so that other work on the machine does not count.
 */
import { availableParallelism } from 'node:os';
import { sourcesFromFolder } from '../src/cli/fsSource.ts';
import { openNodeGpu, type NodeGpuKind } from '../src/cli/nodeGpu.ts';
import { TARGET_MODULES } from '../src/config/recipe.ts';
import { collatePacked } from '../src/data/collator.ts';
import { Arena } from '../src/engine/arena.ts';
import { openEngine, type Engine } from '../src/engine/device.ts';
import type { Op } from '../src/engine/kernel.ts';
import { adamW, gradNorm, GRAD_NORM_BLOCK } from '../src/engine/kernels/optimizer.ts';
import { buildProgram, StepUniform } from '../src/engine/program.ts';
import { createTensor } from '../src/engine/tensor.ts';
import { openSafetensors } from '../src/formats/safetensors.ts';
import { BatchInputs, flattenBatch } from '../src/model/batchInputs.ts';
import { windowsOf } from '../src/model/config.ts';
import { takeActivations, takeScratch } from '../src/model/activations.ts';
import { backwardOps, forwardOps } from '../src/model/decoder.ts';
import { lossOps, takeHead } from '../src/model/head.ts';
import { allTargets, LoraAdapter } from '../src/model/lora.ts';
import { parseModelConfig } from '../src/model/parseConfig.ts';
import { createRope } from '../src/model/rope.ts';
import { loadWeights } from '../src/model/weights.ts';

const ROW = 32;
const DROPOUT = 0.05;

/** What an op does, from its label: 'model.layers.0.mlp.up_proj lora dA' -> 'LoRA dA'. */
function group({ label }: Op): string {
  const lora = /lora (.*)$/.exec(label);
  if (lora) return `LoRA ${lora[1]}`;
  return label.replaceAll(/(model\.)?layers?[. ]\d+[. ]?/g, '').replaceAll(/(self_attn|mlp)\./g, '').trim();
}

/** Rows of 32 tokens, the second half of each an answer. */
function batchOf(tokens: number, vocabSize: number): ReturnType<typeof flattenBatch> {
  const rows = Array.from({ length: Math.ceil(tokens / ROW) }, (_, index) => {
    const inputIds = Int32Array.from({ length: ROW }, (_, i) => 3 + ((index * 131 + i * 17) % (vocabSize - 3)));
    return { index, inputIds, labels: inputIds.map((id, i) => (i < ROW / 2 ? -100 : id)), fullLength: ROW, numTargets: ROW / 2 };
  });
  return flattenBatch(collatePacked(rows.map((row) => [row])));
}

async function stepOps(e: Engine, tokens: number, r: number) {
  const files = await sourcesFromFolder('public/builtin/model');
  const json = files.get('config.json')!;
  const config = parseModelConfig(JSON.parse(new TextDecoder().decode(await json.read(0, json.size))));
  const weights = await loadWeights(e, config, (await openSafetensors(files.get('model.safetensors')!)).tensors);
  const lora = { r, loraAlpha: 2 * r, useRslora: false, loraDropout: DROPOUT, targetModules: [...TARGET_MODULES] };
  const adapter = new LoraAdapter(e, config, lora, allTargets(config, lora.targetModules));
  adapter.initialise(42);
  const flat = batchOf(tokens, config.vocabSize);
  const inputs = new BatchInputs(e, flat.tokens, flat.targets, windowsOf(config));
  inputs.upload(flat);
  const arena = new Arena(e);
  const stats = createTensor(e, 'stats', 4);
  const ctx = { engine: e, config, weights, rope: createRope(e, config, ROW), inputs };
  const acts = takeActivations(config, arena, flat.tokens, adapter, 'none');
  const { scratch, dropped } = takeScratch(config, arena, flat.tokens, r, true);
  const head = takeHead(e, config, arena, flat.targets, stats, true);
  const { grads, m, v } = adapter.training();
  const use = { adapter, dropout: DROPOUT, dropped };
  const { elements, params } = adapter;
  const partial = createTensor(e, 'partial', Math.ceil(elements / GRAD_NORM_BLOCK));
  const ops = [
    ...forwardOps(ctx, acts, use),
    ...lossOps(ctx, head, acts.last, scratch.dStream),
    ...backwardOps(ctx, acts.layers, use, scratch),
    ...gradNorm(e, { label: 'optimizer', grads, elements, partial, stats }),
    ...adamW(e, { label: 'optimizer', params, grads, m, v, elements, stats, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, maxGradNorm: 1 }),
  ];
  return { ops, flat };
}

export async function main([kind = 'swiftshader', tokens = '256', rank = '8']: string[]): Promise<number> {
  const e = await openEngine(await openNodeGpu(kind as NodeGpuKind));
  const { ops, flat } = await stepOps(e, Number(tokens), Number(rank));
  const step = new StepUniform(e);
  step.write({ ...flat, lossScale: 1 / flat.targets, dropoutSeed: 1 });
  const program = await buildProgram(e, 'step', step, ops);
  const submit = async (dispatches: typeof program.dispatches, times: number): Promise<number> => {
    const encoder = e.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++) {
      for (const d of dispatches) {
        const [x, y, z] = d.grid(flat);
        if (x * y * z === 0) continue;
        pass.setPipeline(d.pipeline);
        pass.setBindGroup(0, d.bindGroup);
        pass.dispatchWorkgroups(x, y, z);
      }
    }
    pass.end();
    const used = process.cpuUsage();
    const start = performance.now();
    e.device.queue.submit([encoder.finish()]);
    await e.device.queue.onSubmittedWorkDone();
    const wall = performance.now() - start;
    const { user, system } = process.cpuUsage(used);
    return (e.info.software ? (user + system) / 1000 / availableParallelism() : wall) / times;
  };
  const best = async (dispatches: typeof program.dispatches, times: number): Promise<number> => {
    let ms = Infinity;
    for (let i = 0; i < 4; i++) ms = Math.min(ms, await submit(dispatches, times));
    return ms;
  };
  await submit(program.dispatches, 1);
  const groups = new Map<string, { ms: number; gflop: number; count: number }>();
  for (const [i, op] of ops.entries()) {
    const sum = groups.get(group(op)) ?? { ms: 0, gflop: 0, count: 0 };
    sum.ms += await best([program.dispatches[i]!], e.info.software ? 2 : 50);
    sum.gflop += op.flops(flat) / 1e9;
    sum.count += 1;
    groups.set(group(op), sum);
  }
  const total = [...groups.values()].reduce((sum, g) => sum + g.ms, 0);
  console.log(`${e.info.description}, ${flat.tokens} tokens, ${flat.targets} targets, r = ${rank}, ${ops.length} dispatches`);
  for (const [name, { ms, gflop, count }] of [...groups].sort((a, b) => b[1].ms - a[1].ms)) {
    console.log(`${name.padEnd(34)} ${String(count).padStart(3)} dispatches ${ms.toFixed(2).padStart(9)} ms ${((100 * ms) / total).toFixed(1).padStart(5)} % ${((gflop / ms) * 1000).toFixed(2).padStart(8)} GFLOP/s`);
  }
  const lora = [...groups].filter(([name]) => name.startsWith('LoRA')).reduce((sum, [, g]) => sum + g.ms, 0);
  console.log(`LoRA ${((100 * lora) / total).toFixed(1)} % of ${total.toFixed(1)} ms summed; ${(await best(program.dispatches, 1)).toFixed(1)} ms as one submit`);
  return 0;
}
