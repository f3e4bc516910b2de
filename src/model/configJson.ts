/** Owns reading single values out of a config.json, and the two ways of refusing one. Knows nothing of models. */
import { EtudeError } from '../config/errors.ts';

export type Json = Record<string, unknown>;

export const unsupported = (what: string, works: string): EtudeError =>
  new EtudeError({
    code: 'model.unsupported',
    what,
    expected: works,
    likelyCause: 'Etude computes only what is listed, so that its numbers are the same as PEFT’s.',
    nextStep: 'Choose another model; SmolLM2, SmolLM3, Llama 3.2, TinyLlama, Mistral, Qwen2.5, Qwen3, Gemma 2 and Gemma 3 (text) in their plain versions work.',
  });

export const invalid = (what: string, expected: string): EtudeError =>
  new EtudeError({
    code: 'model.config',
    what: `config.json: ${what}`,
    expected,
    likelyCause: 'The file was edited, or belongs to another kind of model.',
    nextStep: 'Replace config.json with the original from the model’s page.',
  });

/** Far above any published model; a size beyond it is a damaged file, and would overflow later sums. */
const LARGEST_SIZE = 2 ** 24;

export function size(json: Json, key: string, fallback: number, min = 1, max = LARGEST_SIZE): number {
  const value = json[key] ?? fallback;
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalid(`${key} is ${text(value)}.`, `A whole number from ${min} to ${max}.`);
  }
  return value as number;
}

export function positive(json: Json, key: string, fallback?: number): number {
  const value = json[key] ?? fallback;
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) throw invalid(`${key} is ${text(value)}.`, 'A number above 0.');
  return value;
}

/** null in the file means none; absent means the fallback. */
export function positiveOrNull(json: Json, key: string, fallback: number | null): number | null {
  const value = json[key] === undefined ? fallback : json[key];
  return value === null ? null : positive({ [key]: value }, key);
}

export function flag(json: Json, key: string, fallback: boolean): boolean {
  const value = json[key] ?? fallback;
  if (typeof value !== 'boolean') throw invalid(`${key} is ${text(value)}.`, 'true or false.');
  return value;
}

/** Token ids; null in the file means none, absent means the fallback. */
export function tokenIds(value: unknown, name: string, fallback: number | null): number[] {
  if (value === null) return [];
  if (value === undefined) return fallback === null ? [] : [fallback];
  const list = Array.isArray(value) ? value : [value];
  if (list.some((id) => !Number.isSafeInteger(id) || id < 0)) throw invalid(`${name} is ${text(value)}.`, 'A token id or a list of them.');
  return [...new Set(list as number[])];
}

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value from the file as it may stand in a message. */
export function text(value: unknown): string {
  const written = typeof value === 'string' ? value : JSON.stringify(value) ?? 'missing';
  return written.length > 80 ? `${written.slice(0, 77)}...` : written;
}
