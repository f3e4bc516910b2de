import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EtudeError } from '../../src/config/errors.ts';
import { sourceFromBytes } from '../../src/formats/byteSource.ts';
import { adapterTargets, readPeftAdapter, writePeftAdapter, type AdapterState, type LoraModules } from '../../src/formats/peftAdapter.ts';
import { openSafetensors, writeSafetensors, type SafetensorsDtype, type TensorToWrite } from '../../src/formats/safetensors.ts';
import { runs } from '../setup/fuzz.ts';

type Json = Record<string, unknown>;
const fixture = (path: string) => readFileSync(new URL(`../fixtures/${path}`, import.meta.url));
const SUFFIXES = 'goldens/llama_padded/adapter';
const FULL_PATHS = 'peft/full_paths_rslora';
const open = (bytes: Uint8Array) => openSafetensors(sourceFromBytes(bytes, 'adapter_model.safetensors'));

async function read(folder: string, change: Json = {}, modules?: LoraModules): Promise<AdapterState> {
  const config = JSON.parse(fixture(`${folder}/adapter_config.json`).toString());
  return readPeftAdapter({ ...config, ...change }, await open(fixture(`${folder}/adapter_model.safetensors`)), modules && { modules });
}

const CONFIG: Json = { peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 2, lora_alpha: 4, target_modules: ['q_proj'], base_model_name_or_path: 'm' };
const key = (path: string, matrix: 'A' | 'B') => `base_model.model.model.layers.${path}.lora_${matrix}.weight`;
const MODULES: LoraModules = new Map(['0', '1'].map((layer) => [`model.layers.${layer}.self_attn.q_proj`, [4, 3] as const]));

/** q_proj of two layers with r = 2, in 3, out 4; `change` adds, replaces or (null) removes tensors. */
async function readMade(config: Json = {}, change: Record<string, { shape: number[]; dtype?: SafetensorsDtype; fill?: number } | null> = {}, modules?: LoraModules) {
  const table: Record<string, { shape: number[]; dtype?: SafetensorsDtype; fill?: number } | null> = {
    [key('0.self_attn.q_proj', 'A')]: { shape: [2, 3] }, [key('0.self_attn.q_proj', 'B')]: { shape: [4, 2] },
    [key('1.self_attn.q_proj', 'A')]: { shape: [2, 3] }, [key('1.self_attn.q_proj', 'B')]: { shape: [4, 2] },
    ...change,
  };
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, t] of Object.entries(table)) {
    if (!t) continue;
    const n = t.shape.reduce((a, b) => a * b, 1);
    tensors.set(name, { dtype: t.dtype ?? 'F32', shape: t.shape, data: t.dtype === 'I8' ? new Int8Array(n) : new Float32Array(n).fill(t.fill ?? 0.5) });
  }
  return readPeftAdapter({ ...CONFIG, ...config }, await open(writeSafetensors(tensors, { format: 'pt' })), modules && { modules, name: 'loaded/model' });
}

async function refusal(promise: Promise<unknown>): Promise<EtudeError> {
  const error = await promise.then(() => null, (e: unknown) => e);
  expect(error).toBeInstanceOf(EtudeError);
  return error as EtudeError;
}

