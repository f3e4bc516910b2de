/**
 * Owns which modules of a model a LoRA config adapts, and with which rank and strength: PEFT's own rules, on paths.
 * Source: PEFT 0.21, tuners/tuners_utils.py (check_target_module_exists, _maybe_include_all_linear_layers) and
 * utils/other.py (get_pattern_key). Refuses to know tensors.
 */
import { compilePattern } from './pathPattern.ts';

export interface TargetRules {
  /** Suffixes and paths; or one pattern for the whole path, where 'all-linear' means every projection. */
  targetModules: readonly string[] | string;
  excludeModules: readonly string[] | string;
  /** null: every layer. */
  layersToTransform: readonly number[] | null;
  /** Names of the list of layers, e.g. `layers`; empty: any. Patterns, as PEFT puts them into one. */
  layersPattern: readonly string[];
}

/** First pattern that matches wins. */
export type ValuePattern = readonly (readonly [pattern: string, value: number])[];

export const isAllLinear = (target: readonly string[] | string): boolean => typeof target === 'string' && target.toLowerCase() === 'all-linear';

const endsWith = (path: string, names: readonly string[]): boolean => names.some((name) => path === name || path.endsWith(`.${name}`));

/** A test for module paths such as model.layers.0.self_attn.q_proj. Throws PatternError for a pattern we do not know. */
export function targetTest(rules: TargetRules): (path: string) => boolean {
  const { targetModules, excludeModules, layersToTransform, layersPattern } = rules;
  const excluded = typeof excludeModules === 'string'
    ? excludeModules === '' ? () => false : compilePattern(excludeModules)
    : (path: string) => endsWith(path, excludeModules);
  if (typeof targetModules === 'string') {
    const matches = isAllLinear(targetModules) ? () => true : compilePattern(targetModules);
    return (path) => !excluded(path) && matches(path);
  }
  const inLayer = layersToTransform === null ? null : layerTest(layersToTransform, layersPattern);
  return (path) => {
    if (excluded(path)) return false;
    // A full path is adapted whatever the layers.
    if (targetModules.includes(path)) return true;
    return endsWith(path, targetModules) && (inLayer === null || inLayer(path));
  };
}

function layerTest(layers: readonly number[], patterns: readonly string[]): (path: string) => boolean {
  const names = patterns.map((pattern) => compilePattern(pattern));
  return (path) => {
    const parts = path.split('.');
    for (let i = 1; i + 1 < parts.length; i++) {
      if (!/^\d+$/.test(parts[i]!)) continue;
      // Without a name, something must stand before the list of layers, as in PEFT's pattern.
      if (names.length === 0 ? i >= 2 : names.some((matches) => endings(parts, i).some(matches))) return layers.includes(Number(parts[i]));
    }
    return false;
  };
}

/** Every ending of the first `until` parts: `layers`, `model.layers`. */
export const endings = (parts: readonly string[], until = parts.length): string[] => parts.slice(0, until).map((_, from) => parts.slice(from, until).join('.'));

/** The value for a module: that of the first pattern that matches its path or an ending of it after a dot. */
export function patternLookup(patterns: ValuePattern, fallback: number): (path: string) => number {
  const tests = patterns.map(([pattern, value]) => {
    const matches = compilePattern(pattern);
    // With ^ in front nothing may stand before it, not even a path and its dot.
    return [pattern.startsWith('^') ? matches : (path: string) => endings(path.split('.')).some(matches), value] as const;
  });
  return (path) => tests.find(([matches]) => matches(path))?.[1] ?? fallback;
}
