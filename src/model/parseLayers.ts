/** Owns which layers of a config.json have a sliding window and which turn by which rotary table. */
import type { ArchitectureTraits } from './architectures.ts';
import type { LayerConfig } from './config.ts';
import { flag, invalid, size, text, unsupported, type Json } from './configJson.ts';

export function readLayers(json: Json, traits: ArchitectureTraits, count: number): LayerConfig[] {
  const turns = readTurns(json, traits, count);
  const window = readWindow(json, traits);
  const sliding = readSliding(json, traits, count, window, turns);
  return Array.from({ length: count }, (_, l) => {
    if (sliding[l] && window === null) {
      throw invalid(`layer ${l} is to attend through a sliding window, and sliding_window gives no size.`, 'A number of tokens in sliding_window.');
    }
    const rope = !turns[l] ? null : sliding[l] && traits.localRopeTheta !== null ? 'local' : 'global';
    return { window: sliding[l] ? window : null, rope };
  });
}

/** Tokens, or null. Absent means the architecture's own; Qwen's counts only with use_sliding_window. */
function readWindow(json: Json, traits: ArchitectureTraits): number | null {
  if (traits.windows === 'none' || (traits.windows === 'upper' && !flag(json, 'use_sliding_window', false))) return null;
  const value = json['sliding_window'] === undefined ? traits.slidingWindow : json['sliding_window'];
  return value === null ? null : size({ sliding_window: value }, 'sliding_window', 0);
}

/** For each layer: does it attend through the window. layer_types decides where the model reads it. */
function readSliding(json: Json, traits: ArchitectureTraits, count: number, window: number | null, turns: boolean[]): boolean[] {
  const layers = Array.from({ length: count }, (_, l) => l);
  if (traits.windows === 'none') return layers.map(() => false);
  if (traits.windows === 'all') return layers.map(() => window !== null);
  const types = json['layer_types'];
  if (Array.isArray(types)) {
    if (types.length < count) throw invalid(`layer_types names ${types.length} of ${count} layers.`, 'A type for each layer.');
    return layers.map((l) => {
      const type: unknown = types[l];
      if (type !== 'full_attention' && type !== 'sliding_attention') throw unsupported(`This model has layers of the type ${text(type)}.`, 'full_attention and sliding_attention.');
      return type === 'sliding_attention';
    });
  }
  if (types !== undefined && types !== null) throw invalid(`layer_types is ${text(types)}.`, 'A list with a type for each layer.');
  if (traits.windows === 'upper') {
    const first = size(json, 'max_window_layers', 28, 0);
    return layers.map((l) => window !== null && l >= first);
  }
  if (traits.windows === 'withoutRope') {
    const used = flag(json, 'use_sliding_window', false) && window !== null;
    return layers.map((l) => used && !turns[l]);
  }
  const every = traits.localRopeTheta === null ? traits.globalEvery : size(json, 'sliding_window_pattern', traits.globalEvery);
  return layers.map((l) => (l + 1) % every !== 0);
}

/** For each layer: do positions turn its queries and keys. */
function readTurns(json: Json, traits: ArchitectureTraits, count: number): boolean[] {
  const layers = Array.from({ length: count }, (_, l) => l);
  if (!traits.hasNoRopeLayers) return layers.map(() => true);
  const list = json['no_rope_layers'];
  if (list === undefined || list === null) {
    const interval = size(json, 'no_rope_layer_interval', 4);
    return layers.map((l) => (l + 1) % interval !== 0);
  }
  if (!Array.isArray(list) || list.length < count || list.some((v) => v !== 0 && v !== 1)) {
    throw invalid(`no_rope_layers is ${text(list)}.`, `A list of ${count}: 1 for a layer with rotary positions, 0 for one without.`);
  }
  return layers.map((l) => list[l] === 1);
}
