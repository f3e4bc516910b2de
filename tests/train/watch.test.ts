import { describe, expect, it } from 'vitest';
import { RunWatch } from '../../src/train/watch.ts';

const TOTAL = 1000;
/** Codes raised by each step of a run with these losses and gradient norms. */
function codes(points: { loss: number; gradNorm?: number }[], total = TOTAL): { step: number; code: string }[] {
  const watch = new RunWatch(total);
  return points.flatMap(({ loss, gradNorm = 1 }, i) => watch.step({ step: i + 1, loss, gradNorm }).map(({ code }) => ({ step: i + 1, code })));
}
const repeat = (n: number, of: (i: number) => number): { loss: number }[] => Array.from({ length: n }, (_, i) => ({ loss: of(i) }));

describe('while a run goes on', () => {
  it('nothing is said of a loss that falls, however noisily', () => {
    const points = Array.from({ length: 300 }, (_, i) => ({ loss: 3 * Math.exp(-i / 200) + 0.5 + 0.2 * Math.sin(7 * i), gradNorm: 1 + 0.5 * Math.cos(i) }));
    expect(codes(points)).toEqual([]);
  });

  it('a loss above twice its start for three steps is diverging, said once and with both numbers', () => {
    expect(codes([2, 5, 5, 3.9, 5, 5, 5, 5, 6, 7].map((loss) => ({ loss })))).toEqual([{ step: 7, code: 'train.diverging' }]);
    const watch = new RunWatch(TOTAL);
    const [said] = [2, 2, 5, 5, 6.25].flatMap((loss, i) => watch.step({ step: i + 1, loss, gradNorm: 1 }));
    expect(said!.what).toContain('6.25');
    expect(said!.what).toContain('2.00');
    expect(said!.nextStep).toMatch(/learning rate/);
  });

  it('a high first step alone is not diverging', () => {
    expect(codes([1, 2.1, 1.5, 2.2, 1, 2.3, 2.4, 1].map((loss) => ({ loss })))).toEqual([]);
  });

  it('a gradient norm five times its start is said when the loss no longer falls, and only then', () => {
    const rising = (loss: (i: number) => number) => Array.from({ length: 60 }, (_, i) => ({ loss: loss(i), gradNorm: i < 20 ? 1 : 8 }));
    const flat = codes(rising((i) => 2 + 0.001 * i));
    expect(flat.map((a) => a.code)).toEqual(['train.gradientRising']);
    expect(flat[0]!.step).toBe(40);
    expect(codes(rising((i) => 4 - 0.05 * i))).toEqual([]);
  });

  it('a loss near zero in the first fifth of the run is said, later not', () => {
    expect(codes(repeat(8, (i) => (i < 2 ? 1 : 0.001)))).toEqual([{ step: 7, code: 'train.nearZero' }]);
    expect(codes(repeat(20, (i) => 0.001 + i * 1e-6), 20).every((a) => a.step <= 4)).toBe(true);
    expect(codes(repeat(30, (i) => (i < 10 ? 1 : 0.001 + i * 1e-6)), 30)).toEqual([]);
  });

  it('a loss that does not move in 20 steps, or gradients that are all zero, mean that nothing arrives', () => {
    expect(codes(repeat(25, () => 2.5))).toEqual([{ step: 20, code: 'train.flat' }]);
    expect(codes(Array.from({ length: 25 }, (_, i) => ({ loss: 2 + 0.01 * Math.sin(i), gradNorm: 0 })))).toEqual([{ step: 20, code: 'train.flat' }]);
    expect(codes(Array.from({ length: 25 }, (_, i) => ({ loss: 2 + 0.01 * Math.sin(i), gradNorm: i === 3 ? 0.1 : 0 })))).toEqual([]);
  });

  it('a rate of 0 in warm-up is no flat loss: batches differ', () => {
    expect(codes(repeat(25, (i) => 2 + 1e-4 * Math.sin(i)))).toEqual([]);
  });
});

describe('at validation', () => {
  /** A run of 50 steps with validation every 10 steps. */
  function evaluated(evals: number[], training: (step: number) => number): string[] {
    const watch = new RunWatch(TOTAL);
    const said: string[] = [];
    evals.forEach((loss, i) => {
      for (let step = 10 * i - 9; step <= 10 * i; step++) if (step > 0) watch.step({ step, loss: training(step), gradNorm: 1 });
      said.push(...watch.evaluation(10 * i, loss).map((m) => `${10 * i} ${m.code} ${m.likelyCause}`));
    });
    return said;
  }
  const falling = (step: number): number => 3 - 0.02 * step;

  it('a loss that rose at the last three checks while training falls is learning by heart, and names the best step', () => {
    const said = evaluated([2, 1.5, 1.6, 1.7, 1.8, 1.9], falling);
    expect(said.length).toBe(1);
    expect(said[0]).toMatch(/^40 train\.overfitting .*Step 10 was best/);
  });

  it('two rises, a pause in the rise, or training that rises too is not', () => {
    expect(evaluated([2, 1.5, 1.6, 1.7, 1.4, 1.5], falling)).toEqual([]);
    expect(evaluated([2, 1.5, 1.6, 1.6, 1.7, 1.8], falling)).toEqual([]);
    expect(evaluated([2, 1.5, 1.6, 1.7, 1.8], (step) => 1 + 0.02 * step)).toEqual([]);
  });
});
