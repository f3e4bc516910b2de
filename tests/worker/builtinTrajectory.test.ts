/** The whole way of a run (tokens, masks, batches, schedule, gradients, optimizer) laid beside real PEFT's, from the same adapter. */
import 'fake-indexeddb/auto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { sourceFromPath, sourcesFromFolder } from '../../src/cli/fsSource.ts';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { Session } from '../../src/worker/session/session.ts';
import { testGpu } from '../setup/gpu.ts';

const STEPS = 8;
const context = { signal: new AbortController().signal, progress: () => {} };

interface LoggedByPeft {
  loss: number;
  grad_norm: number;
  learning_rate: number;
}

it('a run of the built-in example has the losses and gradient norms of PEFT, step by step', async () => {
  const theirs = JSON.parse(await readFile('tests/fixtures/builtin/peft_losses.json', 'utf8')) as { log: LoggedByPeft[] };
  const session = new Session({
    gpu: await testGpu(),
    loadBuiltin: (path) => sourceFromPath(resolve('public/builtin', path)),
    emit: (event) => {
      if (event.type === 'train.step' && event.metrics.step >= STEPS) void session.handle('train.stop', {}, context).catch(() => {});
    },
    pageUrl: null,
    database: 'trajectory',
  });
  try {
    await session.handle('model.load', { source: { kind: 'builtin' } }, context);
    const dataset = await session.handle('data.import', { source: { kind: 'builtin' } }, context);
    await session.importAdapter('peft', await sourcesFromFolder('tests/fixtures/builtin/peft_init_adapter'));
    const recipe = builtinRecipe();
    const run = await session.train(dataset.id, { ...recipe, training: { ...recipe.training, shuffle: false } }, { fromTuned: true, answers: false });
    expect(run.totalSteps).toBe(120);
    expect(run.metrics.length).toBeGreaterThanOrEqual(STEPS);
    for (const [i, ours] of run.metrics.slice(0, STEPS).entries()) {
      const expected = theirs.log[i]!;
      expect(Math.abs(ours.loss - expected.loss), `loss of step ${i + 1}`).toBeLessThan(1e-4);
      expect(Math.abs(ours.gradNorm - expected.grad_norm) / expected.grad_norm, `gradient norm of step ${i + 1}`).toBeLessThan(1e-4);
      expect(ours.learningRate).toBeCloseTo(expected.learning_rate, 9);
    }
  } finally {
    await session.destroy();
  }
}, 300_000);
