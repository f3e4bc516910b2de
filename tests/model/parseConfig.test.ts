import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EtudeError } from '../../src/config/errors.ts';
import { ARCHITECTURES, type LayerConfig } from '../../src/model/config.ts';
import { checkTensors, countParameters, expectedTensors } from '../../src/model/expectedTensors.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { sourceFromBytes } from '../../src/formats/byteSource.ts';
import type { TensorEntry } from '../../src/formats/safetensors.ts';
import { runs } from '../setup/fuzz.ts';

type Json = Record<string, unknown>;
interface Resolved {
  headDim: number; numKeyValueHeads: number; rmsNormEps: number; qkvBias: boolean; oBias: boolean; mlpBias: boolean; qkNorm: boolean;
  layers: LayerConfig[]; attentionScale: number; attentionSoftcap: number | null; finalSoftcap: number | null; embeddingScale: number; localRopeParameters: Json | null;
  tieWordEmbeddings: boolean; ropeType: string; ropeParameters: Json; bosTokenId: number | null; eosTokenIds: number[];
  tensors: Record<string, number[]>;
}
const fixture = (name: string): Json => JSON.parse(readFileSync(new URL(`../fixtures/configs/${name}`, import.meta.url), 'utf8'));
const cases = fixture('cases.json') as Record<string, Json>;
const resolved = fixture('resolved.json') as unknown as Record<string, Resolved>;

const LLAMA: Json = {
  architectures: ['LlamaForCausalLM'], hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 4,
  num_key_value_heads: 2, vocab_size: 100, tie_word_embeddings: true,
};

