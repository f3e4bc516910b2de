import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loraConfigSchema, TARGET_MODULES } from '../../src/config/recipe.ts';
import { toUserMessage } from '../../src/config/errors.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { variantsInForce } from '../../src/engine/variants.ts';
import { tuneStep } from '../../src/worker/bench/benchShape.ts';
import { create } from '../../src/worker/bench/harness.ts';
import { stepFlops } from '../../src/worker/bench/flops.ts';
import { comparePeers, workOf, type Peer } from '../../src/worker/bench/peers.ts';
import { kernelGroup, runBench, spreadOf, type BenchResult } from '../../src/worker/bench/runBench.ts';
import { countFlops } from '../../src/train/planner.ts';
import { parseShape } from '../../src/worker/bench/shapes.ts';
import { testGpu } from '../setup/gpu.ts';

const lora = (r: number) => loraConfigSchema.parse({ r, targetModules: TARGET_MODULES });

describe('the work of a step', () => {
  // What a step of 4 x 512 tokens needs, by an independent count: forward and backward in GFLOP a token.
  test.each([
    ['SmolLM2-135M', 0.3, 0.33], ['SmolLM2-360M', 0.77, 0.84], ['Qwen3-0.6B', 1.27, 1.38], ['Llama-3.2-1B', 2.53, 2.6],
  ])('%s takes %f GFLOP a token forward and %f backward', (name, forward, backward) => {
    const { config, batch, length } = parseShape(name, { batch: 4, length: 512 });
    const tokens = batch * length;
    const flops = stepFlops(config, lora(16), { tokens, targets: tokens, pairs: (batch * length * (length + 1)) / 2 });
    expect(Math.abs(flops.forward / tokens / 1e9 / forward - 1)).toBeLessThan(0.03);
    expect(Math.abs(flops.backward / tokens / 1e9 / backward - 1)).toBeLessThan(0.03);
  });
});

describe('a shape', () => {
  test('is a name, or numbers, with batch and length after either', () => {
    const named = parseShape('smollm2-135m,T=64', { batch: 4, length: 512 });
    expect([named.name, named.batch, named.length, named.config.hiddenSize]).toEqual(['SmolLM2-135M', 4, 64, 576]);
    const numbers = parseShape('L=3,d=48,H=4,ff=96,V=300,B=1', { batch: 4, length: 32 });
    expect([numbers.batch, numbers.length, numbers.config.numHiddenLayers, numbers.config.headDim]).toEqual([1, 32, 3, 12]);
  });

  test.each(['GPT-9', 'L=2,d=64', 'tiny,B=0', 'tiny,Q=3', 'tiny,B=1.5'])('%s is refused in words', (text) => {
    let code = '';
    try {
      parseShape(text, { batch: 1, length: 8 });
    } catch (error) {
      code = toUserMessage(error).code;
    }
    expect(code).toBe('bench.shape');
  });
});

test('kernels of all layers and all parts of a weight are one line', () => {
  expect(['model.layers.11.mlp.up_proj lora dA', 'layer 3 attention attention', 'head part 2'].map(kernelGroup)).toEqual(['up_proj lora dA', 'attention attention', 'head']);
});

test('a spread is the median with the tenth and ninetieth percentile', () => {
  expect(spreadOf([5, 1, 2, 3, 4, 10, 9, 8, 7, 6])).toEqual({ median: 6, low: 2, high: 10 });
});

const SHAPE = 'L=2,d=32,H=2,Hkv=1,ff=64,V=128,B=2,T=16';

