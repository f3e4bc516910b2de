/**
 * Owns what each supported architecture means where its config.json is silent, and which keys of it count. One table: a new
 * architecture of the family is a row here.
 *
 * Checked against transformers 5.18: configuration_* and modeling_* of llama, mistral, qwen2, qwen3, smollm3, gemma2 and gemma3.
 */
import type { Architecture, ModelConfig } from './config.ts';

export interface ArchitectureTraits {
  modelType: string;
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  numAttentionHeads: number;
  /** null: as many as query heads. */
  numKeyValueHeads: number | null;
  /** null: hidden / heads. */
  headDim: number | null;
  maxPositionEmbeddings: number;
  ropeTheta: number;
  tieWordEmbeddings: boolean;
  bosTokenId: number | null;
  eosTokenId: number | null;
  /** The key that names the activation, and its default. */
  activation: { key: 'hidden_act' | 'hidden_activation'; fallback: string };
  /** Bias on q, k, v whatever the file says; else attention_bias puts one on q, k, v and o, where the model reads it. */
  bias: 'qkv' | 'attention_bias' | 'none';
  readsMlpBias: boolean;
  /** Which layers have a sliding window: see parseLayers. */
  windows: 'none' | 'all' | 'upper' | 'withoutRope' | 'pattern';
  slidingWindow: number | null;
  /** Layers without rotary positions (no_rope_layers). */
  hasNoRopeLayers: boolean;
  /** Every n-th layer is global where nothing else is said. */
  globalEvery: number;
  /** Theta of the sliding layers' own rotary table; null: one table for all. */
  localRopeTheta: number | null;
  norms: Pick<ModelConfig, 'qkNorm' | 'sandwichNorms' | 'normOffset'>;
  /** Embeddings times sqrt(hidden), and query_pre_attn_scalar in place of the head dim; the default of that. */
  queryPreAttnScalar: number | null;
  /** Defaults of the soft-caps; 'unread': the model's code does not apply what the file says. */
  attentionSoftcap: number | null | 'unread';
  finalSoftcap: number | null | 'unread';
}

const LLAMA: ArchitectureTraits = {
  modelType: 'llama', vocabSize: 32_000, hiddenSize: 4096, intermediateSize: 11_008, numHiddenLayers: 32, numAttentionHeads: 32, numKeyValueHeads: null, headDim: null,
  maxPositionEmbeddings: 2048, ropeTheta: 10_000, tieWordEmbeddings: false, bosTokenId: 1, eosTokenId: 2,
  activation: { key: 'hidden_act', fallback: 'silu' }, bias: 'attention_bias', readsMlpBias: true,
  windows: 'none', slidingWindow: null, hasNoRopeLayers: false, globalEvery: 1, localRopeTheta: null,
  norms: { qkNorm: false, sandwichNorms: false, normOffset: 0 }, queryPreAttnScalar: null, attentionSoftcap: 'unread', finalSoftcap: 'unread',
};

const QWEN2: ArchitectureTraits = {
  ...LLAMA, modelType: 'qwen2', vocabSize: 151_936, intermediateSize: 22_016, numKeyValueHeads: 32, maxPositionEmbeddings: 32_768, bosTokenId: null, eosTokenId: null,
  bias: 'qkv', readsMlpBias: false, windows: 'upper', slidingWindow: 4096,
};

const GEMMA2: ArchitectureTraits = {
  ...LLAMA, modelType: 'gemma2', vocabSize: 256_000, hiddenSize: 2304, intermediateSize: 9216, numHiddenLayers: 26, numAttentionHeads: 8, numKeyValueHeads: 4, headDim: 256,
  maxPositionEmbeddings: 8192, tieWordEmbeddings: true, bosTokenId: 2, eosTokenId: 1,
  activation: { key: 'hidden_activation', fallback: 'gelu_pytorch_tanh' }, readsMlpBias: false,
  windows: 'pattern', slidingWindow: 4096, globalEvery: 2,
  norms: { qkNorm: false, sandwichNorms: true, normOffset: 1 }, queryPreAttnScalar: 256, attentionSoftcap: 50, finalSoftcap: 30,
};

export const TRAITS: Record<Architecture, ArchitectureTraits> = {
  LlamaForCausalLM: LLAMA,
  MistralForCausalLM: {
    ...LLAMA, modelType: 'mistral', intermediateSize: 14_336, numKeyValueHeads: 8, maxPositionEmbeddings: 131_072,
    bias: 'none', readsMlpBias: false, windows: 'all', slidingWindow: 4096,
  },
  Qwen2ForCausalLM: QWEN2,
  Qwen3ForCausalLM: { ...QWEN2, modelType: 'qwen3', headDim: 128, bias: 'attention_bias', norms: { qkNorm: true, sandwichNorms: false, normOffset: 0 } },
  SmolLM3ForCausalLM: {
    ...LLAMA, modelType: 'smollm3', vocabSize: 128_256, hiddenSize: 2048, numHiddenLayers: 36, numAttentionHeads: 16, numKeyValueHeads: 4, maxPositionEmbeddings: 32_768,
    ropeTheta: 2_000_000, tieWordEmbeddings: true, bosTokenId: 128_000, eosTokenId: 128_001, windows: 'withoutRope', hasNoRopeLayers: true,
  },
  Gemma2ForCausalLM: GEMMA2,
  Gemma3ForCausalLM: {
    ...GEMMA2, modelType: 'gemma3_text', vocabSize: 262_208, maxPositionEmbeddings: 131_072, ropeTheta: 1_000_000, localRopeTheta: 10_000, globalEvery: 6,
    norms: { qkNorm: true, sandwichNorms: true, normOffset: 1 },
    // Gemma3Attention keeps attn_logit_softcapping and never hands it to the attention function: its scores are not capped.
    attentionSoftcap: 'unread', finalSoftcap: null,
  },
};
