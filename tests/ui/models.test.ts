/** The Model step and adapters from elsewhere, on a worker that answers the protocol: what is asked of it, and what is said. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { defaultRecipe } from '../../src/config/recipe.ts';
import { whatFits } from '../../src/train/planner.ts';
import { fitOf } from '../../src/ui/home/fits.ts';
import { FakeWorker, type FakeOptions } from './fakeWorker.ts';
import { CONFIG } from '../hub/lies.ts';

async function open(options: FakeOptions = {}) {
  vi.resetModules();
  const { WorkerClient } = await import('../../src/worker/client.ts');
  const { connect } = await import('../../src/stores/wiring.ts');
  const stores = {
    ...await import('../../src/stores/data.ts'), ...await import('../../src/stores/model.ts'), ...await import('../../src/stores/recipe.ts'), ...await import('../../src/stores/training.ts'),
    ...await import('../../src/stores/tuned.ts'), ...await import('../../src/stores/exporting.ts'), ...await import('../../src/stores/remedies.ts'),
  };
  const worker = new FakeWorker({ stepMs: 0, delay: 0, totalSteps: 4, ...options });
  connect(new WorkerClient(() => worker));
  const asked = (name: string) => worker.received.filter((m) => m.name === name).map((m) => m.args as Record<string, unknown>);
  return { ...stores, asked };
}

beforeEach(() => {
  vi.stubGlobal('location', { hash: '', href: 'https://example.org/etude/' });
  vi.stubGlobal('history', { pushState: vi.fn<() => void>(), replaceState: vi.fn<() => void>() });
  vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined });
});
afterEach(() => { vi.unstubAllGlobals(); });

describe('weights in fewer bits', () => {
  it('are asked for with a model of the hub, and the recipe says so; the built-in model stays as it is', async () => {
    const s = await open();
    s.setQuantization('nf4');
    s.chooseHub({ repo: 'org/name' });
    await s.loadModel();
    expect(s.asked('model.load').at(-1)).toMatchObject({ source: { kind: 'hub', repo: 'org/name' }, quantization: 'nf4' });
    expect(s.useRecipe.getState().recipe.model).toMatchObject({ source: 'hub', name: 'org/name', quantization: 'nf4' });
    s.chooseModel('builtin');
    await s.loadModel();
    expect(s.asked('model.load').at(-1)).toMatchObject({ quantization: 'none' });
    expect(s.useRecipe.getState().recipe.model.quantization).toBeUndefined();
  });
});

describe('a run that goes on from an adapter', () => {
  it('is asked for as such, and only while that adapter is on the model', async () => {
    const s = await open();
    await s.loadModel();
    await s.importData({ kind: 'builtin' });
    await s.importAdapter('theirs', [new File(['x'], 'theirs.zip')]);
    expect(s.useTuned.getState().continueFrom).toBe(false);
    s.setContinueFrom(true);
    await s.startTraining();
    expect(s.asked('train.start').at(-1)).toMatchObject({ fromTuned: true });
    expect(String(s.asked('train.start').at(-1)!['name'])).toContain('from theirs');
    // The run made an adapter of its own: the choice was about the other one.
    expect(s.useTuned.getState().continueFrom).toBe(false);
    await s.startTraining();
    expect(s.asked('train.start').at(-1)).toMatchObject({ fromTuned: false });
  });
});

describe('the remedies for too little memory', () => {
  it('set what they say', async () => {
    const s = await open();
    const [rows, length, layers] = s.remediesIn('One of these takes less: batch size 2 (1.2 GB); maximum length 1,024 (900 MB); recompute layers (1 GB).');
    expect([rows!.label, length!.label, layers!.label].toSorted()).toEqual(['Recompute layers', 'Set batch size 2', 'Set maximum length 1,024']);
    for (const remedy of [rows, length, layers]) remedy!.apply();
    const { training, data } = s.useRecipe.getState().recipe;
    expect([training.perDeviceTrainBatchSize, training.gradientCheckpointing, data.maxLength]).toEqual([2, 'layers', 1024]);
    s.remediesIn('the model in 4 bits')[0]!.apply();
    expect(s.useModel.getState().quantization).toBe('nf4');
  });

  it('know every single change that the planner offers', async () => {
    const s = await open();
    const config = parseModelConfig(CONFIG);
    const question = {
      config, weightBytes: 10_000_000, lora: defaultRecipe().lora, maxTokens: 4096, maxTargets: 4096, maxBinding: 2 ** 31,
      batchSize: 8, maxLength: 512, recompute: 'none', quantization: 'none', stored: 'bf16',
    } as const;
    const all = whatFits({ ...question, recompute: 'none' }, Number.MAX_SAFE_INTEGER);
    expect(all.length).toBe(4);
    for (const { change } of all) expect(s.remediesIn(change), change).toHaveLength(1);
  });
});

describe('whether a model fits', () => {
  it('is said by what is planned, else by its weights; never as a certainty above the largest buffer', () => {
    expect(fitOf(1e9, null, null)).toBeNull();
    expect(fitOf(1e9, null, 4e9)!.word).toBe('fits');
    expect(fitOf(1e9, 6e9, 4e9)!.word).toBe('may not fit');
    expect(fitOf(3.4e9, null, 4e9)!.word).toBe('fits in 4-bit');
    expect(fitOf(6.4e9, null, 4e9)!.why).toContain('it may work all the same');
  });
});