describe('a run at a tiny shape', () => {
  let engine: Engine;
  let result: BenchResult;

  beforeAll(async () => {
    engine = await openEngine(await testGpu());
    const shape = parseShape(SHAPE, { batch: 1, length: 1 });
    result = await runBench(engine, shape, { steps: 4, warmup: 1, generate: 4, r: 4, peakTflops: 1, sides: [64], recompute: true });
  });
  afterAll(() => engine?.destroy());

  test('adds up: rate is work over time, MFU is it over the largest product', () => {
    const { step, matmul, shape } = result;
    expect(step.gflops).toBeCloseTo(step.flops / step.ms.median / 1e6, 6);
    expect(step.mfu).toBeCloseTo(step.gflops / matmul.best.gflops, 9);
    expect(matmul.shareOfPeak).toBeCloseTo(matmul.best.gflops / 1000, 9);
    expect(Math.max(...matmul.all.map((m) => m.gflops))).toBe(matmul.best.gflops);
    expect(step.tokensPerSecond).toBeCloseTo((shape.batch * shape.length * 1000) / step.ms.median, 6);
    expect(step.ms.low).toBeLessThanOrEqual(step.ms.median);
    expect(step.ms.high).toBeGreaterThanOrEqual(step.ms.median);
  });

  test('really trains: the loss of one batch seen again and again falls', () => {
    expect(result.step.firstLoss).toBeGreaterThan(4);
    expect(result.step.lastLoss).toBeLessThan(result.step.firstLoss);
  });

  test('counts what it hands to the device, and leaves nothing there', () => {
    expect(result.step.dispatches).toBeGreaterThan(50);
    expect(Number.isInteger(result.step.dispatches)).toBe(true);
    expect(result.step.submits).toBeGreaterThanOrEqual(2);
    expect(result.memory.peakBytes).toBeGreaterThan(result.memory.weightBytes + result.memory.activationBytes);
    expect(engine.memory.live).toBe(0);
    expect(result.generation!.tokensPerSecond).toBeGreaterThan(0);
    expect(result.generation!.dispatches).toBeLessThan(result.step.dispatches);
    expect(result.generation!.dispatchesPerLayer * result.shape.layers).toBe(result.generation!.dispatches);
  });

  test('times every kernel of a step, and the kernels are the most of it', () => {
    expect(engine.device.features.has('timestamp-query')).toBe(true);
    const { kernels, kernelMs, stepMs } = result.profile!;
    expect(kernels.reduce((n, k) => n + k.count, 0)).toBe(result.step.dispatches);
    expect(kernels.reduce((n, k) => n + k.ms, 0)).toBeCloseTo(kernelMs, 6);
    expect(kernelMs).toBeLessThanOrEqual(stepMs);
    expect(kernelMs).toBeGreaterThan(0);
  });

  test('says what a cold start is made of', () => {
    const { loadMs, compileMs, kernels, stepMs } = result.coldStart;
    expect(kernels).toBeGreaterThan(10);
    for (const time of [loadMs, compileMs, stepMs]) expect(time).toBeGreaterThan(0);
  });

  test('holds what recomputing costs against what its extra work explains', () => {
    const [none, cheap, layers] = result.recompute!;
    expect([none!.policy, cheap!.policy, layers!.policy]).toEqual(['none', 'cheap', 'layers']);
    expect([none!.timeRatio, none!.flopsRatio, none!.activationRatio]).toEqual([1, 1, 1]);
    for (const r of result.recompute!) expect(r.unexplained).toBeCloseTo(r.timeRatio / r.flopsRatio, 9);
    expect(layers!.activationBytes).toBeLessThan(cheap!.activationBytes);
    expect(cheap!.activationBytes).toBeLessThan(none!.activationBytes);
    expect(layers!.workspaceBytes).toBeLessThan(none!.workspaceBytes);
    // Counted here from the dispatches, by the planner from the shape.
    const { config, batch, length } = parseShape(SHAPE, { batch: 1, length: 1 });
    const counted = countFlops({ config, lora: lora(4), weightBytes: 0, maxTokens: batch * length, maxTargets: batch * (length - 1), maxPositions: length, maxBinding: 1 << 27 });
    expect(Math.abs(layers!.flopsRatio / (1 + counted.layers / counted.step) - 1)).toBeLessThan(0.05);
  });

  test('leaves the chosen variants as they were', () => {
    expect(variantsInForce(engine)).toEqual(result.variants);
    expect(engine.variants).toEqual({});
  });

  // Last of this device: its choices stay.
  test('tuning tells what every variant of every product took, and leaves the choices in force', async () => {
    const { products } = await tuneStep(engine, parseShape(SHAPE, { batch: 1, length: 1 }), 4);
    expect(products.length).toBeGreaterThan(8);
    for (const { key, chosen, ms, count } of products) {
      expect(variantsInForce(engine)[key], key).toBe(chosen);
      expect(ms[chosen], key).toBeGreaterThan(0);
      expect(Object.keys(ms).length, key).toBeGreaterThan(1);
      expect(count, key).toBeGreaterThan(0);
    }
    expect(engine.memory.live).toBe(0);
  });
});

test('a harness that brings its own GPU and tokens gets steps whose loss falls, a product and the work of a step', async () => {
  const said: string[] = [];
  const shape = { L: 1, d: 16, H: 2, ff: 32, V: 64, B: 2, T: 8 };
  const ours = await create({ shape, tokens: Uint16Array.from({ length: 16 }, (_, i) => (i * 5) % 64), gpu: await testGpu(), info: (line) => said.push(line) });
  const first = await ours.step();
  let last = first;
  for (let i = 0; i < 4; i++) last = await ours.step();
  await ours.sync();
  expect(first).toBeGreaterThan(3);
  expect(last).toBeLessThan(first);
  expect(await ours.matmul(32, 2)).toBeGreaterThan(0);
  expect(ours.flopsPerStep).toBeGreaterThan(2 * 2 * 16 * 1536);
  expect(said).toHaveLength(1);
  ours.destroy();
});

test('trainers are compared by the work of their kind, and one that fails at any point is told with its reason', async () => {
  const peer = (name: string, kind: 'lora' | 'full', step: () => Promise<number>): Peer =>
    ({ name, version: '1', kinds: [kind], create: () => Promise.resolve({ step, matmul: null, destroy: () => {} }) });
  let steps = 0;
  const shape = { L: 1, d: 16, H: 2, Hkv: 2, ff: 32, V: 64, B: 1, T: 8 };
  const { trainers } = await comparePeers({
    gpu: await testGpu(), shape, sides: [32], rounds: 2, steps: 1,
    peers: [
      peer('whole', 'full', () => Promise.resolve(9 - ++steps)),
      { ...peer('absent', 'lora', () => Promise.resolve(1)), create: () => Promise.reject(new Error('needs f16\nand more')) },
      peer('breaks', 'lora', () => (steps > 2 ? Promise.reject(new Error('device lost')) : Promise.resolve(1))),
    ],
  });
  const [ours, whole, absent, breaks] = trainers;
  expect(ours!.step!.lastLoss).toBeLessThan(ours!.step!.firstLoss);
  expect(ours!.step!.gflops).toBeCloseTo(ours!.step!.flops / ours!.step!.ms / 1e6, 9);
  expect(ours!.matmul!['32']).toBeGreaterThan(0);
  expect([ours!.step!.flops, whole!.step!.flops]).toEqual([workOf(shape).lora, workOf(shape).full]);
  expect([whole!.step!.firstLoss, whole!.step!.lastLoss, whole!.matmul]).toEqual([8, 5, undefined]);
  expect([absent!.failed, breaks!.failed]).toEqual(['needs f16', 'device lost']);
  expect(breaks!.step).toBeUndefined();
});
