/**
 * A decoder described by data: what an HF config.json says, in camelCase, with every default resolved.
 * Shapes: C hidden, H query heads, Hkv key/value heads, D head dim, F intermediate, V vocabulary, L layers.
 */

export type RopeScaling =
  | { type: 'default' }
  | { type: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalMaxPositionEmbeddings: number }
  | { type: 'linear'; factor: number };

export interface ModelConfig {
  architecture: 'LlamaForCausalLM' | 'Qwen2ForCausalLM' | 'Qwen3ForCausalLM';
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  numAttentionHeads: number;
  numKeyValueHeads: number;
  headDim: number;
  vocabSize: number;
  maxPositionEmbeddings: number;
  rmsNormEps: number;
  ropeTheta: number;
  ropeScaling: RopeScaling;
  tieWordEmbeddings: boolean;
  /** Bias on q, k and v (Qwen2). */
  qkvBias: boolean;
  /** Bias on the attention output (Llama with attention_bias). */
  oBias: boolean;
  mlpBias: boolean;
  /** RMSNorm over each query and key head before rotary (Qwen3). */
  qkNorm: boolean;
  bosTokenId: number | null;
  /** Generation stops after any of these. */
  eosTokenIds: number[];
}
