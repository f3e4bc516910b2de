import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EtudeError } from '../../src/config/errors.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { readTensor, writeTensor } from '../../src/engine/tensor.ts';
import { flattenBatch } from '../../src/model/batchInputs.ts';
import { STATS, TrainingPlan } from '../../src/train/plan.ts';
import { relativeL2 } from '../../src/worker/conformance/compare.ts';
import { testGpu } from '../setup/gpu.ts';
import { batchOf, randomRows, TINY } from '../setup/tinyModel.ts';
import { bits, pull, Rig, ROWS, wholeRun, type RigOptions, type State } from './rig.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
});
afterAll(() => engine.destroy());

const meanLoss = async (rig: Rig, rows: typeof ROWS): Promise<number> => {
  const flat = flattenBatch(batchOf(...rows));
  rig.plan.resetStats();
  await rig.plan.evaluateBatch(flat, 1 / flat.targets);
  return (await readTensor(engine, rig.plan.stats))[STATS.loss]!;
};

describe('a run', () => {
  it('learns: the loss of random rows falls below half in 40 steps', async () => {
    const { steps, end } = await wholeRun(engine, { training: { maxSteps: 40, learningRate: 2e-2 } });
    expect(steps.length).toBe(40);
    expect(steps.at(-1)!.loss).toBeLessThan(0.5 * steps[0]!.loss);
    expect(end!.stopped).toBe(false);
  });

  it('with the same seed gives the same bits twice, with another seed others', async () => {
    const options: RigOptions = { lora: { loraDropout: 0.2 }, training: { numTrainEpochs: 1 } };
    const [first, second] = [await wholeRun(engine, options), await wholeRun(engine, options)];
    expect(second.steps).toEqual(first.steps);
    expect(bits(second.end!.state)).toEqual(bits(first.end!.state));
    const other = await wholeRun(engine, { ...options, training: { ...options.training, seed: 43 } });
    expect(other.steps[0]!.loss).not.toBe(first.steps[0]!.loss);
  });

  it('counts tokens, epochs and steps as the rows have them', async () => {
    // 7 rows, 2 a batch, 2 batches a step: 2 steps an epoch, the last one of 3 rows.
    const { steps, end } = await wholeRun(engine);
    const tokens = ROWS.reduce((n, r) => n + r.inputIds.length, 0);
    expect(steps.map((s) => [s.step, s.epoch])).toEqual([[1, 0.5], [2, 1], [3, 1.5], [4, 2]]);
    expect([steps[1]!.numTokens, steps[3]!.numTokens]).toEqual([tokens, 2 * tokens]);
    expect(end!.state).toMatchObject({ step: 4, microBatches: 8, cursor: { epoch: 2, window: 0 } });
  });

  it('ends at maxSteps in the middle of an epoch, and at a share of an epoch', async () => {
    const byMax = await wholeRun(engine, { training: { maxSteps: 3, numTrainEpochs: 50 } });
    expect(byMax.steps.map((s) => s.epoch)).toEqual([0.5, 1, 1.5]);
    expect((await wholeRun(engine, { training: { numTrainEpochs: 0.5 } })).steps.map((s) => s.epoch)).toEqual([0.5]);
  });

  it('warms up from 0 over ceil(ratio x total) steps, then falls linearly towards 0', async () => {
    const { steps } = await wholeRun(engine, { training: { maxSteps: 7, warmupRatio: 0.35, learningRate: 0.004 } });
    // ceil(2.45) = 3 steps of warm-up: 0, 1/3, 2/3 of the rate, then 4/4, 3/4, 2/4, 1/4.
    const expected = [0, 0.004 / 3, 0.008 / 3, 0.004, 0.003, 0.002, 0.001];
    steps.forEach((s, i) => expect(s.learningRate).toBeCloseTo(expected[i]!, 12));
    expect(steps[0]!.loss).toBeGreaterThan(0);
  });

  it('does not move while the rate is 0, and does when it is not', async () => {
    const start = await Rig.open(engine);
    const before = await start.adapter.snapshot();
    start.close();
    const { end } = await wholeRun(engine, { training: { maxSteps: 1, warmupSteps: 1 } });
    expect([...end!.state.params]).toEqual([...before.params]);
    const moved = await wholeRun(engine, { training: { maxSteps: 1, warmupSteps: 0 } });
    expect([...moved.end!.state.params]).not.toEqual([...before.params]);
  });
});

