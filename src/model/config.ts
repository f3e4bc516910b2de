/**
 * A decoder described by data: what an HF config.json says, in camelCase, with every default resolved. One decoder computes all of
 * it; what sets the architectures apart is values here, never a branch on a name.
 * Shapes: C hidden, H query heads, Hkv key/value heads, D head dim, F intermediate, V vocabulary, L layers.
 */

export type RopeScaling =
  | { type: 'default' }
  | { type: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalMaxPositionEmbeddings: number }
  | { type: 'linear'; factor: number };

export interface RopeConfig {
  ropeTheta: number;
  ropeScaling: RopeScaling;
}

/** Activation of the gate: x * sigmoid(x), or GELU in its tanh form. */
export type Activation = 'silu' | 'gelu_tanh';

/** What may differ from layer to layer. */
export interface LayerConfig {
  /** A query sees this many keys, its own included; null: all before it. */
  window: number | null;
  /** Which rotary table turns queries and keys; null: positions play no part. */
  rope: 'global' | 'local' | null;
}

export interface ModelConfig extends RopeConfig {
  architecture: Architecture;
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  numAttentionHeads: number;
  numKeyValueHeads: number;
  headDim: number;
  vocabSize: number;
  maxPositionEmbeddings: number;
  rmsNormEps: number;
  /** The rotary table of layers with rope 'local'; `ropeTheta` and `ropeScaling` make that of 'global'. */
  localRope: RopeConfig | null;
  /** Layer l is layers[l mod length]. */
  layers: readonly LayerConfig[];
  tieWordEmbeddings: boolean;
  /** Bias on q, k and v. */
  qkvBias: boolean;
  /** Bias on the attention output. */
  oBias: boolean;
  mlpBias: boolean;
  /** RMSNorm over each query and key head before rotary. */
  qkNorm: boolean;
  /** RMSNorm also over what attention and MLP give, before it joins the residual stream. */
  sandwichNorms: boolean;
  /** Norms multiply by normOffset + weight. */
  normOffset: 0 | 1;
  activation: Activation;
  /** Embeddings are multiplied by this, rounded to f32. */
  embeddingScale: number;
  /** Scores are q . k times this. */
  attentionScale: number;
  /** Scores become cap * tanh(score / cap); null: they stay. */
  attentionSoftcap: number | null;
  /** The same for logits. */
  finalSoftcap: number | null;
  bosTokenId: number | null;
  /** Generation stops after any of these. */
  eosTokenIds: number[];
}

export const ARCHITECTURES = [
  'LlamaForCausalLM', 'MistralForCausalLM', 'Qwen2ForCausalLM', 'Qwen3ForCausalLM', 'SmolLM3ForCausalLM', 'Gemma2ForCausalLM', 'Gemma3ForCausalLM',
] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export const layerAt = (config: Pick<ModelConfig, 'layers'>, layer: number): LayerConfig => config.layers[layer % config.layers.length]!;

/** The windows that layers of this model use, each once; null (no window) among them where a layer has none. */
export const windowsOf = (config: Pick<ModelConfig, 'layers'>): (number | null)[] => [...new Set(config.layers.map((l) => l.window))];
