/**
 * Owns the rotary settings of a config.json, in hub style (rope_theta, rope_scaling, rope_local_base_freq) and in
 * transformers-5 style (rope_parameters, for all layers or one set for each type of layer).
 */
import type { ArchitectureTraits } from './architectures.ts';
import type { ModelConfig, RopeConfig, RopeScaling } from './config.ts';
import { invalid, isObject, positive, size, text, unsupported, type Json } from './configJson.ts';

const ROPE_TYPES = ['default', 'llama3', 'linear'];

export function readRope(json: Json, traits: ArchitectureTraits, maxPositionEmbeddings: number): Pick<ModelConfig, 'ropeTheta' | 'ropeScaling' | 'localRope'> {
  if (traits.localRopeTheta !== null) return readTwoRopes(json, traits, traits.localRopeTheta, maxPositionEmbeddings);
  const settings = objectOr(json['rope_scaling'] ?? json['rope_parameters']);
  if (Object.values(settings).some(isObject)) throw unsupported('This model has different rotary settings for different layers.', 'One setting for all layers.');
  return { ...readOne(settings, settings['rope_theta'] ?? json['rope_theta'], traits.ropeTheta, json, maxPositionEmbeddings), localRope: null };
}

/** Gemma 3: one table for layers that see everything, one for those with a window. rope_scaling means the first alone. */
function readTwoRopes(json: Json, traits: ArchitectureTraits, localTheta: number, maxPositionEmbeddings: number): Pick<ModelConfig, 'ropeTheta' | 'ropeScaling' | 'localRope'> {
  const both = objectOr(json['rope_parameters']);
  const stray = Object.entries(both).find(([, value]) => value !== null && !isObject(value));
  if (stray) throw invalid(`rope_parameters has ${stray[0]} ${text(stray[1])} for all layers.`, 'One object each for full_attention and sliding_attention.');
  const full = { ...objectOr(both['full_attention']), ...objectOr(json['rope_scaling']) };
  const sliding = objectOr(both['sliding_attention']);
  return {
    ...readOne(full, full['rope_theta'] ?? json['rope_theta'], traits.ropeTheta, json, maxPositionEmbeddings),
    localRope: readOne(sliding, sliding['rope_theta'] ?? json['rope_local_base_freq'], localTheta, json, maxPositionEmbeddings),
  };
}

function objectOr(value: unknown): Json {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw invalid('its rope settings are not an object.', 'An object with "rope_type".');
  return value;
}

function readOne(settings: Json, theta: unknown, fallback: number, json: Json, maxPositionEmbeddings: number): RopeConfig {
  const partial = settings['partial_rotary_factor'] ?? json['partial_rotary_factor'] ?? 1;
  if (partial !== 1) throw unsupported(`This model turns only a share of ${text(partial)} of each head.`, 'Rotary embedding over whole heads.');
  return { ropeTheta: positive({ rope_theta: theta }, 'rope_theta', fallback), ropeScaling: readScaling(settings, json, maxPositionEmbeddings) };
}

function readScaling(rope: Json, json: Json, maxPositionEmbeddings: number): RopeScaling {
  const type = rope['rope_type'] ?? rope['type'] ?? 'default';
  if (type === 'default') return { type };
  if (type === 'linear') return { type, factor: positive(rope, 'factor') };
  if (type === 'llama3') {
    const lowFreqFactor = positive(rope, 'low_freq_factor');
    const highFreqFactor = positive(rope, 'high_freq_factor');
    if (highFreqFactor <= lowFreqFactor) throw invalid(`high_freq_factor ${highFreqFactor} is not above low_freq_factor ${lowFreqFactor}.`, 'A larger high_freq_factor.');
    // A value beside the rope settings wins over one inside, as in transformers.
    const original = { original_max_position_embeddings: json['original_max_position_embeddings'] ?? rope['original_max_position_embeddings'] };
    return {
      type, factor: positive(rope, 'factor'), lowFreqFactor, highFreqFactor,
      originalMaxPositionEmbeddings: size(original, 'original_max_position_embeddings', maxPositionEmbeddings),
    };
  }
  throw unsupported(`This model scales its rotary embedding by ${text(type)}.`, `One of ${ROPE_TYPES.join(', ')}.`);
}
