/** Round axis ticks. Pure; knows nothing of drawing. */

/** Four to six round ticks that cover [min, max]; the first and last ones are the domain. */
export function niceTicks(min: number, max: number, count = 5): number[] {
  if (!Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
  const low = Math.min(min, max);
  const high = Math.max(min, max);
  // Two values that differ in their last bits are one value.
  const size = Math.max(Math.abs(low), Math.abs(high));
  const span = high - low > Math.max(size * 1e-6, 1e-12) ? high - low : size > 1e-12 ? size : 1;
  const rough = span / (count - 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= rough * 0.999) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  const digits = Math.max(0, 2 - Math.floor(Math.log10(step)));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toFixed(digits)));
}

/** Whole ticks from 0 inside [0, total]; multiples of a round step, never past the end. */
export function stepTicks(total: number, count = 6): number[] {
  if (total < 1) return [0];
  const rough = total / count;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = Math.max(1, Math.round(power * ([1, 2, 3, 5, 6, 10].find((m) => m * power >= rough * 0.999) ?? 10)));
  return Array.from({ length: Math.floor(total / step) + 1 }, (_, i) => i * step);
}

/** As many decimals as tell neighbouring ticks apart. */
export function tickDecimals(ticks: number[]): number {
  for (let d = 0; d <= 6; d++) if (ticks.every((t) => Math.abs(t - Number(t.toFixed(d))) < 1e-9)) return d;
  return 6;
}
