import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { openEngine, submitBudget } from '../../src/engine/device.ts';
import { buildProgram, StepUniform, Submitter } from '../../src/engine/program.ts';
import { matmulNT } from '../../src/engine/kernels/matmul.ts';
import { createTensor, createWeight } from '../../src/engine/tensor.ts';
import { testGpu } from '../setup/gpu.ts';

test('a page that is looked at gets shorter submits than one that is hidden, for the same work', async () => {
  const engine = await openEngine(await testGpu(), { watched: true });
  const step = new StepUniform(engine);
  const n = 96;
  const x = createTensor(engine, 'x', n * n);
  const y = createTensor(engine, 'y', n * n);
  const w = createWeight(engine, 'w', 'f32', n, n);
  const program = await buildProgram(engine, 'products', step, Array.from({ length: 60 }, () => matmulNT(engine, { label: 'product', rows: { kind: 'tokens' }, x, w, y })).flat());
  const dims = { tokens: n, targets: 0 };
  step.write(dims);
  const submits = async (watched: boolean): Promise<number> => {
    engine.submitBudgetMs = submitBudget(watched);
    // A submitter begins with a guess of the speed: the same guess for both.
    const submitter = new Submitter(engine);
    await submitter.run([program], dims);
    await submitter.idle();
    expect(submitter.counted.dispatches).toBe(60);
    return submitter.counted.submits;
  };
  await submits(false);
  expect(await submits(true)).toBeGreaterThan(await submits(false));
  engine.destroy();
});