describe('gradient accumulation', () => {
  const rows = randomRows(4, 9, { min: 3, max: 14 });
  const one: RigOptions = { rows, training: { shuffle: false, perDeviceTrainBatchSize: 4, gradientAccumulationSteps: 1, maxSteps: 3 } };
  const four: RigOptions = { rows, training: { ...one.training, perDeviceTrainBatchSize: 1, gradientAccumulationSteps: 4 } };

  it('of four batches of one row is one batch of four rows, each label weighing the same', async () => {
    const [large, small] = [await wholeRun(engine, one), await wholeRun(engine, four)];
    for (const [i, step] of large.steps.entries()) {
      expect(Math.abs(small.steps[i]!.loss - step.loss)).toBeLessThan(2e-6 * step.loss);
      expect(Math.abs(small.steps[i]!.gradNorm - step.gradNorm)).toBeLessThan(2e-5 * step.gradNorm);
    }
    expect(relativeL2(small.end!.state.params, large.end!.state.params)).toBeLessThan(1e-4);
    // A mean of the rows' means would be another number.
    const rig = await Rig.open(engine, four);
    const means = [];
    for (const row of rows) means.push(await meanLoss(rig, [row]));
    rig.close();
    expect(Math.abs(means.reduce((a, b) => a + b) / 4 - large.steps[0]!.loss)).toBeGreaterThan(1e-2);
  });

  it('makes a step of a last partial window, divided by its own labels', async () => {
    const options: RigOptions = { rows: rows.slice(0, 3), training: { shuffle: false, perDeviceTrainBatchSize: 1, gradientAccumulationSteps: 2, numTrainEpochs: 1, lrSchedulerType: 'constant' } };
    const { steps } = await wholeRun(engine, options);
    expect(steps.map((s) => s.epoch)).toEqual([0.5, 1]);
    const rig = await Rig.open(engine, options);
    rig.adapter.restore((await wholeRun(engine, { ...options, training: { ...options.training, maxSteps: 1 } })).end!.state);
    expect(Math.abs(steps[1]!.loss - (await meanLoss(rig, [rows[2]!])))).toBeLessThan(2e-6);
    rig.close();
  });
});

