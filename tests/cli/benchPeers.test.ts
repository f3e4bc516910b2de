import { expect, test } from 'vitest';
import { peerLines } from '../../src/cli/benchPeers.ts';
import { loraConfigSchema, TARGET_MODULES } from '../../src/config/recipe.ts';
import { fullStepFlops, stepFlops } from '../../src/worker/bench/flops.ts';
import { parseShape } from '../../src/worker/bench/shapes.ts';

const SHAPE = { L: 2, d: 64, H: 4, Hkv: 4, ff: 128, V: 512, B: 2, T: 32 };

test('a trainer is told by the ratio of FLOP/s, and one that does not run by its reason', () => {
  const step = (gflops: number) => ({ ms: 10, flops: gflops * 1e7, gflops, firstLoss: 6, lastLoss: 5 });
  const text = peerLines({
    device: 'a card', shape: SHAPE,
    trainers: [
      { name: 'etude', version: '', kind: 'lora', step: step(6), matmul: { 512: 8 } },
      { name: 'peer', version: '1.0', kind: 'full', step: step(2), matmul: { 512: 16 } },
      { name: 'other', version: '2.0', kind: 'lora', failed: 'needs f16' },
    ],
  }).join('\n');
  expect(text).toMatch(/peer 1\.0, every parameter\n.*ours 3\.00 x its FLOP\/s\n.*512: 16\.00 GFLOP\/s: ours 0\.50 x/);
  expect(text).toMatch(/other 2\.0, LoRA.*\n +does not run: needs f16$/);
});

test('training every parameter takes 6 FLOP a weight and token, LoRA about 4', () => {
  const { config, batch, length } = parseShape('SmolLM2-135M', { batch: 4, length: 512 });
  const work = { tokens: batch * length, targets: batch * length, pairs: 0 };
  // Products only: the embedding is looked up and is a head besides.
  const weights = 134.5e6;
  expect(fullStepFlops(config, work) / work.tokens / weights).toBeCloseTo(6, 1);
  expect(stepFlops(config, loraConfigSchema.parse({ r: 16, targetModules: TARGET_MODULES }), work).total / work.tokens / weights).toBeGreaterThan(4);
});
