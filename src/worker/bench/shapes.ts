/** Owns the model shapes that the bench knows by name, as their config.json gives them. Sources: the models' pages on the Hugging Face hub. */
import { EtudeError } from '../../config/errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import { parseModelConfig } from '../../model/parseConfig.ts';

export interface BenchShape {
  name: string;
  /** As it was asked for. */
  text: string;
  config: ModelConfig;
  /** Rows of a batch and tokens of a row; all rows are full. */
  batch: number;
  length: number;
}

/** The batch that the targets are stated for, and one that a software adapter finishes. */
export const defaultBatch = (software: boolean): { batch: number; length: number } => (software ? { batch: 2, length: 64 } : { batch: 4, length: 512 });

const llama = { architectures: ['LlamaForCausalLM'], rms_norm_eps: 1e-5, tie_word_embeddings: true, max_position_embeddings: 8192 };

const NAMED: Record<string, Record<string, unknown>> = {
  'SmolLM2-135M': {
    ...llama, hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30, num_attention_heads: 9, num_key_value_heads: 3, vocab_size: 49_152, rope_theta: 100_000,
  },
  'SmolLM2-360M': {
    ...llama, hidden_size: 960, intermediate_size: 2560, num_hidden_layers: 32, num_attention_heads: 15, num_key_value_heads: 5, vocab_size: 49_152, rope_theta: 100_000,
  },
  'Qwen3-0.6B': {
    architectures: ['Qwen3ForCausalLM'], hidden_size: 1024, intermediate_size: 3072, num_hidden_layers: 28, num_attention_heads: 16, num_key_value_heads: 8, head_dim: 128,
    vocab_size: 151_936, rope_theta: 1_000_000, rms_norm_eps: 1e-6, tie_word_embeddings: true, max_position_embeddings: 40_960,
  },
  'Llama-3.2-1B': {
    ...llama, hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 16, num_attention_heads: 32, num_key_value_heads: 8, head_dim: 64, vocab_size: 128_256,
    rope_theta: 500_000, max_position_embeddings: 131_072,
    rope_scaling: { rope_type: 'llama3', factor: 32, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
  },
  /** For software adapters and tests. */
  tiny: {
    ...llama, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, vocab_size: 512, rope_theta: 10_000,
  },
};
export const SHAPE_NAMES = Object.keys(NAMED);

/** Keys of a shape in numbers, as comparison harnesses write them, and the config keys they stand for. */
const KEYS: Record<string, string> = {
  L: 'num_hidden_layers', d: 'hidden_size', H: 'num_attention_heads', Hkv: 'num_key_value_heads', D: 'head_dim', ff: 'intermediate_size', V: 'vocab_size',
};

/** @param text a name, or numbers such as 'L=2,d=64,H=4,ff=128,V=512'; B and T may stand in either: 'SmolLM2-135M,B=4,T=512' */
export function parseShape(text: string, defaults: { batch: number; length: number }): BenchShape {
  const [first = '', ...rest] = text.split(',');
  const named = SHAPE_NAMES.find((name) => name.toLowerCase() === first.toLowerCase());
  const json: Record<string, unknown> = { ...(named ? NAMED[named] : llama) };
  let { batch, length } = defaults;
  const wrong = (what: string): EtudeError => new EtudeError({
    code: 'bench.shape', what, expected: `${SHAPE_NAMES.join(', ')}, or numbers: L=2,d=64,H=4,ff=128,V=512, with B= and T= after either.`, nextStep: 'Correct the shape.',
  });
  for (const pair of named ? rest : text.split(',')) {
    const [key = '', value] = pair.split('=');
    const number = Number(value);
    if (!Number.isInteger(number) || number < 1) throw wrong(`${pair} is no part of a shape.`);
    if (key === 'B') batch = number;
    else if (key === 'T') length = number;
    else if (KEYS[key] !== undefined) json[KEYS[key]] = number;
    else throw wrong(`${key} is no size of a shape.`);
  }
  if (!named && ['L', 'd', 'H', 'ff', 'V'].some((key) => json[KEYS[key]!] === undefined)) throw wrong(`${text} lacks one of L, d, H, ff and V.`);
  return { name: named ?? text, text, config: parseModelConfig(json), batch, length };
}
