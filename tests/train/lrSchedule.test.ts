import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countSteps } from '../../src/config/forecast.ts';
import { learningRateAt, type LrSchedule } from '../../src/train/lrSchedule.ts';

interface Case {
  rows: number;
  perDeviceTrainBatchSize: number;
  gradientAccumulationSteps: number;
  numTrainEpochs: number;
  maxSteps: number;
  lrSchedulerType: LrSchedule;
  /** A ratio below 1, else steps. */
  warmup: number;
  learningRate: number;
  stepsPerEpoch: number;
  totalSteps: number;
  warmupSteps: number;
  rates: number[];
}
const { transformers, cases } = JSON.parse(readFileSync(new URL('../fixtures/schedules.json', import.meta.url), 'utf8')) as { transformers: string; cases: Case[] };

describe(`steps, warm-up and learning rates are those of the Trainer of transformers ${transformers}`, () => {
  it.each(cases.map((c) => [`${c.rows} rows, batch ${c.perDeviceTrainBatchSize} x ${c.gradientAccumulationSteps}, ${c.maxSteps > 0 ? `${c.maxSteps} steps` : `${c.numTrainEpochs} epochs`}, ${c.lrSchedulerType}, warm-up ${c.warmup}`, c] as const))('%s', (_, c) => {
    const warmup = c.warmup < 1 ? { warmupRatio: c.warmup, warmupSteps: null } : { warmupRatio: 0, warmupSteps: c.warmup };
    expect(countSteps(c.rows, { ...c, ...warmup })).toMatchObject({ stepsPerEpoch: c.stepsPerEpoch, totalSteps: c.totalSteps, warmupSteps: c.warmupSteps });
    expect(c.rates.length).toBe(c.totalSteps);
    c.rates.forEach((rate, s) => {
      const ours = learningRateAt(c.lrSchedulerType, c.learningRate, s, c.warmupSteps, c.totalSteps);
      expect(Math.abs(ours - rate), `step ${s}: ${ours}, expected ${rate}`).toBeLessThanOrEqual(1e-12 * c.learningRate);
    });
  });
});

describe('the learning rate by hand', () => {
  const all = (schedule: LrSchedule, warmup: number, total: number): number[] => Array.from({ length: total }, (_, s) => learningRateAt(schedule, 12, s, warmup, total));

  it('linear: up in W steps from 0, down to one step above 0', () => {
    expect(all('linear', 2, 6)).toEqual([0, 6, 12, 9, 6, 3]);
  });
  it('cosine: half way down in the middle', () => {
    const rates = all('cosine', 0, 4);
    [12, 6 * (1 + Math.SQRT1_2), 6, 6 * (1 - Math.SQRT1_2)].forEach((rate, i) => expect(rates[i]).toBeCloseTo(rate, 12));
  });
  it('constant: flat after the warm-up', () => {
    expect(all('constant', 3, 5)).toEqual([0, 4, 8, 12, 12]);
  });
  it('is never negative and never not a number, not even with more warm-up than steps or beyond the end', () => {
    for (const schedule of ['linear', 'cosine', 'constant'] as const) {
      for (const [s, warmup, total] of [[0, 0, 1], [3, 5, 2], [9, 2, 4], [2, 2, 2]] as const) {
        const rate = learningRateAt(schedule, 1, s, warmup, total);
        expect(rate >= 0 && rate <= 1, `${schedule} ${s} of ${total}: ${rate}`).toBe(true);
      }
    }
  });
});
