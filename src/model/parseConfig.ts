/**
 * Owns the way from an HF config.json to a ModelConfig: every default as transformers has it, every feature
 * the engine does not compute refused by name. Reads hub style (rope_theta, rope_scaling) and transformers-5
 * style (rope_parameters). Knows nothing of files.
 *
 * Checked against transformers 5.18: configuration_{llama,qwen2,qwen3}.py, modeling_*.py, modeling_rope_utils.py.
 * attention_dropout is not read: checkpoints carry 0 and LoRA's own dropout is what a recipe sets.
 */
import { EtudeError } from '../config/errors.ts';
import type { ModelConfig, RopeScaling } from './config.ts';

type Architecture = ModelConfig['architecture'];

/** What transformers assumes when config.json is silent. A null headDim means hidden / heads. */
interface Defaults {
  modelType: string;
  vocabSize: number;
  intermediateSize: number;
  /** null: as many as query heads. */
  numKeyValueHeads: number | null;
  headDim: number | null;
  maxPositionEmbeddings: number;
  bosTokenId: number | null;
  eosTokenId: number | null;
}

const DEFAULTS: Record<Architecture, Defaults> = {
  LlamaForCausalLM: {
    modelType: 'llama', vocabSize: 32_000, intermediateSize: 11_008, numKeyValueHeads: null, headDim: null,
    maxPositionEmbeddings: 2048, bosTokenId: 1, eosTokenId: 2,
  },
  Qwen2ForCausalLM: {
    modelType: 'qwen2', vocabSize: 151_936, intermediateSize: 22_016, numKeyValueHeads: 32, headDim: null,
    maxPositionEmbeddings: 32_768, bosTokenId: null, eosTokenId: null,
  },
  Qwen3ForCausalLM: {
    modelType: 'qwen3', vocabSize: 151_936, intermediateSize: 22_016, numKeyValueHeads: 32, headDim: 128,
    maxPositionEmbeddings: 32_768, bosTokenId: null, eosTokenId: null,
  },
};
export const ARCHITECTURES = Object.keys(DEFAULTS) as Architecture[];
const ROPE_TYPES = ['default', 'llama3', 'linear'];
const ACTIVATIONS = ['silu', 'swish'];

const unsupported = (what: string, works: string): EtudeError =>
  new EtudeError({
    code: 'model.unsupported',
    what,
    expected: works,
    likelyCause: 'Etude computes only what is listed, so that its numbers are the same as PEFT’s.',
    nextStep: 'Choose another model; SmolLM2, Llama 3.2, Qwen2.5 and Qwen3 in their plain versions work.',
  });

const invalid = (what: string, expected: string): EtudeError =>
  new EtudeError({
    code: 'model.config',
    what: `config.json: ${what}`,
    expected,
    likelyCause: 'The file was edited, or belongs to another kind of model.',
    nextStep: 'Replace config.json with the original from the model’s page.',
  });