describe('a config', () => {
  it.each(Object.keys(cases))('%s is understood as transformers understands it', (name) => {
    const config = parseModelConfig(cases[name]);
    const wanted = resolved[name]!;
    const { layers, attentionSoftcap, finalSoftcap, headDim, numKeyValueHeads, rmsNormEps, qkvBias, oBias, mlpBias, qkNorm, tieWordEmbeddings, bosTokenId, eosTokenIds } = wanted;
    expect(config).toMatchObject({ layers, attentionSoftcap, finalSoftcap, headDim, numKeyValueHeads, rmsNormEps, qkvBias, oBias, mlpBias, qkNorm, tieWordEmbeddings, bosTokenId, eosTokenIds });
    expect(Math.fround(config.attentionScale)).toBe(Math.fround(wanted.attentionScale));
    expect(config.embeddingScale).toBe(Math.fround(wanted.embeddingScale));
    expect(config.localRope?.ropeTheta ?? null).toBe(wanted.localRopeParameters?.['rope_theta'] ?? null);
    expect(config.localRope?.ropeScaling.type ?? null).toBe(wanted.localRopeParameters?.['rope_type'] ?? null);
    expect(config.ropeTheta).toBe(wanted.ropeParameters['rope_theta']);
    expect(config.ropeScaling.type).toBe(wanted.ropeType);
    if (config.ropeScaling.type === 'llama3') {
      expect(config.ropeScaling).toMatchObject({
        factor: wanted.ropeParameters['factor'], lowFreqFactor: wanted.ropeParameters['low_freq_factor'],
        highFreqFactor: wanted.ropeParameters['high_freq_factor'],
        originalMaxPositionEmbeddings: wanted.ropeParameters['original_max_position_embeddings'],
      });
    } else if (config.ropeScaling.type === 'linear') expect(config.ropeScaling.factor).toBe(wanted.ropeParameters['factor']);
    expect(Object.fromEntries(expectedTensors(config).map((t) => [t.name, t.shape]))).toEqual(wanted.tensors);
  });

  it('the end tokens of generation_config.json win where it names any', () => {
    const config = { ...LLAMA, eos_token_id: 2 };
    expect(parseModelConfig(config, { eos_token_id: [2, 0] }).eosTokenIds).toEqual([2, 0]);
    expect(parseModelConfig(config, { eos_token_id: 5 }).eosTokenIds).toEqual([5]);
    expect(parseModelConfig(config, { do_sample: false }).eosTokenIds).toEqual([2]);
    expect(parseModelConfig({ ...config, eos_token_id: null }).eosTokenIds).toEqual([]);
  });

  it('the built-in model has the 1,049,728 parameters its notes state', () => {
    const json = JSON.parse(readFileSync(new URL('../../public/builtin/model/config.json', import.meta.url), 'utf8'));
    expect(countParameters(parseModelConfig(json))).toBe(1_049_728);
  });

  it.each<[string, Json, string[]]>([
    ['an unknown architecture', { architectures: ['GPT2LMHeadModel'] }, ['GPT2LMHeadModel', ...ARCHITECTURES]],
    ['a mixture of experts', { architectures: ['Qwen3MoeForCausalLM'] }, ['Qwen3MoeForCausalLM']],
    ['an unknown type without architecture', { architectures: undefined, model_type: 'mamba' }, ['mamba']],
    ['a Gemma that sees images', { architectures: ['Gemma3ForConditionalGeneration'] }, ['Gemma3ForConditionalGeneration', 'images', 'Gemma3ForCausalLM']],
    ['a Gemma that looks ahead', { architectures: ['Gemma3ForCausalLM'], use_bidirectional_attention: true }, ['use_bidirectional_attention']],
    ['an activation of another form', { hidden_act: 'gelu' }, ['gelu', 'silu', 'gelu_pytorch_tanh']],
    ['another activation of a Gemma', { architectures: ['Gemma3ForCausalLM'], hidden_activation: 'relu2' }, ['relu2']],
    ['yarn', { rope_scaling: { type: 'yarn', factor: 4 } }, ['yarn', 'llama3', 'linear']],
    ['dynamic rope in transformers-5 style', { rope_parameters: { rope_type: 'dynamic', factor: 4 } }, ['dynamic']],
    ['rope for each layer type', { rope_parameters: { full_attention: { rope_type: 'default' } } }, ['different layers']],
    ['half rotary', { partial_rotary_factor: 0.5 }, ['0.5']],
    ['odd heads', { head_dim: 15 }, ['15']],
    ['quantised weights', { quantization_config: { quant_method: 'gptq' } }, ['gptq', 'f32, bf16 or f16']],
    ['a layer of another type', { architectures: ['Qwen3ForCausalLM'], layer_types: ['full_attention', 'chunked_attention'] }, ['chunked_attention', 'sliding_attention']],
    ['longrope in one layer type of two', { architectures: ['Gemma3ForCausalLM'], rope_parameters: { full_attention: { rope_type: 'longrope' }, sliding_attention: {} } }, ['longrope']],
  ])('%s is refused by name, with what works', (_, change, words) => {
    const error = refusal({ ...LLAMA, ...change });
    expect(error.code).toBe('model.unsupported');
    const said = `${error.userMessage.what} ${error.userMessage.expected}`;
    for (const word of words) expect(said).toContain(word);
  });

  it.each<[string, unknown, string]>([
    ['a list', [], 'not a JSON object'],
    ['no architecture at all', {}, 'names no architecture'],
    ['a size of 0', { ...LLAMA, hidden_size: 0 }, 'hidden_size is 0'],
    ['a size in words', { ...LLAMA, num_hidden_layers: 'two' }, 'num_hidden_layers is two'],
    ['a size beyond reason', { ...LLAMA, vocab_size: 1e300 }, 'vocab_size is 1e+300'],
    ['heads that do not divide', { ...LLAMA, num_key_value_heads: 3 }, 'num_key_value_heads is 3'],
    ['heads that do not divide the width', { ...LLAMA, hidden_size: 66 }, 'hidden_size 66'],
    ['an eps of 0', { ...LLAMA, rms_norm_eps: 0 }, 'rms_norm_eps is 0'],
    ['a tie in words', { ...LLAMA, tie_word_embeddings: 'yes' }, 'tie_word_embeddings is yes'],
    ['a negative end token', { ...LLAMA, eos_token_id: [2, -1] }, 'eos_token_id is [2,-1]'],
    ['a layer without a type', { ...LLAMA, architectures: ['Qwen3ForCausalLM'], layer_types: ['full_attention'] }, 'layer_types names 1 of 2 layers'],
    ['a window without a size', { ...LLAMA, architectures: ['SmolLM3ForCausalLM'], layer_types: ['full_attention', 'sliding_attention'] }, 'layer 1 is to attend through a sliding window'],
    ['rope layers that are not 0 or 1', { ...LLAMA, architectures: ['SmolLM3ForCausalLM'], no_rope_layers: [1, 2] }, 'no_rope_layers is [1,2]'],
    ['one set of rope parameters for a model of two', { ...LLAMA, architectures: ['Gemma3ForCausalLM'], rope_parameters: { rope_type: 'default', rope_theta: 5e5 } }, 'rope_parameters has rope_type default'],
    ['a soft-cap of 0', { ...LLAMA, architectures: ['Gemma3ForCausalLM'], final_logit_softcapping: 0 }, 'final_logit_softcapping is 0'],
    ['llama3 rope without factors', { ...LLAMA, rope_scaling: { rope_type: 'llama3', factor: 8 } }, 'low_freq_factor is missing'],
  ])('%s is refused with the value it found', (_, json, words) => {
    const error = refusal(json);
    expect(error.code).toBe('model.config');
    expect(error.userMessage.what).toContain(words);
  });

  it('any JSON gives a config of usable sizes or a refusal in words', () => {
    const value = fc.oneof(fc.integer(), fc.double(), fc.string(), fc.boolean(), fc.constant(null), fc.jsonValue());
    const change = fc.dictionary(fc.constantFrom(...Object.keys(LLAMA), 'rope_scaling', 'rope_theta', 'head_dim', 'eos_token_id', 'hidden_act', 'layer_types', 'rms_norm_eps'), value);
    fc.assert(fc.property(fc.oneof(fc.jsonValue(), change.map((c) => ({ ...LLAMA, ...c }))), (json) => {
      try {
        const config = parseModelConfig(json);
        for (const n of [config.hiddenSize, config.headDim, config.vocabSize, config.numKeyValueHeads]) expect(n).toBeGreaterThan(0);
        expect(config.ropeTheta).toBeGreaterThan(0);
      } catch (error) {
        if (!(error instanceof EtudeError)) throw error;
      }
    }), { numRuns: runs(1000) });
  });
});

