/** Scales of the simple settings: where a value stands on its ruler and which values the thumb stops at. Pure. */
import { formatRateShort, formatWhole } from '../format.ts';

export interface Ruler {
  scale: 'linear' | 'log';
  stops: number[];
  /** Values with a tick and a label. */
  ticks: number[];
  format: (value: number) => string;
}

const RATES = [1e-5, 2e-5, 3e-5, 5e-5, 1e-4, 1.5e-4, 2e-4, 3e-4, 5e-4, 1e-3];

const RULERS: Record<string, Ruler> = {
  'training.numTrainEpochs': { scale: 'linear', stops: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], ticks: [1, 3, 5, 10], format: formatWhole },
  'training.learningRate': { scale: 'log', stops: RATES, ticks: [1e-5, 1e-4, 3e-4, 1e-3], format: formatRateShort },
  'lora.r': { scale: 'log', stops: [2, 4, 8, 16, 32, 64, 128], ticks: [2, 8, 32, 128], format: formatWhole },
  'data.maxLength': { scale: 'log', stops: [128, 192, 256, 384, 512, 768, 1024, 1536, 2048], ticks: [128, 256, 1024, 2048], format: formatWhole },
};

/** The ruler of a setting, made longer where the value lies beyond it. */
export function rulerFor(path: string, value: number): Ruler | null {
  const ruler = RULERS[path];
  if (!ruler) return null;
  const stops = [...ruler.stops];
  const grow = ruler.scale === 'log' ? (path === 'training.learningRate' ? 10 : 2) : 2;
  let first = stops[0]!;
  let last = stops.at(-1)!;
  if (!(value > 0) || !Number.isFinite(value)) return ruler;
  while (value < first * (1 - 1e-9) && first > 1e-12) stops.unshift(first = ruler.scale === 'log' ? first / grow : Math.max(0, first - 1));
  while (value > last * (1 + 1e-9)) {
    // Whole steps on the way, so that the thumb can still be put anywhere round.
    if (path === 'training.learningRate') stops.push(last * 2, last * 3, last * 5);
    stops.push(last *= grow);
  }
  const ends = [stops[0]!, stops.at(-1)!].filter((v) => !ruler.ticks.includes(v));
  return { ...ruler, stops, ticks: [...ruler.ticks, ...ends].toSorted((a, b) => a - b) };
}

const at = (ruler: Ruler, value: number): number => (ruler.scale === 'log' ? Math.log(value) : value);

/** Share of the ruler's length, 0 to 1. */
export function fraction(ruler: Ruler, value: number): number {
  const first = at(ruler, ruler.stops[0]!);
  const last = at(ruler, ruler.stops.at(-1)!);
  const here = at(ruler, Math.max(value, ruler.scale === 'log' ? 1e-12 : value));
  return Math.min(1, Math.max(0, (here - first) / (last - first)));
}

/** The stop nearest to a place on the ruler. */
export const nearestStop = (ruler: Ruler, share: number): number =>
  ruler.stops.reduce((best, stop) => (Math.abs(fraction(ruler, stop) - share) < Math.abs(fraction(ruler, best) - share) ? stop : best));

/** The next stop up or down from a value that may lie between stops. */
export function stepStop(ruler: Ruler, value: number, by: 1 | -1): number {
  const near = value * 1e-9;
  const next = by > 0 ? ruler.stops.find((s) => s > value + near) : ruler.stops.findLast((s) => s < value - near);
  return next ?? value;
}

/** Labels that would touch the one before them are left out; the ends stay. */
export function visibleTicks(ruler: Ruler): number[] {
  const kept: number[] = [];
  const last = ruler.ticks.at(-1)!;
  for (const tick of ruler.ticks) {
    const f = fraction(ruler, tick);
    const before = kept.at(-1);
    const clear = before === undefined || f - fraction(ruler, before) > 0.09;
    if (tick === last) {
      while (kept.length > 1 && f - fraction(ruler, kept.at(-1)!) <= 0.09) kept.pop();
      kept.push(tick);
    } else if (clear) kept.push(tick);
  }
  return kept;
}