/** `json` is the parsed config.json; `generationConfig` the parsed generation_config.json, whose end tokens win as in transformers. */
export function parseModelConfig(json: unknown, generationConfig?: unknown): ModelConfig {
  if (!isObject(json)) throw invalid('it is not a JSON object.', 'An object with "architectures" and sizes.');
  const architecture = readArchitecture(json);
  const defaults = DEFAULTS[architecture];
  refuseUnsupported(json, architecture);

  const hiddenSize = size(json, 'hidden_size', 4096);
  const numHiddenLayers = size(json, 'num_hidden_layers', 32);
  const numAttentionHeads = size(json, 'num_attention_heads', 32);
  const numKeyValueHeads = json['num_key_value_heads'] === null
    ? numAttentionHeads
    : size(json, 'num_key_value_heads', defaults.numKeyValueHeads ?? numAttentionHeads);
  const headDim = readHeadDim(json, defaults, hiddenSize, numAttentionHeads);
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    throw invalid(`num_attention_heads is ${numAttentionHeads} and num_key_value_heads is ${numKeyValueHeads}.`, 'A whole number of query heads for each key/value head.');
  }
  const maxPositionEmbeddings = size(json, 'max_position_embeddings', defaults.maxPositionEmbeddings);
  const attentionBias = architecture !== 'Qwen2ForCausalLM' && flag(json, 'attention_bias', false);
  return {
    architecture,
    hiddenSize,
    intermediateSize: size(json, 'intermediate_size', defaults.intermediateSize),
    numHiddenLayers,
    numAttentionHeads,
    numKeyValueHeads,
    headDim,
    vocabSize: size(json, 'vocab_size', defaults.vocabSize),
    maxPositionEmbeddings,
    rmsNormEps: positive(json, 'rms_norm_eps', 1e-6),
    ...readRope(json, maxPositionEmbeddings),
    tieWordEmbeddings: flag(json, 'tie_word_embeddings', false),
    qkvBias: architecture === 'Qwen2ForCausalLM' || attentionBias,
    oBias: attentionBias,
    mlpBias: architecture === 'LlamaForCausalLM' && flag(json, 'mlp_bias', false),
    qkNorm: architecture === 'Qwen3ForCausalLM',
    bosTokenId: tokenIds(json['bos_token_id'], 'bos_token_id', defaults.bosTokenId)[0] ?? null,
    eosTokenIds: readEos(json, generationConfig, defaults.eosTokenId),
  };
}

function readArchitecture(json: Record<string, unknown>): Architecture {
  const works = `One of ${ARCHITECTURES.join(', ')}.`;
  const listed = json['architectures'];
  if (Array.isArray(listed) && listed.length > 0) {
    const known = ARCHITECTURES.find((a) => a === listed[0]);
    if (known) return known;
    throw unsupported(`This model is a ${text(listed[0])}.`, works);
  }
  const byType = ARCHITECTURES.find((a) => DEFAULTS[a].modelType === json['model_type']);
  if (byType) return byType;
  if (json['model_type'] !== undefined) throw unsupported(`This model is of the type ${text(json['model_type'])}.`, works);
  throw invalid('it names no architecture.', works);
}

function refuseUnsupported(json: Record<string, unknown>, architecture: Architecture): void {
  const activation = json['hidden_act'] ?? 'silu';
  if (!ACTIVATIONS.includes(activation as string)) throw unsupported(`This model uses the activation ${text(activation)}.`, 'silu.');
  if (json['quantization_config'] !== undefined && json['quantization_config'] !== null) {
    const quantization = json['quantization_config'];
    const method = isObject(quantization) ? quantization['quant_method'] : undefined;
    throw unsupported(`The weights of this model are quantised${method === undefined ? '' : ` (${text(method)})`}.`, 'Weights in f32, bf16 or f16.');
  }
  if (architecture !== 'LlamaForCausalLM') refuseSlidingWindow(json);
}

/** Llama has no window. For Qwen the layer types decide where given, as in transformers. */
function refuseSlidingWindow(json: Record<string, unknown>): void {
  const fullAttentionOnly = 'Full causal attention in every layer.';
  const layerTypes = json['layer_types'];
  if (Array.isArray(layerTypes)) {
    const other = layerTypes.find((type) => type !== 'full_attention');
    if (other !== undefined) throw unsupported(`This model has layers of the type ${text(other)}.`, fullAttentionOnly);
    return;
  }
  if (flag(json, 'use_sliding_window', false) && json['sliding_window'] !== null) {
    const first = size(json, 'max_window_layers', 28, 0);
    const layers = size(json, 'num_hidden_layers', 32);
    if (first < layers) {
      throw unsupported(`Layers ${first} to ${layers - 1} of this model attend through a sliding window of ${text(json['sliding_window'] ?? 4096)} tokens.`, fullAttentionOnly);
    }
  }
}

