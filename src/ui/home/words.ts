/** What is said of a model in a line. Pure. */
import { formatBytes } from '../format.ts';

/** Words between dots, those that are not known left out. */
export const facts = (...words: (string | null | undefined | false)[]): string => words.filter(Boolean).join(' · ');

const LICENCES: Record<string, string> = { 'apache-2.0': 'Apache-2.0', mit: 'MIT', gemma: 'Gemma terms', 'llama3.2': 'Llama 3.2 licence' };
export const licenceName = (licence: string | null): string | null => (licence === null ? null : LICENCES[licence] ?? licence);

/** "cached", "120 of 270 MB here", or nothing. */
export function cachedWords(cached: { bytes: number; totalBytes: number; complete: boolean } | null | undefined): string | null {
  if (!cached) return null;
  return cached.complete ? 'cached' : `${formatBytes(cached.bytes)} of ${formatBytes(cached.totalBytes)} here`;
}