describe('a checkpoint', () => {
  /** 9 rows: 3 windows an epoch, the last of one row. Dropout and shuffling on, packing as given. */
  const options = (packing: boolean): RigOptions => ({
    rows: randomRows(9, 21), heldOut: randomRows(2, 22), lora: { loraDropout: 0.2 }, maxLength: 15,
    training: { packing, maxSteps: 8, saveSteps: 2, evalSteps: 3, weightDecay: 0.01, warmupRatio: 0.3, gradientAccumulationSteps: packing ? 1 : 2, lrSchedulerType: 'cosine' },
  });

  for (const packing of [false, true]) {
    it(`continues on new objects and another device with the bits of the uninterrupted run, across epochs, with packing ${packing ? 'on' : 'off'}`, async () => {
      const whole = await wholeRun(engine, options(packing));
      expect(whole.checkpoints.map((c) => c.step)).toEqual([2, 4, 6]);
      expect(whole.end!.state.cursor.epoch).toBeGreaterThanOrEqual(1);
      const fresh = await openEngine(await testGpu());
      for (const checkpoint of whole.checkpoints) {
        // What IndexedDB keeps is a structured clone.
        const rig = await Rig.open(fresh, options(packing));
        rig.adapter.initialise(999);
        const rest = await pull(rig.trainer(structuredClone(checkpoint)));
        rig.close();
        expect(rest.error).toBeNull();
        expect(rest.steps).toEqual(whole.steps.slice(checkpoint.step));
        expect(rest.evals).toEqual(whole.evals.filter((e) => e.step > checkpoint.step));
        expect(bits(rest.end!.state)).toEqual(bits(whole.end!.state));
      }
      fresh.destroy();
    });
  }

  it('is all that decides the rest: without its moments, its step or its dropout counter the run goes another way', async () => {
    const whole = await wholeRun(engine, options(false));
    const checkpoint = whole.checkpoints[1]!;
    const changes: Partial<State>[] = [
      { m: new Float32Array(checkpoint.m.length) }, { v: checkpoint.v.map((x) => 2 * x) }, { microBatches: 0 }, { cursor: { epoch: 0, window: 0 } }, { step: checkpoint.step - 1 },
    ];
    for (const change of changes) {
      const rig = await Rig.open(engine, options(false));
      const rest = await pull(rig.trainer({ ...structuredClone(checkpoint), ...change }));
      rig.close();
      expect(bits(rest.end!.state).params, `changed: ${Object.keys(change).join()}`).not.toEqual(bits(whole.end!.state).params);
    }
  });

  it('comes at each whole epoch by default, every N steps where asked, and whenever checkpoint() asks, without changing the run', async () => {
    const plain = await wholeRun(engine, { training: { numTrainEpochs: 3 } });
    expect(plain.checkpoints.map((c) => c.step)).toEqual([2, 4]);
    const rig = await Rig.open(engine, { training: { numTrainEpochs: 3, saveSteps: 100 } });
    const trainer = rig.trainer();
    trainer.checkpoint();
    const asked = await pull(trainer, (e) => {
      if (e.type === 'step' && e.metrics.step === 3) trainer.checkpoint();
      return false;
    });
    rig.close();
    expect(asked.checkpoints.map((c) => c.step)[0]).toBe(1);
    expect(asked.checkpoints.length).toBe(2);
    expect(asked.steps).toEqual(plain.steps);
    expect(bits(asked.end!.state)).toEqual(bits(plain.end!.state));
  });

  it('holds the numbers of its step exactly: every step up to it has been reported before it', async () => {
    const { events } = await wholeRun(engine, { training: { maxSteps: 6, saveSteps: 3 } });
    const order = events.map((e) => (e.type === 'step' ? e.metrics.step : e.type));
    expect(order).toEqual([1, 2, 3, 'checkpoint', 4, 5, 6, 'end']);
  });
});

describe('validation', () => {
  const heldOut = randomRows(5, 31);

  it('is the loss over all held-out labels, and leaves the bits of the run alone', async () => {
    const training = { numTrainEpochs: 2 };
    const plain = await wholeRun(engine, { lora: { loraDropout: 0.3 }, training });
    const watched = await wholeRun(engine, { lora: { loraDropout: 0.3 }, training: { ...training, evalSteps: 1 }, heldOut });
    expect(watched.steps).toEqual(plain.steps);
    expect(bits(watched.end!.state)).toEqual(bits(plain.end!.state));
    expect(watched.evals.map((e) => e.step)).toEqual([0, 1, 2, 3, 4]);
    const rig = await Rig.open(engine, { heldOut });
    rig.adapter.restore(watched.end!.state);
    expect(Math.abs(watched.evals.at(-1)!.evalLoss - (await meanLoss(rig, heldOut)))).toBeLessThan(3e-6);
    rig.close();
  });

  it('runs before the first step, at each epoch, and at the end', async () => {
    expect((await wholeRun(engine, { heldOut })).evals.map((e) => e.step)).toEqual([0, 2, 4]);
    expect((await wholeRun(engine, { heldOut, training: { maxSteps: 3 } })).evals.map((e) => e.step)).toEqual([0, 2, 3]);
  });
});

