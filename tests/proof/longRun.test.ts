/** Two thousand steps: no slowdown, and nothing that grows, on the GPU or in JavaScript. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/device.ts';
import { create, type Harness } from '../../src/worker/bench/harness.ts';
import { testGpu } from '../setup/gpu.ts';

const STEPS = 2000;
/** Steps whose times are compared, at both ends; the first ones warm up. */
const WARM = 100;
const SPAN = 300;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let harness: Harness;
let engine: Engine;
beforeAll(async () => {
  harness = await create({ shape: { L: 2, d: 32, H: 2, ff: 64, V: 128, B: 2, T: 16 }, gpu: await testGpu(), onEngine: (opened) => (engine = opened) });
});
afterAll(() => harness?.destroy());

const median = (list: number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]!;

test(`${STEPS} steps take as long at the end as at the start, and no bytes more`, async () => {
  const times: number[] = [];
  const live: number[] = [];
  const heap: number[] = [];
  for (let i = 1; i <= STEPS; i++) {
    const used = process.cpuUsage();
    await harness.step();
    const { user, system } = process.cpuUsage(used);
    // Processor time, since other work on the machine stretches the clock's.
    times.push((user + system) / 1000);
    if (i % 100 !== 0) continue;
    collect();
    live.push(engine.memory.live);
    heap.push(process.memoryUsage().heapUsed);
  }
  const first = median(times.slice(WARM, WARM + SPAN));
  const last = median(times.slice(-SPAN));
  console.log(`${STEPS} steps: ${first.toFixed(2)} ms at the start, ${last.toFixed(2)} ms at the end (${((100 * last) / first - 100).toFixed(1)} %), heap ${(heap[1]! / 1e6).toFixed(1)} -> ${(heap.at(-1)! / 1e6).toFixed(1)} MB`);
  expect(new Set(live).size).toBe(1);
  expect(last / first).toBeLessThan(1.1);
  // From the second look on, when everything has been compiled: a megabyte is the noise of a collection.
  expect(heap.at(-1)! - heap[1]!).toBeLessThan(1e6);
}, 1_200_000);
