/**
 * Owns what is worth saying while a run goes on: rules over its numbers, each said once. Refuses to act on them.
 */
import type { UserMessage } from '../config/errors.ts';

interface Point {
  step: number;
  loss: number;
  gradNorm: number;
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

export class RunWatch {
  readonly #points: Point[] = [];
  readonly #evals: { step: number; loss: number }[] = [];
  readonly #said = new Set<string>();
  readonly #totalSteps: number;

  constructor(totalSteps: number) {
    this.#totalSteps = totalSteps;
  }

  /** Alerts that this step raises. */
  step(point: Point): UserMessage[] {
    const points = this.#points;
    points.push(point);
    const out: (UserMessage | null)[] = [];
    const first = points[0]!.loss;
    const tail = points.slice(-3);
    if (points.length > 3 && tail.every((p) => p.loss > 2 * first)) {
      out.push(this.#once({
        code: 'train.diverging',
        what: `The loss has been above twice its start for three steps: ${tail[2]!.loss.toFixed(2)}, from ${first.toFixed(2)}.`,
        likelyCause: 'The learning rate is too high.',
        nextStep: 'Stop, and start again with a third of the learning rate.',
      }));
    }
    const window = 10;
    if (points.length >= 4 * window) {
      const early = mean(points.slice(0, window).map((p) => p.gradNorm));
      const late = mean(points.slice(-window).map((p) => p.gradNorm));
      const losses = [mean(points.slice(-2 * window, -window).map((p) => p.loss)), mean(points.slice(-window).map((p) => p.loss))] as const;
      if (late > 5 * early && losses[1] >= losses[0]) {
        out.push(this.#once({
          code: 'train.gradientRising',
          what: `The gradient norm has risen from ${early.toPrecision(3)} to ${late.toPrecision(3)} and the loss no longer falls.`,
          likelyCause: 'The learning rate is too high.',
          nextStep: 'If the loss rises too, stop and lower the learning rate.',
        }));
      }
    }
    if (points.length >= 5 && point.step <= 0.2 * this.#totalSteps && mean(points.slice(-5).map((p) => p.loss)) < 0.01) {
      out.push(this.#once({
        code: 'train.nearZero',
        what: `The loss is near zero after ${point.step} of ${this.#totalSteps} steps.`,
        likelyCause: 'The rows repeat each other, the answers are very short, or the model knew them already.',
        nextStep: 'Look at a few rows in Data; fewer steps may do.',
      }));
    }
    if (points.length === 20) {
      const losses = points.map((p) => p.loss);
      if (points.every((p) => p.gradNorm === 0) || Math.max(...losses) - Math.min(...losses) === 0) {
        out.push(this.#once({
          code: 'train.flat',
          what: 'The loss has not moved in 20 steps: no gradient arrives.',
          likelyCause: 'The learning rate is 0, or no layer carries an adapter that these rows reach.',
          nextStep: 'Check the learning rate and the layers that learn.',
        }));
      }
    }
    return out.filter((m): m is UserMessage => m !== null);
  }

  evaluation(step: number, loss: number): UserMessage[] {
    this.#evals.push({ step, loss });
    const last = this.#evals.slice(-4);
    if (last.length < 4 || !last.every((e, i) => i === 0 || e.loss > last[i - 1]!.loss)) return [];
    const between = (from: number, to: number): number[] => this.#points.filter((p) => p.step > from && p.step <= to).map((p) => p.loss);
    const before = between(last[0]!.step, last[1]!.step);
    const now = between(last[2]!.step, last[3]!.step);
    if (before.length === 0 || now.length === 0 || mean(now) >= mean(before)) return [];
    const best = this.#evals.reduce((a, b) => (b.loss < a.loss ? b : a));
    const said = this.#once({
      code: 'train.overfitting',
      what: 'Validation loss has risen at the last three checks while training loss still falls.',
      likelyCause: `The model is starting to learn the rows by heart. Step ${best.step} was best.`,
      nextStep: 'Stop now, or train fewer epochs next time.',
    });
    return said ? [said] : [];
  }

  #once(message: UserMessage): UserMessage | null {
    if (this.#said.has(message.code)) return null;
    this.#said.add(message.code);
    return message;
  }
}
