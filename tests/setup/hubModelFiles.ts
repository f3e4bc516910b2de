/**
 * A model folder as a repository of the hub holds it: a Llama of 27 MB with the built-in tokenizer, or a small one of 1 MB where
 * it is trained, in one file or in shards.
 * Its weights are made up and small; what it answers means nothing.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { expectedTensors } from '../../src/model/expectedTensors.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';

const builtin = (path: string): Uint8Array => new Uint8Array(readFileSync(resolve(import.meta.dirname, '../../public/builtin/model', path)));

const CONFIG = {
  architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: 512, intermediate_size: 1376, num_hidden_layers: 4, num_attention_heads: 8, num_key_value_heads: 4,
  vocab_size: 2048, max_position_embeddings: 128, rms_norm_eps: 1e-5, rope_theta: 10_000, tie_word_embeddings: true, bos_token_id: null, eos_token_id: 2, torch_dtype: 'bfloat16',
};

const SMALL = { ...CONFIG, hidden_size: 128, intermediate_size: 256, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2 };

/** bf16 between -0.03 and 0.03, other ones for each seed; norms are 1. */
function weights(name: string, count: number, seed: number): Uint16Array {
  const values = new Uint16Array(count).fill(0x3f80);
  if (name.includes('norm')) return values;
  let x = seed;
  for (let i = 0; i < count; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    values[i] = (x >>> 31 << 15) | (0x3b00 + (x >>> 22 & 0xff));
  }
  return values;
}

export function hubModelFiles({ shards, seed, small = false }: { shards: number; seed: number; small?: boolean }): Map<string, Uint8Array> {
  const config = small ? SMALL : CONFIG;
  const tensors = expectedTensors(parseModelConfig(config)).map(({ name, shape }, i) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return [name, { dtype: 'BF16' as const, shape, data: weights(name, count, seed * 1000 + i) }] as const;
  });
  const nameOf = (i: number): string => (shards === 1 ? 'model.safetensors' : `model-${String(i + 1).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}.safetensors`);
  const each = Math.ceil(tensors.length / shards);
  const parts = Array.from({ length: shards }, (_, i) => tensors.slice(i * each, (i + 1) * each));
  const files = new Map<string, Uint8Array>([
    ['config.json', new TextEncoder().encode(JSON.stringify(config))],
    ['README.md', new TextEncoder().encode('# a test model')],
    ...['tokenizer.json', 'tokenizer_config.json'].map((path) => [path, builtin(path)] as const),
    ...parts.map((part, i) => [nameOf(i), writeSafetensors(new Map(part), { format: 'pt' })] as const),
  ]);
  if (shards > 1) {
    const weightMap = Object.fromEntries(parts.flatMap((part, i) => part.map(([name]) => [name, nameOf(i)])));
    files.set('model.safetensors.index.json', new TextEncoder().encode(JSON.stringify({ metadata: {}, weight_map: weightMap })));
  }
  return files;
}
