import { expect, test } from 'vitest';
import { submitBudget, type Engine } from '../../src/engine/device.ts';
import { Submitter, type Program } from '../../src/engine/program.ts';

/** A device that takes half a millisecond a dispatch, one submit after the other, and computes nothing. */
function slowDevice(): GPUDevice {
  let dispatches = 0;
  let work = 0;
  let queue = Promise.resolve();
  const pass = { setPipeline() {}, setBindGroup() {}, end() {}, dispatchWorkgroups: () => void dispatches++ };
  return {
    createCommandEncoder: () => ({ beginComputePass: () => pass, finish: () => ({}) }),
    queue: {
      submit() {
        work = dispatches;
        dispatches = 0;
      },
      onSubmittedWorkDone() {
        const ms = work / 2;
        queue = queue.then(() => new Promise((done) => setTimeout(done, ms)));
        return queue;
      },
    },
  } as unknown as GPUDevice;
}

test('submits grow to their budget while one always waits behind another', async () => {
  const engine = { device: slowDevice(), info: { software: false }, submitBudgetMs: submitBudget(false) } as Engine;
  const dispatch = { label: '', pipeline: {}, bindGroup: {}, grid: () => [1, 1, 1], flops: () => 1e9 };
  const program = { label: 'step', dispatches: Array.from({ length: 200 }, () => dispatch) } as unknown as Program;
  const submitter = new Submitter(engine);
  const submits: number[] = [];
  for (let step = 0; step < 12; step++) {
    const before = submitter.counted.submits;
    await submitter.run([program], { tokens: 1, targets: 1 });
    submits.push(submitter.counted.submits - before);
  }
  await submitter.idle();
  // 100 ms of work: 29 pieces by the first guess of the speed, 3 by what it is.
  expect(submits[0]).toBeGreaterThan(submits.at(-1)!);
  expect(submits.at(-1)).toBeLessThan(6);
});
