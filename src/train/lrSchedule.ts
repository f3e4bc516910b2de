/**
 * Owns the learning rate of every step, in f64, as transformers' get_linear / cosine / constant_schedule_with_warmup give it.
 */
export type LrSchedule = 'linear' | 'cosine' | 'constant';

/**
 * The rate used in step s = 0, 1, ..; W warm-up steps of N in all. The first warm-up step has rate 0.
 */
export function learningRateAt(schedule: LrSchedule, base: number, s: number, warmup: number, total: number): number {
  if (s < warmup) return (base * s) / Math.max(1, warmup);
  const rest = Math.max(1, total - warmup);
  switch (schedule) {
    case 'constant': return base;
    case 'linear': return base * Math.max(0, (total - s) / rest);
    case 'cosine': return base * Math.max(0, 0.5 * (1 + Math.cos((Math.PI * (s - warmup)) / rest)));
  }
}