describe('reading what PEFT saved', () => {
  it('takes suffixes', async () => {
    const state = await read(SUFFIXES);
    expect(state).toMatchObject({ r: 4, loraAlpha: 16, useRslora: false, loraDropout: 0, targetModules: ['k_proj', 'o_proj', 'q_proj', 'v_proj'], baseModelNameOrPath: 'tiny-random/llama_padded' });
    expect(state.tensors.size).toBe(16);
    expect(adapterTargets(state).map((t) => `${t.layer}.${t.module}`)).toEqual(['0.q_proj', '0.k_proj', '0.v_proj', '0.o_proj', '1.q_proj', '1.k_proj', '1.v_proj', '1.o_proj']);
    const q = state.tensors.get(key('0.self_attn.q_proj', 'A'))!;
    expect(q.shape).toEqual([4, 48]);
    expect(q.data.some((v) => v !== 0)).toBe(true);
  });

  it('takes full module paths and rank-stabilised scaling', async () => {
    const state = await read(FULL_PATHS);
    expect(state.useRslora).toBe(true);
    expect(state.targetModules).toContain('model.layers.0.mlp.up_proj');
    expect(adapterTargets(state).length).toBe(14);
  });

  it('takes a path longer than a suffix and shorter than whole, and one layer only', async () => {
    expect((await readMade({ target_modules: ['self_attn.q_proj'] })).tensors.size).toBe(4);
    const one = { [key('0.self_attn.q_proj', 'A')]: null, [key('0.self_attn.q_proj', 'B')]: null };
    expect((await readMade({ target_modules: ['layers.1.self_attn.q_proj'] }, one, MODULES)).tensors.size).toBe(2);
  });

  it('widens bf16 tensors', async () => {
    const half = { dtype: 'BF16' as const, shape: [2, 3] };
    const tensors = new Map<string, TensorToWrite>([
      [key('0.self_attn.q_proj', 'A'), { ...half, data: new Uint16Array(6).fill(0x3fc0) }],
      [key('0.self_attn.q_proj', 'B'), { dtype: 'F32', shape: [4, 2], data: new Float32Array(8) }],
    ]);
    const state = await readPeftAdapter(CONFIG, await open(writeSafetensors(tensors)));
    expect([...state.tensors.get(key('0.self_attn.q_proj', 'A'))!.data]).toEqual(Array.from({ length: 6 }, () => 1.5));
  });
});

describe('the rules of PEFT for what is adapted', () => {
  const q = (layer: number): Record<string, { shape: number[] } | null> => ({ [key(`${layer}.self_attn.q_proj`, 'A')]: null, [key(`${layer}.self_attn.q_proj`, 'B')]: null });
  it.each<[string, Json]>([
    ['a pattern', { target_modules: '.*\\.(q|k)_proj' }],
    ['a pattern of a whole path', { target_modules: 'model\\.layers\\.[01]\\.self_attn\\.q_proj' }],
    ['all-linear, which here is q_proj alone', { target_modules: 'all-linear' }],
    ['excluded modules', { target_modules: ['q_proj', 'k_proj'], exclude_modules: ['k_proj'] }],
    ['an excluding pattern', { target_modules: 'all-linear', exclude_modules: '.*k_proj' }],
    ['all layers by number', { layers_to_transform: [0, 1] }],
    ['layers of a list by name', { layers_to_transform: [0, 1], layers_pattern: 'layers' }],
  ])('%s names the same modules plainly', async (_, config) => {
    const modules: LoraModules = config['exclude_modules'] ? new Map([...MODULES, ['model.layers.0.self_attn.k_proj', [4, 3]]]) : MODULES;
    const state = await readMade(config, {}, modules);
    expect(new Set(state.targetModules)).toEqual(new Set(['q_proj']));
  });

  it('a layer by number leaves the others out', async () => {
    expect((await readMade({ layers_to_transform: 1 }, q(0), MODULES)).targetModules).toEqual(['model.layers.1.self_attn.q_proj']);
    expect((await refusal(readMade({ layers_to_transform: [1] }, {}, MODULES))).code).toBe('adapter.narrow');
    expect((await refusal(readMade({ layers_to_transform: [1], layers_pattern: ['blocks'] }, q(0), MODULES))).code).toBe('adapter.narrow');
  });

  it('ranks and strengths by pattern hold for the modules they match, the first that matches', async () => {
    const wide = { [key('1.self_attn.q_proj', 'A')]: { shape: [3, 3] }, [key('1.self_attn.q_proj', 'B')]: { shape: [4, 3] } };
    const state = await readMade({ rank_pattern: { '1.self_attn.q_proj': 3, q_proj: 2 }, alpha_pattern: { '^model.layers.0.self_attn.q_proj': 16, '^layers.1.self_attn.q_proj': 5 } }, wide, MODULES);
    expect(adapterTargets(state)).toEqual([{ layer: 0, module: 'q_proj', r: 2, loraAlpha: 16 }, { layer: 1, module: 'q_proj', r: 3, loraAlpha: 4 }]);
    expect(state.rankPattern).toEqual({ 'model.layers.1.self_attn.q_proj': 3 });
    const written = writePeftAdapter(state);
    expect(JSON.parse(written.configJson)).toMatchObject({ rank_pattern: state.rankPattern, alpha_pattern: { 'model.layers.0.self_attn.q_proj': 16 } });
    expect(adapterTargets(await readPeftAdapter(JSON.parse(written.configJson), await open(written.safetensors), { modules: MODULES }))).toEqual(adapterTargets(state));
    expect(() => writePeftAdapter({ ...state, rankPattern: {} })).toThrow('has rank 3, but the settings give it 2');
    expect((await refusal(readMade({ rank_pattern: { q_proj: 3 } }, {}, MODULES))).userMessage.expected).toContain('r = 3');
  });

  it('sizes that differ from the base are told with both names', async () => {
    const error = await refusal(readMade({}, {}, new Map([...MODULES].map(([k]) => [k, [5, 3]]))));
    expect(error.userMessage.what).toContain('is [4, 2]');
    expect(error.userMessage.expected).toContain('[5, 2]');
    expect(error.userMessage.likelyCause).toContain('names m as its base model; loaded/model is loaded');
  });
});