describe('stopping', () => {
  it('ends after the step under way with a state that continues as if nothing had been', async () => {
    const options: RigOptions = { lora: { loraDropout: 0.1 }, training: { numTrainEpochs: 3 } };
    const whole = await wholeRun(engine, options);
    const rig = await Rig.open(engine, options);
    const trainer = rig.trainer();
    const first = await pull(trainer, (e) => {
      if (e.type === 'step') trainer.stop();
      return false;
    });
    expect(first.end!.stopped).toBe(true);
    const { step } = first.end!.state;
    expect(step).toBeLessThan(whole.steps.length);
    expect(first.steps).toEqual(whole.steps.slice(0, step));
    const rest = await pull(rig.trainer(first.end!.state));
    expect(bits(rest.end!.state)).toEqual(bits(whole.end!.state));
    rig.close();
  });

  it('before the first step gives back the adapter as it began', async () => {
    const rig = await Rig.open(engine);
    const before = await rig.adapter.snapshot();
    const trainer = rig.trainer();
    trainer.stop();
    const { end, steps } = await pull(trainer);
    expect(steps).toEqual([]);
    expect(end!.state.step).toBe(0);
    expect([...end!.state.params]).toEqual([...before.params]);
    rig.close();
  });
});

describe('a loss that is not a number', () => {
  const options: RigOptions = { training: { numTrainEpochs: 4 } };

  /** The rig's plan, giving step k a gradient that is not a number. */
  function poison(rig: Rig, k: number, value: number): void {
    const microBatch = rig.plan.microBatch.bind(rig.plan);
    const perStep = rig.training.gradientAccumulationSteps;
    let calls = 0;
    rig.plan.microBatch = (flat, scale, seed) => microBatch(flat, Math.floor(calls++ / perStep) === k - 1 ? value : scale, seed);
  }

  it.each([[3, NaN], [4, Infinity], [1, NaN]])('at step %i (%d) ends the run with the weights of the step before, whatever was under way', async (k, value) => {
    const clean = await wholeRun(engine, { ...options, training: { ...options.training, saveSteps: 1 } });
    const rig = await Rig.open(engine, { ...options, training: { ...options.training, saveSteps: 1000 } });
    const start = await rig.adapter.snapshot();
    poison(rig, k, value);
    const { error, checkpoints, steps, end } = await pull(rig.trainer());
    expect(error).toBeInstanceOf(EtudeError);
    expect((error as EtudeError).code).toBe('train.notFinite');
    expect((error as EtudeError).message).toContain(`step ${k}`);
    expect(end).toBeNull();
    expect(steps).toEqual(clean.steps.slice(0, k - 1));
    expect(checkpoints.length).toBe(1);
    if (k > 1) expect(bits(checkpoints[0]!)).toEqual(bits(clean.checkpoints[k - 2]!));
    else expect(checkpoints[0]).toMatchObject({ step: 0, microBatches: 0, numTokens: 0, params: start.params });
    rig.close();
  });

  it('that comes from a rate far too high is caught at the first step it shows in', async () => {
    const rig = await Rig.open(engine, { training: { maxSteps: 8, lrSchedulerType: 'constant' } });
    rig.training.learningRate = 1e30;
    const { error, checkpoints, steps } = await pull(rig.trainer());
    expect((error as EtudeError).code).toBe('train.notFinite');
    expect(checkpoints.at(-1)!.step).toBe(steps.length);
    expect(checkpoints.at(-1)!.params.every(Number.isFinite)).toBe(true);
    rig.close();
  });

  it('in the adapter itself is said before anything is trained', async () => {
    const rig = await Rig.open(engine);
    writeTensor(engine, rig.adapter.params, Float32Array.of(NaN), rig.adapter.entries[3]!.aStart);
    writeTensor(engine, rig.adapter.params, Float32Array.of(1), rig.adapter.entries[3]!.bStart);
    const { error, steps } = await pull(rig.trainer());
    expect((error as EtudeError).code).toBe('train.notFinite');
    expect(steps).toEqual([]);
    rig.close();
  });
});

