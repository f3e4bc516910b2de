/** Owns how bytes and counts are written inside messages: decimal units, three digits; whole counts with commas. */

/** 512 bytes, 860 kB, 19.6 MB, 1.19 GB. */
export function bytesInWords(bytes: number): string {
  for (const [unit, scale] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]] as const) {
    // 999.6 kB is 1.00 MB, not 1000 kB.
    if (bytes >= scale * 0.9995) return `${(bytes / scale).toPrecision(3)} ${unit}`;
  }
  return `${Math.round(bytes)} bytes`;
}

export const countInWords = (count: number): string => Math.round(count).toLocaleString('en-US');

/** "1 row", "2 rows". */
export const numbered = (count: number, one: string, many = `${one}s`): string => `${countInWords(count)} ${count === 1 ? one : many}`;