describe('writing', () => {
  it.each([SUFFIXES, FULL_PATHS, 'goldens/qwen3_qknorm/adapter'])('%s comes out with the same tensor bytes and the same config fields', async (folder) => {
    const written = writePeftAdapter(await read(folder));
    expect(Buffer.compare(written.safetensors, fixture(`${folder}/adapter_model.safetensors`))).toBe(0);
    const theirs = JSON.parse(fixture(`${folder}/adapter_config.json`).toString());
    const ours = JSON.parse(written.configJson);
    for (const field of ['peft_type', 'task_type', 'base_model_name_or_path', 'r', 'lora_alpha', 'target_modules', 'lora_dropout', 'bias', 'fan_in_fan_out', 'init_lora_weights', 'use_rslora', 'use_dora', 'modules_to_save', 'inference_mode']) {
      expect(ours).toHaveProperty(field);
    }
    for (const [field, value] of Object.entries(ours)) expect(value, field).toEqual(theirs[field]);
  });

  it('refuses a target list that does not name exactly what is stored', async () => {
    const state = await read(SUFFIXES);
    expect(() => writePeftAdapter({ ...state, targetModules: ['q_proj'] })).toThrow('leaves out 6 of 8');
    expect(() => writePeftAdapter({ ...state, targetModules: [...state.targetModules, 'up_proj'] })).toThrow('covers 2 modules that have no tensors');
  });

  it('what was written reads back bit for bit, whatever the values', async () => {
    const state = await read(SUFFIXES);
    const value = fc.float({ noNaN: true, noDefaultInfinity: true });
    await fc.assert(fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 64 }), fc.integer({ min: 1, max: 1000 }), fc.boolean(), async (values, loraAlpha, useRslora) => {
      let at = 0;
      const tensors = new Map([...state.tensors].map(([name, t]) => [name, { shape: t.shape, data: Float32Array.from(t.data, () => values[at++ % values.length]!) }] as const));
      const made: AdapterState = { ...state, loraAlpha, useRslora, loraDropout: 0.05, tensors };
      const { configJson, safetensors } = writePeftAdapter(made);
      const back = await readPeftAdapter(JSON.parse(configJson), await open(safetensors));
      expect({ ...back, tensors: null }).toEqual({ ...made, tensors: null });
      for (const [name, t] of tensors) expect(Buffer.compare(new Uint8Array(back.tensors.get(name)!.data.buffer), new Uint8Array(t.data.buffer)), name).toBe(0);
    }), { numRuns: runs(30) });
  });
});