function readHeadDim(json: Record<string, unknown>, defaults: Defaults, hiddenSize: number, heads: number): number {
  if (json['head_dim'] === undefined || json['head_dim'] === null) {
    if (defaults.headDim !== null) return defaults.headDim;
    if (hiddenSize % heads !== 0) throw invalid(`hidden_size ${hiddenSize} is not a multiple of num_attention_heads ${heads}, and there is no head_dim.`, 'A whole head size.');
  }
  const headDim = size(json, 'head_dim', Math.floor(hiddenSize / heads));
  if (headDim % 2 !== 0) throw unsupported(`The heads of this model have ${headDim} values.`, 'An even number, since rotary embedding turns pairs.');
  return headDim;
}

function readRope(json: Record<string, unknown>, maxPositionEmbeddings: number): Pick<ModelConfig, 'ropeTheta' | 'ropeScaling'> {
  const rope = json['rope_scaling'] ?? json['rope_parameters'] ?? {};
  if (!isObject(rope)) throw invalid('its rope settings are not an object.', 'An object with "rope_type".');
  if (Object.values(rope).some(isObject)) throw unsupported('This model has different rotary settings for different layers.', 'One setting for all layers.');
  const partial = rope['partial_rotary_factor'] ?? json['partial_rotary_factor'] ?? 1;
  if (partial !== 1) throw unsupported(`This model turns only a share of ${text(partial)} of each head.`, 'Rotary embedding over whole heads.');
  const ropeTheta = positive({ rope_theta: rope['rope_theta'] ?? json['rope_theta'] }, 'rope_theta', 10_000);
  return { ropeTheta, ropeScaling: readRopeScaling(rope, json, maxPositionEmbeddings) };
}

function readRopeScaling(rope: Record<string, unknown>, json: Record<string, unknown>, maxPositionEmbeddings: number): RopeScaling {
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

function readEos(json: Record<string, unknown>, generationConfig: unknown, fallback: number | null): number[] {
  const generation = isObject(generationConfig) ? generationConfig['eos_token_id'] : undefined;
  return generation === undefined || generation === null
    ? tokenIds(json['eos_token_id'], 'eos_token_id', fallback)
    : tokenIds(generation, 'eos_token_id of generation_config.json', null);
}

/** null in the file means none; absent means the default. */
function tokenIds(value: unknown, name: string, fallback: number | null): number[] {
  if (value === null) return [];
  if (value === undefined) return fallback === null ? [] : [fallback];
  const list = Array.isArray(value) ? value : [value];
  if (list.some((id) => !Number.isSafeInteger(id) || id < 0)) throw invalid(`${name} is ${text(value)}.`, 'A token id or a list of them.');
  return [...new Set(list as number[])];
}

/** Far above any published model; a size beyond it is a damaged file, and would overflow later sums. */
const LARGEST_SIZE = 2 ** 24;

function size(json: Record<string, unknown>, key: string, fallback: number, min = 1): number {
  const value = json[key] ?? fallback;
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > LARGEST_SIZE) {
    throw invalid(`${key} is ${text(value)}.`, `A whole number from ${min} to ${LARGEST_SIZE}.`);
  }
  return value as number;
}

function positive(json: Record<string, unknown>, key: string, fallback?: number): number {
  const value = json[key] ?? fallback;
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) throw invalid(`${key} is ${text(value)}.`, 'A number above 0.');
  return value;
}

function flag(json: Record<string, unknown>, key: string, fallback: boolean): boolean {
  const value = json[key] ?? fallback;
  if (typeof value !== 'boolean') throw invalid(`${key} is ${text(value)}.`, 'true or false.');
  return value;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value from the file as it may stand in a message. */
function text(value: unknown): string {
  const written = typeof value === 'string' ? value : JSON.stringify(value) ?? 'missing';
  return written.length > 80 ? `${written.slice(0, 77)}...` : written;
}