describe('the tensors of a model', () => {
  const config = parseModelConfig(LLAMA);
  const entries = (change: (e: TensorEntry) => Partial<TensorEntry> | null = (e) => e): Map<string, TensorEntry> => {
    const source = sourceFromBytes(new Uint8Array(0), 'model.safetensors');
    return new Map(expectedTensors(config).flatMap(({ name, shape }) => {
      const entry: TensorEntry = { name, shape, dtype: 'BF16', source, start: 0, end: 0 };
      const changed = change(entry);
      return changed ? [[name, { ...entry, ...changed }] as const] : [];
    }));
  };

  it('may lack the head when it is tied, and may carry things that no one reads', () => {
    expect(checkTensors(entries(), config).unused).toEqual([]);
    const more = entries().set('model.layers.0.self_attn.rotary_emb.inv_freq', { ...entries().get('model.norm.weight')!, shape: [8] });
    expect(checkTensors(more, config).unused).toEqual(['model.layers.0.self_attn.rotary_emb.inv_freq']);
  });

  it('must hold the head when it is not tied', () => {
    expect(() => checkTensors(entries(), { ...config, tieWordEmbeddings: false })).toThrow('lm_head.weight');
  });

  it('are refused by name when missing, misshaped or quantised', () => {
    const found = refusalOf(() => checkTensors(entries((e) => {
      if (e.name.includes('layers.1.')) return null;
      if (e.name.endsWith('0.mlp.up_proj.weight')) return { shape: [96, 63] };
      if (e.name.endsWith('0.self_attn.k_proj.weight')) return { dtype: 'I8' };
      return e;
    }), config));
    expect(found.code).toBe('model.tensors');
    expect(found.userMessage.what).toContain('9 tensors are missing (model.layers.1.input_layernorm.weight');
    expect(found.userMessage.what).toContain('model.layers.0.mlp.up_proj.weight is [96, 63], not [96, 64]');
    expect(found.userMessage.what).toContain('model.layers.0.self_attn.k_proj.weight is I8');
  });
});

const refusal = (json: unknown): EtudeError => refusalOf(() => parseModelConfig(json));
function refusalOf(run: () => unknown): EtudeError {
  try {
    run();
  } catch (error) {
    if (error instanceof EtudeError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