describe('an adapter that would load wrong', () => {
  it.each<[string, Json, string]>([
    ['another kind', { peft_type: 'IA3' }, 'IA3'],
    ['another task', { task_type: 'SEQ_CLS' }, 'SEQ_CLS'],
    ['DoRA', { use_dora: true }, 'use_dora is true'],
    ['trained biases', { bias: 'lora_only' }, 'bias is lora_only'],
    ['biases of its own', { lora_bias: true }, 'lora_bias'],
    ['whole modules besides', { modules_to_save: ['lm_head'] }, 'modules_to_save is ["lm_head"]'],
    ['transposed weights', { fan_in_fan_out: true }, 'fan_in_fan_out'],
    ['doubled layers', { layer_replication: [[0, 2]] }, 'layer_replication'],
    ['parameters by name', { target_parameters: ['a'] }, 'target_parameters'],
    ['trained tokens', { trainable_token_indices: [1] }, 'trainable_token_indices'],
    ['a variant no one has heard of yet', { use_nextlora: true }, 'use_nextlora'],
    ['a start that changes the base', { init_lora_weights: 'pissa_niter_4' }, 'pissa_niter_4'],
    ['layers chosen beside a pattern', { target_modules: '.*_proj', layers_to_transform: [0] }, '.*_proj'],
    ['a pattern of layers without layers', { layers_pattern: 'layers' }, 'layers_pattern is layers'],
    ['layers that are no numbers', { layers_to_transform: [-1] }, 'layers_to_transform is [-1]'],
    ['a rank that is none in a pattern', { rank_pattern: { q_proj: 0 } }, 'rank_pattern gives q_proj the value 0'],
    ['a strength that is none in a pattern', { alpha_pattern: { q_proj: '8' } }, 'alpha_pattern gives q_proj the value 8'],
    ['a pattern that Python alone knows', { target_modules: '(?<=x)q_proj' }, '(?<= is not known here'],
    ['activated LoRA', { alora_invocation_tokens: [1, 2] }, 'activated LoRA'],
    ['parallel layers of Megatron', { megatron_config: { a: 1 } }, 'Megatron'],
    ['no target_modules', { target_modules: null }, 'target_modules is null'],
    ['r in words', { r: '4' }, 'r is 4'],
    ['an alpha of 0', { lora_alpha: 0 }, 'lora_alpha is 0'],
    ['a dropout of 1', { lora_dropout: 1 }, 'lora_dropout is 1'],
  ])('with %s is refused by name', async (_, change, words) => {
    const error = await refusal(read(SUFFIXES, change));
    expect(error.code).toBe('adapter.config');
    expect(error.userMessage.what).toContain(words);
  });

  const q0 = (matrix: 'A' | 'B') => key('0.self_attn.q_proj', matrix);
  it.each<[string, string, string, () => Promise<unknown>]>([
    ['an r that the shapes contradict', 'adapter.shape', 'is [2, 3]', () => readMade({ r: 3 })],
    ['target_modules narrower than the tensors', 'adapter.narrow', 'leaves out 2 of 8 modules', () => read(SUFFIXES, { target_modules: ['q_proj', 'k_proj', 'o_proj'] })],
    ['target_modules wider than the tensors', 'adapter.wide', 'covers 2 modules that have no tensors', () => readMade({ target_modules: ['q_proj', 'up_proj'] })],
    ['a target of another model', 'adapter.unknownTarget', 'c_attn', () => readMade({ target_modules: ['q_proj', 'c_attn'] })],
    ['a layer left out', 'adapter.wide', 'model.layers.0.self_attn.q_proj', () => readMade({}, { [q0('A')]: null, [q0('B')]: null })],
    ['fewer layers than the model', 'adapter.wide', 'model.layers.2.self_attn.q_proj', () => readMade({}, {}, new Map([...MODULES, ['model.layers.2.self_attn.q_proj', [4, 3]]]))],
    ['more layers than the model', 'adapter.beyond', 'model.layers.1.self_attn.q_proj', () => readMade({}, {}, new Map([...MODULES].slice(0, 1)))],
    ['sizes of another model', 'adapter.shape', 'is [4, 2]', () => readMade({}, {}, new Map([...MODULES].map(([k]) => [k, [5, 3]])))],
    ['an A without its B', 'adapter.pair', 'has lora_A but no lora_B', () => readMade({}, { [q0('B')]: null })],
    ['a B without its A', 'adapter.pair', 'has lora_B but no lora_A', () => readMade({}, { [q0('A')]: null })],
    ['a wrong prefix', 'adapter.key', 'model.layers.0.self_attn.q_proj.lora_A.weight', () => readMade({}, { 'model.layers.0.self_attn.q_proj.lora_A.weight': { shape: [2, 3] } })],
    ['an adapter name in its keys', 'adapter.key', 'lora_A.default.weight', () => readMade({}, { 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight': { shape: [2, 3] } })],
    ['an adapted head', 'adapter.key', 'lm_head', () => readMade({}, { 'base_model.model.lm_head.lora_A.weight': { shape: [2, 3] } })],
    ['a projection in the wrong room', 'adapter.key', 'mlp.q_proj', () => readMade({}, { [key('0.mlp.q_proj', 'A')]: { shape: [2, 3] } })],
    ['a layer written as 00', 'adapter.key', 'layers.00', () => readMade({}, { [key('00.self_attn.q_proj', 'A')]: { shape: [2, 3] } })],
    ['a flat tensor', 'adapter.shape', 'is [6]', () => readMade({}, { [q0('A')]: { shape: [6] } })],
    ['quantised tensors', 'adapter.dtype', 'stored as I8', () => readMade({}, { [q0('A')]: { shape: [2, 3], dtype: 'I8' } })],
    ['NaN', 'adapter.notFinite', 'not a number, at index 0', () => readMade({}, { [q0('A')]: { shape: [2, 3], fill: NaN } })],
    ['no tensors', 'adapter.empty', 'no tensors', () => readMade({}, Object.fromEntries(['0', '1'].flatMap((l) => [[key(`${l}.self_attn.q_proj`, 'A'), null], [key(`${l}.self_attn.q_proj`, 'B'), null]])))],
  ])('with %s is refused by name', async (_, code, words, run) => {
    const error = await refusal(run());
    expect(error.code).toBe(code);
    expect(error.userMessage.what).toContain(words);
  });

  it('any change to a config gives the same adapter or a refusal, never another adapter', async () => {
    const config = JSON.parse(fixture(`${SUFFIXES}/adapter_config.json`).toString()) as Json;
    const reference = await read(SUFFIXES);
    const value = fc.oneof(fc.jsonValue(), fc.integer(), fc.string(), fc.boolean(), fc.constantFrom(null, [], {}, 'q_proj', ['q_proj']));
    const change = fc.dictionary(fc.oneof(fc.constantFrom(...Object.keys(config), '__proto__', 'constructor'), fc.string()), value, { minKeys: 1, maxKeys: 3 });
    const file = await open(fixture(`${SUFFIXES}/adapter_model.safetensors`));
    await fc.assert(fc.asyncProperty(change, async (changed) => {
      let state: AdapterState;
      try {
        state = await readPeftAdapter({ ...config, ...changed }, file);
      } catch (error) {
        if (!(error instanceof EtudeError)) throw error;
        return;
      }
      expect(adapterTargets(state).map(({ layer, module, r }) => [layer, module, r])).toEqual(adapterTargets(reference).map(({ layer, module, r }) => [layer, module, r]));
      if (!('lora_alpha' in changed) && !('alpha_pattern' in changed)) expect(adapterTargets(state)).toEqual(adapterTargets(reference));
      if (!('use_rslora' in changed)) expect(state.useRslora).toBe(false);
    }), { numRuns: runs(500) });
  });
});