describe('weight decay', () => {
  it('shrinks lora_A by lr x decay in the first step, where B = 0 gives A no gradient', async () => {
    const training = { maxSteps: 1, learningRate: 0.03, weightDecay: 0.2 };
    const rig = await Rig.open(engine, { training });
    const before = await rig.adapter.read();
    const { end } = await pull(rig.trainer());
    rig.adapter.restore(end!.state);
    const after = await rig.adapter.read();
    for (const [key, { data }] of after) {
      const old = before.get(key)!.data;
      if (key.includes('lora_A')) expect(data).toBeAllclose(old.map((x) => x * (1 - 0.03 * 0.2)), 'f32');
      else expect(data.some((x) => x !== 0)).toBe(true);
    }
    rig.close();
    const none = await Rig.open(engine, { training: { ...training, weightDecay: 0 } });
    const start = await none.adapter.read();
    await pull(none.trainer());
    const kept = await none.adapter.read();
    for (const [key, { data }] of kept) if (key.includes('lora_A')) expect([...data]).toEqual([...start.get(key)!.data]);
    none.close();
  });
});

describe('the GPU', () => {
  it('gets nothing new in the steady state: no buffer, bind group, pipeline or module after the first step', async () => {
    const rig = await Rig.open(engine, { lora: { loraDropout: 0.1 }, training: { maxSteps: 6, saveSteps: 100 } });
    const counts: Record<string, number> = {};
    const { device } = engine;
    const names = ['createBuffer', 'createBindGroup', 'createComputePipeline', 'createComputePipelineAsync', 'createShaderModule', 'createBindGroupLayout', 'createPipelineLayout'] as const;
    const wrapped = device as unknown as Record<string, (...args: unknown[]) => unknown>;
    const originals = names.map((name) => [name, wrapped[name]!] as const);
    for (const [name, original] of originals) {
      wrapped[name] = (...args) => {
        counts[name] = (counts[name] ?? 0) + 1;
        return original.apply(device, args);
      };
    }
    try {
      let live = 0;
      for await (const event of rig.trainer().run()) {
        if (event.type !== 'step') continue;
        if (event.metrics.step === 1) {
          // The ring's staging buffers: the wrapping counts.
          expect(counts).toEqual({ createBuffer: 3 });
          live = engine.memory.live;
        }
        expect(engine.memory.live).toBe(live);
      }
      // The end reads parameters and moments back, each through a buffer of its own.
      expect(counts).toEqual({ createBuffer: 6 });
    } finally {
      for (const name of names) delete (device as unknown as Record<string, unknown>)[name];
    }
    rig.close();
  });

  it('gets all of it back: live bytes are what they were after runs, stopped runs, failed runs and abandoned ones', async () => {
    const { live } = engine.memory;
    for (const packing of [true, false]) await wholeRun(engine, { training: { packing, maxSteps: 2 }, lora: { loraDropout: 0.1 }, heldOut: randomRows(2, 3) });
    expect(engine.memory.live).toBe(live);
    const rig = await Rig.open(engine);
    await pull(rig.trainer(), () => true);
    rig.training.learningRate = 1e30;
    await pull(rig.trainer());
    rig.close();
    expect(engine.memory.live).toBe(live);
  });

  it('gets all of a plan back that cannot be made', async () => {
    const small = await openEngine(await testGpu(), { maxBinding: 4 * TINY.vocabSize * 64 });
    const rig = await Rig.open(small, { maxLength: 12 });
    const { live } = small.memory;
    const plan = TrainingPlan.create({ ...rig.model, adapter: rig.adapter, maxTokens: 4000, maxTargets: 10, maxPositions: 12, loraDropout: 0, training: rig.training });
    await expect(plan).rejects.toThrow(/more than one binding/);
    expect(small.memory.live).toBe(live);
    small.destroy();
    expect(small.memory.live).toBe(0);
  });
});
