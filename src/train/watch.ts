/**
 * Owns what is worth saying while a run goes on: rules over its numbers, each said once. Refuses to act on them.
 */
import type { UserMessage } from '../config/errors.ts';
import { gradientRising, lossDiverging, lossNearZero, noGradient, validationRising } from '../config/messages.ts';

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
      out.push(this.#once(lossDiverging(tail[2]!.loss, first)));
    }
    const window = 10;
    if (points.length >= 4 * window) {
      const early = mean(points.slice(0, window).map((p) => p.gradNorm));
      const late = mean(points.slice(-window).map((p) => p.gradNorm));
      const losses = [mean(points.slice(-2 * window, -window).map((p) => p.loss)), mean(points.slice(-window).map((p) => p.loss))] as const;
      if (late > 5 * early && losses[1] >= losses[0]) {
        out.push(this.#once(gradientRising(early, late)));
      }
    }
    if (points.length >= 5 && point.step <= 0.2 * this.#totalSteps && mean(points.slice(-5).map((p) => p.loss)) < 0.01) {
      out.push(this.#once(lossNearZero(point.step, this.#totalSteps)));
    }
    if (points.length === 20) {
      const losses = points.map((p) => p.loss);
      if (points.every((p) => p.gradNorm === 0) || Math.max(...losses) - Math.min(...losses) === 0) {
        out.push(this.#once(noGradient(20)));
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
    const said = this.#once(validationRising(best.step));
    return said ? [said] : [];
  }

  #once(message: UserMessage): UserMessage | null {
    if (this.#said.has(message.code)) return null;
    this.#said.add(message.code);
    return message;
  }
}
