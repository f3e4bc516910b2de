/**
 * Owns the list of weights a config promises, under Hugging Face names, and the check of a file's tensors against it.
 * Reads no bytes: names, shapes and types only.
 */
import { EtudeError } from '../config/errors.ts';
import { isFloatDtype } from '../formats/halfFloats.ts';
import { elementCount, type TensorEntry } from '../formats/safetensors.ts';
import type { ModelConfig } from './config.ts';

export interface ExpectedTensor {
  name: string;
  /** Linear weights are [out, in]. */
  shape: number[];
}

export const EMBEDDING = 'model.embed_tokens.weight';
export const HEAD = 'lm_head.weight';

/** Every weight of the model in the order of computation; no head when it is tied to the embedding. */
export function expectedTensors(config: ModelConfig): ExpectedTensor[] {
  const C = config.hiddenSize;
  const list: ExpectedTensor[] = [{ name: EMBEDDING, shape: [config.vocabSize, C] }];
  for (let layer = 0; layer < config.numHiddenLayers; layer++) list.push(...layerTensors(config, `model.layers.${layer}`));
  list.push({ name: 'model.norm.weight', shape: [C] });
  if (!config.tieWordEmbeddings) list.push({ name: HEAD, shape: [config.vocabSize, C] });
  return list;
}

/** Names of a layer's norms over the stream; with sandwich norms `post_attention_layernorm` is another one than without. */
export function streamNorms({ sandwichNorms }: ModelConfig): { input: string; attentionOut: string | null; mlp: string; mlpOut: string | null } {
  return sandwichNorms
    ? { input: 'input_layernorm', attentionOut: 'post_attention_layernorm', mlp: 'pre_feedforward_layernorm', mlpOut: 'post_feedforward_layernorm' }
    : { input: 'input_layernorm', attentionOut: null, mlp: 'post_attention_layernorm', mlpOut: null };
}

function layerTensors(config: ModelConfig, prefix: string): ExpectedTensor[] {
  const { hiddenSize: C, intermediateSize: F, headDim: D } = config;
  const q = config.numAttentionHeads * D;
  const kv = config.numKeyValueHeads * D;
  const linear = (name: string, out: number, inner: number, bias: boolean): ExpectedTensor[] => [
    { name: `${prefix}.${name}.weight`, shape: [out, inner] },
    ...(bias ? [{ name: `${prefix}.${name}.bias`, shape: [out] }] : []),
  ];
  const norm = (name: string, width: number): ExpectedTensor => ({ name: `${prefix}.${name}.weight`, shape: [width] });
  const norms = streamNorms(config);
  return [
    norm(norms.input, C),
    ...linear('self_attn.q_proj', q, C, config.qkvBias),
    ...linear('self_attn.k_proj', kv, C, config.qkvBias),
    ...linear('self_attn.v_proj', kv, C, config.qkvBias),
    ...(config.qkNorm ? [norm('self_attn.q_norm', D), norm('self_attn.k_norm', D)] : []),
    ...linear('self_attn.o_proj', C, q, config.oBias),
    ...(norms.attentionOut ? [norm(norms.attentionOut, C)] : []),
    norm(norms.mlp, C),
    ...linear('mlp.gate_proj', F, C, config.mlpBias),
    ...linear('mlp.up_proj', F, C, config.mlpBias),
    ...linear('mlp.down_proj', C, F, config.mlpBias),
    ...(norms.mlpOut ? [norm(norms.mlpOut, C)] : []),
  ];
}

/** Number of weights; a tied head counts once. */
export const countParameters = (config: ModelConfig): number =>
  expectedTensors(config).reduce((sum, tensor) => sum + elementCount(tensor), 0);

/**
 * Throws an EtudeError 'model.tensors' that names what is missing, misshaped or of a type the engine cannot read.
 * Returns the names the model does not use (a stored copy of a tied head, old rotary tables).
 */
export function checkTensors(entries: ReadonlyMap<string, TensorEntry>, config: ModelConfig): { unused: string[] } {
  const expected = expectedTensors(config);
  const missing: string[] = [];
  const misshaped: string[] = [];
  const unreadable: string[] = [];
  for (const { name, shape } of expected) {
    const entry = entries.get(name);
    if (!entry) missing.push(name);
    else if (entry.shape.length !== shape.length || entry.shape.some((d, i) => d !== shape[i])) {
      misshaped.push(`${name} is [${entry.shape.join(', ')}], not [${shape.join(', ')}]`);
    } else if (!isFloatDtype(entry.dtype)) unreadable.push(`${name} is ${entry.dtype}`);
  }
  const problems = [
    describe(missing, 'missing'),
    describe(misshaped, 'of another shape than config.json says'),
    describe(unreadable, 'of a type that Etude does not read'),
  ].filter((problem) => problem !== null);
  if (problems.length > 0) {
    throw new EtudeError({
      code: 'model.tensors',
      what: `The weights do not fit the model: ${problems.join('; ')}.`,
      expected: `${expected.length} tensors in F32, BF16 or F16 with the shapes that config.json gives.`,
      likelyCause: missing.length > 0 ? 'A file of the model is missing, or config.json belongs to another model.' : 'config.json belongs to another model, or the weights are quantised.',
      nextStep: 'Download the whole model folder again, config.json and weights together.',
    });
  }
  const used = new Set(expected.map((tensor) => tensor.name));
  return { unused: [...entries.keys()].filter((name) => !used.has(name)) };
}

/** "3 tensors are missing (a, b, c)"; names the first three. */
function describe(items: string[], problem: string): string | null {
  if (items.length === 0) return null;
  const named = items.slice(0, 3).join(', ') + (items.length > 3 ? ', ...' : '');
  return `${items.length} ${items.length === 1 ? 'tensor is' : 'tensors are'} ${problem} (${named})`;
}
