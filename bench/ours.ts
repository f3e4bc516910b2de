/** For harnesses that compare trainers: `create({ shape: { L, d, H, ff, V, B, T }, tokens, gpu, info })`. `npm run bench:pack` bundles it as ours.mjs. */
export { create } from '../src/worker/bench/harness.ts';
export type { Harness, HarnessOptions, HarnessShape } from '../src/worker/bench/harness.ts';
