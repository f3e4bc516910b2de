/**
 * The models people start with, as data: names on the hub, parameters, licence, gated or not, and what a download is about.
 * `parameters` counts each tensor once (tied embeddings are one); `bytes` is the weights as published plus the tokenizer,
 * to two digits: the hub's own listing gives the exact figure before anything is fetched.
 */

export interface CuratedModel {
  repo: string;
  title: string;
  family: 'SmolLM2' | 'SmolLM3' | 'Qwen2.5' | 'Qwen3' | 'Gemma 3' | 'Llama 3.2' | 'TinyLlama';
  /** An instruct model has learnt to answer; a base model only to go on. */
  kind: 'base' | 'instruct';
  architecture: string;
  parameters: number;
  /** As the hub names it. */
  licence: string;
  gated: boolean;
  /** About, in bytes. */
  bytes: number;
}

type Shared = Pick<CuratedModel, 'family' | 'architecture' | 'parameters' | 'licence' | 'gated'>;

const MB = 1e6;
const pair = (shared: Shared, base: [repo: string, bytes: number] | null, instruct: [repo: string, bytes: number]): CuratedModel[] => [
  ...(base ? [{ kind: 'base' as const, named: base }] : []), { kind: 'instruct' as const, named: instruct },
].map(({ kind, named: [repo, bytes] }) => ({ repo, title: repo.slice(repo.indexOf('/') + 1), kind, bytes, ...shared }));

const smol2 = { family: 'SmolLM2', architecture: 'LlamaForCausalLM', licence: 'apache-2.0', gated: false } as const;
const qwen25 = { family: 'Qwen2.5', architecture: 'Qwen2ForCausalLM', licence: 'apache-2.0', gated: false } as const;
const qwen3 = { family: 'Qwen3', architecture: 'Qwen3ForCausalLM', licence: 'apache-2.0', gated: false } as const;
const gemma3 = { family: 'Gemma 3', architecture: 'Gemma3ForCausalLM', licence: 'gemma', gated: true } as const;
const llama32 = { family: 'Llama 3.2', architecture: 'LlamaForCausalLM', licence: 'llama3.2', gated: true } as const;

export const CURATED_MODELS: readonly CuratedModel[] = [
  ...pair({ ...smol2, parameters: 134_515_008 }, ['HuggingFaceTB/SmolLM2-135M', 270 * MB], ['HuggingFaceTB/SmolLM2-135M-Instruct', 270 * MB]),
  ...pair({ ...gemma3, parameters: 268_098_176 }, ['google/gemma-3-270m', 570 * MB], ['google/gemma-3-270m-it', 570 * MB]),
  ...pair({ ...smol2, parameters: 361_821_120 }, ['HuggingFaceTB/SmolLM2-360M', 730 * MB], ['HuggingFaceTB/SmolLM2-360M-Instruct', 730 * MB]),
  ...pair({ ...qwen25, parameters: 494_032_768 }, ['Qwen/Qwen2.5-0.5B', 1000 * MB], ['Qwen/Qwen2.5-0.5B-Instruct', 1000 * MB]),
  ...pair({ ...qwen3, parameters: 596_049_920 }, ['Qwen/Qwen3-0.6B-Base', 1200 * MB], ['Qwen/Qwen3-0.6B', 1500 * MB]),
  ...pair({ ...gemma3, parameters: 999_885_952 }, ['google/gemma-3-1b-pt', 2000 * MB], ['google/gemma-3-1b-it', 2000 * MB]),
  // The base checkpoint is published in f32.
  ...pair({ family: 'TinyLlama', architecture: 'LlamaForCausalLM', licence: 'apache-2.0', gated: false, parameters: 1_100_048_384 },
    ['TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T', 4400 * MB], ['TinyLlama/TinyLlama-1.1B-Chat-v1.0', 2200 * MB]),
  ...pair({ ...llama32, parameters: 1_235_814_400 }, ['meta-llama/Llama-3.2-1B', 2500 * MB], ['meta-llama/Llama-3.2-1B-Instruct', 2500 * MB]),
  ...pair({ ...qwen25, parameters: 1_543_714_304 }, ['Qwen/Qwen2.5-1.5B', 3100 * MB], ['Qwen/Qwen2.5-1.5B-Instruct', 3100 * MB]),
  ...pair({ ...smol2, parameters: 1_711_376_384 }, ['HuggingFaceTB/SmolLM2-1.7B', 3400 * MB], ['HuggingFaceTB/SmolLM2-1.7B-Instruct', 3400 * MB]),
  ...pair({ ...qwen3, parameters: 1_720_574_976 }, ['Qwen/Qwen3-1.7B-Base', 3500 * MB], ['Qwen/Qwen3-1.7B', 4100 * MB]),
  ...pair({ family: 'SmolLM3', architecture: 'SmolLM3ForCausalLM', licence: 'apache-2.0', gated: false, parameters: 3_075_098_624 },
    ['HuggingFaceTB/SmolLM3-3B-Base', 6200 * MB], ['HuggingFaceTB/SmolLM3-3B', 6200 * MB]),
  ...pair({ ...llama32, parameters: 3_212_749_824 }, ['meta-llama/Llama-3.2-3B', 6400 * MB], ['meta-llama/Llama-3.2-3B-Instruct', 6400 * MB]),
];
