/** How numbers are written everywhere. Unknown is an en dash, never 0. Thin space before %. */

export const UNKNOWN = '–';
const THIN = '\u2009';

type Maybe = number | null | undefined;
const known = (x: Maybe): x is number => typeof x === 'number' && Number.isFinite(x);

const withCommas = (x: number): string => Math.round(x).toString().replace(/\B(?=(\d{3})+$)/g, ',');

/** Three significant digits for x >= 1, two decimals down to 0.1, three digits below that. */
export function formatSig(x: Maybe): string {
  if (!known(x)) return UNKNOWN;
  const size = Math.abs(x);
  if (size === 0) return '0.00';
  if (size < 1e-4) return x.toExponential(2);
  if (size < 0.0995) return x.toPrecision(3);
  if (size < 0.995) return x.toFixed(2);
  if (size < 9.995) return x.toFixed(2);
  if (size < 99.95) return x.toFixed(1);
  if (size < 999.5) return x.toFixed(0);
  return formatCountShort(x);
}

/** 2.86k, 527k, 4.88M: three significant digits with a unit letter from 1,000 on. */
export function formatCountShort(x: Maybe): string {
  if (!known(x)) return UNKNOWN;
  for (const [unit, scale] of [['T', 1e12], ['G', 1e9], ['M', 1e6], ['k', 1e3]] as const) {
    // 999,500 is 1.00M, not 1000k.
    if (Math.abs(x) >= scale * 0.9995) return `${(x / scale).toPrecision(3)}${unit === 'G' ? 'B' : unit}`;
  }
  return formatSig(x);
}

/** Whole with a thousands comma to 99,999, then 527k, 4.88M. */
export function formatCount(x: Maybe): string {
  if (!known(x)) return UNKNOWN;
  return Math.abs(x) < 99_999.5 ? withCommas(x) : formatCountShort(x);
}

/** A whole number, always written out: row numbers, bounds. */
export const formatWhole = (x: Maybe): string => (known(x) ? withCommas(x) : UNKNOWN);

/** "1 row", "2 rows". */
export const plural = (n: number, one: string, many = `${one}s`): string => `${formatCount(n)} ${n === 1 ? one : many}`;

export const formatLoss = (x: Maybe): string => (known(x) ? x.toFixed(2) : UNKNOWN);
export const formatLossExact = (x: Maybe): string => (known(x) ? x.toFixed(4) : UNKNOWN);

/** 2.00e-4. */
export const formatRate = (x: Maybe): string => (!known(x) ? UNKNOWN : x === 0 ? '0' : x.toExponential(2));
/** 2e-4, 1.5e-4: as short as it stays exact to three digits, for axes and running text. */
export function formatRateShort(x: Maybe): string {
  if (!known(x)) return UNKNOWN;
  if (x === 0) return '0';
  return x.toExponential(2).replace(/\.?0+e/, 'e');
}

const BYTE_UNITS = [['TB', 1e12], ['GB', 1e9], ['MB', 1e6], ['kB', 1e3]] as const;

/** Decimal bytes: 860 kB, 19.6 MB, 1.19 GB, 0.74 kB. */
export function formatBytes(bytes: Maybe): string {
  if (!known(bytes)) return UNKNOWN;
  if (bytes < 100) return `${Math.round(bytes)} B`;
  const [unit, scale] = BYTE_UNITS.find(([, s]) => bytes >= s * 0.9995) ?? BYTE_UNITS[3];
  const value = bytes / scale;
  return `${value < 1 ? value.toFixed(2) : formatSig(value)} ${unit}`;
}

/** The unit in which a set of byte counts is compared, chosen by the largest: `in('GB', 1.88e9)` is "1.88". */
export function byteUnit(largest: number): { unit: string; of: (bytes: Maybe) => string } {
  const [unit, scale] = BYTE_UNITS.find(([, s]) => largest >= s) ?? BYTE_UNITS[3];
  const digits = largest / scale >= 100 ? 0 : largest / scale >= 10 ? 1 : 2;
  return { unit, of: (bytes) => (known(bytes) ? (bytes / scale).toFixed(digits) : UNKNOWN) };
}

/** 164 of 269 MB. */
export function formatBytesOf(done: number, total: number | null): string {
  if (total === null) return formatBytes(done);
  const { unit, of } = byteUnit(total);
  return `${of(done)} of ${of(total)} ${unit}`;
}

/** 0:33, 2:56, 1:04:10. */
export function formatClock(seconds: Maybe): string {
  if (!known(seconds)) return UNKNOWN;
  const s = Math.max(0, Math.round(seconds));
  const two = (n: number) => n.toString().padStart(2, '0');
  const minutes = Math.floor(s / 60);
  return minutes < 60 ? `${minutes}:${two(s % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}

/** 33 s, 3 min 30 s; beyond 10 min to the minute; 2 h 5 min. */
export function formatDuration(seconds: Maybe): string {
  if (!known(seconds)) return UNKNOWN;
  const s = Math.max(0, seconds);
  if (s < 1) return 'under 1 s';
  if (Math.round(s) < 60) return `${Math.round(s)} s`;
  if (Math.round(s) < 600) {
    const whole = Math.round(s);
    return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  }
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

/** A share as 3.63 %. */
export function formatPercent(share: Maybe): string {
  if (!known(share)) return UNKNOWN;
  const p = share * 100;
  return `${p !== 0 && Math.abs(p) < 0.1 ? p.toPrecision(2) : p === 0 || p === 100 ? p.toFixed(0) : p.toPrecision(3)}${THIN}%`;
}

/** GFLOP/s as 1.84 TFLOP/s. */
export function formatFlops(gflops: Maybe): string {
  if (!known(gflops)) return UNKNOWN;
  return gflops >= 999.5 ? `${formatSig(gflops / 1000)} TFLOP/s` : `${formatSig(gflops)} GFLOP/s`;
}

/** 14:06 in local time. */
export function formatTimeOfDay(ms: number): string {
  const d = new Date(ms);
  return `${d.getHours().toString().padStart(2, '0')}:${d.getMinutes().toString().padStart(2, '0')}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** "today 14:06", "3 Mar 14:06", "3 Mar 2025". */
export function formatDate(ms: number, now: number = Date.now()): string {
  const d = new Date(ms);
  const today = new Date(now);
  if (d.toDateString() === today.toDateString()) return `today ${formatTimeOfDay(ms)}`;
  const day = `${d.getDate()} ${MONTHS[d.getMonth()]}`;
  return d.getFullYear() === today.getFullYear() ? `${day} ${formatTimeOfDay(ms)}` : `${day} ${d.getFullYear()}`;
}
