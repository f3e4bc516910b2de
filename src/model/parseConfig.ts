/**
 * Owns the way from an HF config.json to a ModelConfig: every default as transformers has it (architectures.ts), every feature
 * the engine does not compute refused by name. Reads hub style and transformers-5 style. Knows nothing of files.
 *
 * attention_dropout is not read: checkpoints carry 0 and LoRA's own dropout is what a recipe sets.
 */
import { TRAITS, type ArchitectureTraits } from './architectures.ts';
import { ARCHITECTURES, type Activation, type Architecture, type ModelConfig } from './config.ts';
import { flag, invalid, isObject, positive, positiveOrNull, size, text, tokenIds, unsupported, type Json } from './configJson.ts';
import { readLayers } from './parseLayers.ts';
import { readRope } from './parseRope.ts';

const ACTIVATIONS: Record<string, Activation> = { silu: 'silu', swish: 'silu', gelu_pytorch_tanh: 'gelu_tanh', gelu_new: 'gelu_tanh' };

/** Known ones that are refused for a reason of their own. */
const REFUSED: Record<string, string> = {
  Gemma3ForConditionalGeneration: 'This model is a Gemma3ForConditionalGeneration: it reads images too, and only text models are trained here.',
};

/** Every layer becomes a dozen names and shapes to look for: a damaged count must not fill the memory with them. */
const MOST_LAYERS = 1024;

/** `json` is the parsed config.json; `generationConfig` the parsed generation_config.json, whose end tokens win as in transformers. */
export function parseModelConfig(json: unknown, generationConfig?: unknown): ModelConfig {
  if (!isObject(json)) throw invalid('it is not a JSON object.', 'An object with "architectures" and sizes.');
  const architecture = readArchitecture(json);
  const traits = TRAITS[architecture];
  refuseUnsupported(json);

  const hiddenSize = size(json, 'hidden_size', traits.hiddenSize);
  const numHiddenLayers = size(json, 'num_hidden_layers', traits.numHiddenLayers, 1, MOST_LAYERS);
  const numAttentionHeads = size(json, 'num_attention_heads', traits.numAttentionHeads);
  const numKeyValueHeads = json['num_key_value_heads'] === null
    ? numAttentionHeads
    : size(json, 'num_key_value_heads', traits.numKeyValueHeads ?? numAttentionHeads);
  const headDim = readHeadDim(json, traits, hiddenSize, numAttentionHeads);
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    throw invalid(`num_attention_heads is ${numAttentionHeads} and num_key_value_heads is ${numKeyValueHeads}.`, 'A whole number of query heads for each key/value head.');
  }
  const maxPositionEmbeddings = size(json, 'max_position_embeddings', traits.maxPositionEmbeddings);
  const attentionBias = traits.bias === 'attention_bias' && flag(json, 'attention_bias', false);
  const scaled = traits.queryPreAttnScalar !== null;
  return {
    architecture,
    hiddenSize,
    intermediateSize: size(json, 'intermediate_size', traits.intermediateSize),
    numHiddenLayers,
    numAttentionHeads,
    numKeyValueHeads,
    headDim,
    vocabSize: size(json, 'vocab_size', traits.vocabSize),
    maxPositionEmbeddings,
    rmsNormEps: positive(json, 'rms_norm_eps', 1e-6),
    ...readRope(json, traits, maxPositionEmbeddings),
    layers: readLayers(json, traits, numHiddenLayers),
    tieWordEmbeddings: flag(json, 'tie_word_embeddings', traits.tieWordEmbeddings),
    qkvBias: traits.bias === 'qkv' || attentionBias,
    oBias: attentionBias,
    mlpBias: traits.readsMlpBias && flag(json, 'mlp_bias', false),
    ...traits.norms,
    activation: readActivation(json, traits),
    embeddingScale: scaled ? Math.fround(Math.sqrt(hiddenSize)) : 1,
    attentionScale: 1 / Math.sqrt(traits.queryPreAttnScalar === null ? headDim : positive(json, 'query_pre_attn_scalar', traits.queryPreAttnScalar)),
    attentionSoftcap: traits.attentionSoftcap === 'unread' ? null : positiveOrNull(json, 'attn_logit_softcapping', traits.attentionSoftcap),
    finalSoftcap: traits.finalSoftcap === 'unread' ? null : positiveOrNull(json, 'final_logit_softcapping', traits.finalSoftcap),
    bosTokenId: tokenIds(json['bos_token_id'], 'bos_token_id', traits.bosTokenId)[0] ?? null,
    eosTokenIds: readEos(json, generationConfig, traits.eosTokenId),
  };
}

function readArchitecture(json: Json): Architecture {
  const listed = json['architectures'];
  const works = `One of ${ARCHITECTURES.join(', ')}.`;
  if (Array.isArray(listed) && listed.length > 0) {
    const known = ARCHITECTURES.find((a) => a === listed[0]);
    if (known) return known;
    throw unsupported(new Map(Object.entries(REFUSED)).get(String(listed[0])) ?? `This model is a ${text(listed[0])}.`, works);
  }
  const byType = ARCHITECTURES.find((a) => TRAITS[a].modelType === json['model_type']);
  if (byType) return byType;
  if (json['model_type'] !== undefined) throw unsupported(`This model is of the type ${text(json['model_type'])}.`, works);
  throw invalid('it names no architecture.', works);
}

function refuseUnsupported(json: Json): void {
  const quantization = json['quantization_config'];
  if (quantization !== undefined && quantization !== null) {
    const method = isObject(quantization) ? quantization['quant_method'] : undefined;
    throw unsupported(`The weights of this model are quantised${method === undefined ? '' : ` (${text(method)})`}.`, 'Weights in f32, bf16 or f16.');
  }
  if (json['use_bidirectional_attention'] === true) {
    throw unsupported('Tokens of this model see what comes after them (use_bidirectional_attention).', 'Causal attention.');
  }
}

function readActivation(json: Json, { activation: { key, fallback } }: ArchitectureTraits): Activation {
  const name = json[key] ?? fallback;
  const known = typeof name === 'string' && Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (!known) throw unsupported(`This model uses the activation ${text(name)}.`, 'silu or gelu_pytorch_tanh.');
  return known;
}

function readHeadDim(json: Json, traits: ArchitectureTraits, hiddenSize: number, heads: number): number {
  const silent = json['head_dim'] === undefined || json['head_dim'] === null;
  if (silent && traits.headDim === null && hiddenSize % heads !== 0) {
    throw invalid(`hidden_size ${hiddenSize} is not a multiple of num_attention_heads ${heads}, and there is no head_dim.`, 'A whole head size.');
  }
  const headDim = size(json, 'head_dim', traits.headDim ?? Math.floor(hiddenSize / heads));
  if (headDim % 2 !== 0) throw unsupported(`The heads of this model have ${headDim} values.`, 'An even number, since rotary embedding turns pairs.');
  return headDim;
}

function readEos(json: Json, generationConfig: unknown, fallback: number | null): number[] {
  const generation = isObject(generationConfig) ? generationConfig['eos_token_id'] : undefined;
  return generation === undefined || generation === null
    ? tokenIds(json['eos_token_id'], 'eos_token_id', fallback)
    : tokenIds(generation, 'eos_token_id of generation_config.json', null);
}
