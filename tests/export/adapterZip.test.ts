import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { defaultRecipe, recipeSchema, type Recipe } from '../../src/config/recipe.ts';
import { encodeShare, shareLink } from '../../src/config/shareUrl.ts';
import { adapterTargets, type AdapterState } from '../../src/formats/peftAdapter.ts';
import { sourceFromBytes } from '../../src/formats/byteSource.ts';
import { unzipFiles, zipFiles } from '../../src/formats/zip.ts';
import { buildAdapterFiles, exportFileName, verifyAdapterFiles } from '../../src/export/adapterZip.ts';
import { metricsJsonl, type LoggedStep } from '../../src/export/metricsJsonl.ts';
import { adapterReadme, type ReadmeInput } from '../../src/export/readme.ts';
import { openAdapterFolder } from '../../src/hub/adapterFolder.ts';

const fixture = (name: string) => sourceFromBytes(readFileSync(new URL(`../fixtures/goldens/llama_padded/adapter/${name}`, import.meta.url)), name);
const STEPS: LoggedStep[] = [
  { step: 1, epoch: 0.25, loss: 2.5, learningRate: 0, gradNorm: 1.5, numTokens: 100, tokensPerSecond: 50 },
  { step: 2, epoch: 0.5, loss: 2.25, evalLoss: 2.4, learningRate: 2e-4, gradNorm: 1.25, numTokens: 200, tokensPerSecond: 51 },
];
let state: AdapterState;
const input = (change: Partial<ReadmeInput> = {}): ReadmeInput => ({
  state, recipe: builtinRecipe(), metrics: STEPS, prompt: { question: 'Why?', rendered: '<|im_start|>user\nWhy "so"?<|im_end|>\n', stopIds: [2, 0] },
  shareLink: 'https://example.org/#recipe=abc', ...change,
});

beforeAll(async () => {
  state = await openAdapterFolder('a', new Map(['adapter_config.json', 'adapter_model.safetensors'].map((name) => [name, fixture(name)])));
});

describe('a download', () => {
  it('holds the two PEFT files, the recipe, the metrics and a README, and is the same bytes each time', () => {
    const files = buildAdapterFiles(input());
    expect([...files.keys()]).toEqual(['adapter_config.json', 'adapter_model.safetensors', 'recipe.json', 'metrics.jsonl', 'README.md']);
    expect(Buffer.compare(zipFiles(files), zipFiles(buildAdapterFiles(input())))).toBe(0);
  });

  it('unpacked from its zip, passes every check and gives the adapter back', async () => {
    const files = unzipFiles(zipFiles(buildAdapterFiles(input())), 'a.zip', () => true);
    const { ok, checks, state: back } = await verifyAdapterFiles(files, state, builtinRecipe());
    expect(checks.map((c) => [c.file, c.ok, c.detail])).toEqual([
      ['adapter_model.safetensors', true, '16 tensors, every value read back bit for bit.'],
      ['adapter_config.json', true, 'Rank 4, alpha 16, 4 target modules, as in memory.'],
      ['recipe.json', true, 'The recipe of the run.'],
      ['metrics.jsonl', true, '2 logged steps.'],
      ['README.md', true, 'How to load the adapter with PEFT.'],
    ]);
    expect(ok).toBe(true);
    expect(back!.tensors).toEqual(state.tensors);
    expect(adapterTargets(back!)).toEqual(adapterTargets(state));
  });

  it('opens as an adapter when its zip is dropped back in', async () => {
    const zip = sourceFromBytes(zipFiles(buildAdapterFiles(input())), 'mine.zip');
    expect((await openAdapterFolder('mine', new Map([['mine.zip', zip]]))).tensors).toEqual(state.tensors);
  });

  it('names its file after model, data and rank, in plain letters', () => {
    const named = (model: Recipe['model'], dataset: Recipe['dataset']) => exportFileName(recipeSchema.parse({ model, dataset }));
    expect(named({ source: 'hub', name: 'HuggingFaceTB/SmolLM2-135M' }, { source: 'file', name: 'my data (1).jsonl' })).toBe('smollm2-135m-my-data-1-r16-lora.zip');
    expect(named({ source: 'folder', name: 'Qwen2.5-0.5B' }, { source: 'file', name: '漢字.json' })).toBe('qwen2-5-0-5b-r16-lora.zip');
    expect(exportFileName(builtinRecipe())).toBe('builtin-r8-lora.zip');
  });
});

describe('a download that went wrong', () => {
  const failing = async (change: (files: Map<string, Uint8Array>) => void, expected = state) => {
    const files = buildAdapterFiles(input());
    change(files);
    const result = await verifyAdapterFiles(files, expected, builtinRecipe());
    expect(result.ok).toBe(false);
    expect(result.state).toBeNull();
    return result.checks.filter((c) => !c.ok).map((c) => `${c.file}: ${c.detail}`);
  };
  const edit = (name: string, from: string, to: string) => (files: Map<string, Uint8Array>) =>
    void files.set(name, new TextEncoder().encode(new TextDecoder().decode(files.get(name)).replace(from, to)));

  it('in one bit of one tensor is found', async () => {
    const found = await failing((files) => { files.get('adapter_model.safetensors')![14_000]! ^= 1; });
    expect(found).toEqual([expect.stringMatching(/^adapter_model\.safetensors: base_model\.model\..* differs at index \d+: /)]);
  });

  it('in the sign of a zero is found', async () => {
    const key = [...state.tensors.keys()][0]!;
    const { shape, data } = state.tensors.get(key)!;
    const zeroed = data.slice();
    zeroed[0] = 0;
    const minus = zeroed.slice();
    minus[0] = -0;
    const files = buildAdapterFiles(input({ state: { ...state, tensors: new Map(state.tensors).set(key, { shape, data: zeroed }) } }));
    const result = await verifyAdapterFiles(files, { ...state, tensors: new Map(state.tensors).set(key, { shape, data: minus }) }, builtinRecipe());
    expect(result.ok).toBe(false);
  });

  it('in a setting PEFT would take without a word is found', async () => {
    expect(await failing(edit('adapter_config.json', '"lora_alpha": 16', '"lora_alpha": 32'))).toEqual(['adapter_config.json: loraAlpha is 32 instead of 16.']);
    expect(await failing(edit('adapter_config.json', '"use_rslora": false', '"use_rslora": true'))).toEqual(['adapter_config.json: useRslora is true instead of false.']);
    expect((await failing(edit('adapter_config.json', '"k_proj",', '')))[0]).toContain('target_modules leaves out 2 of 8');
  });

  it('in the recipe, the metrics or the README is found', async () => {
    expect(await failing(edit('recipe.json', '"seed": 42', '"seed": 43'))).toEqual(['recipe.json: Differs from the recipe of the run.']);
    expect((await failing(edit('metrics.jsonl', '}', '')))[0]).toContain('metrics.jsonl is not valid JSON');
    expect(await failing((files) => void files.set('README.md', new Uint8Array(5)))).toEqual(['README.md: The lines that load the adapter are missing.']);
  });

  it('in a file left out is found', async () => {
    for (const name of ['adapter_config.json', 'adapter_model.safetensors', 'recipe.json', 'metrics.jsonl', 'README.md']) {
      expect((await failing((files) => void files.delete(name))).join()).toContain(`${name}: Missing.`);
    }
  });

  it('cut off in the middle of the weights is found', async () => {
    expect((await failing((files) => void files.set('adapter_model.safetensors', files.get('adapter_model.safetensors')!.subarray(0, 5000))))[0]).toContain('should end at byte');
  });
});

describe('the README of a download', () => {
  it('loads the adapter in three lines and writes the prompt as it was trained', () => {
    const text = adapterReadme(input());
    expect(text).toContain('model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("tiny-random/llama_padded"), "path/to/this/folder")');
    expect(text).toContain('prompt = "<|im_start|>user\\nWhy \\"so\\"?<|im_end|>\\n"');
    expect(text).toContain('eos_token_id=[2, 0]');
    expect(text).toContain('<https://example.org/#recipe=abc>');
  });

  it('states the figures of the run and none that it does not have', () => {
    const text = adapterReadme(input());
    for (const words of ['| steps | 2 |', '| tokens | 200 |', '| last training loss | 2.2500 |', '| best validation loss | 2.4000 |']) expect(text).toContain(words);
    const without = adapterReadme(input({ metrics: [], shareLink: null }));
    for (const words of ['loss', '| steps', 'Open the same recipe']) expect(without).not.toContain(words);
  });

  it('names the base model in its metadata only when it is on the hub', () => {
    expect(adapterReadme(input())).not.toContain('base_model:');
    const onHub = recipeSchema.parse({ model: { source: 'hub', name: 'a/b' } });
    expect(adapterReadme(input({ recipe: onHub, state: { ...state, baseModelNameOrPath: 'a/b' } }))).toContain('base_model: "a/b"');
  });

  it('stays one code block whatever the prompt holds', () => {
    const text = adapterReadme(input({ prompt: { question: '', rendered: 'a\n```\nimport os\n````', stopIds: [] } }));
    expect(text).toContain('`````python\nfrom transformers import AutoTokenizer');
  });
});

describe('metrics.jsonl', () => {
  it('has a line a step under the names of TRL’s logs, eval_loss only where it was measured', () => {
    expect(metricsJsonl(STEPS).split('\n')).toEqual([
      '{"step":1,"epoch":0.25,"loss":2.5,"learning_rate":0,"grad_norm":1.5,"num_tokens":100,"tokens_per_second":50}',
      '{"step":2,"epoch":0.5,"loss":2.25,"eval_loss":2.4,"learning_rate":0.0002,"grad_norm":1.25,"num_tokens":200,"tokens_per_second":51}',
      '',
    ]);
  });
});

describe('recipe.json', () => {
  it('read by the command line or packed into a link is the recipe of the run', () => {
    const recipe = recipeSchema.parse(JSON.parse(new TextDecoder().decode(buildAdapterFiles(input()).get('recipe.json'))));
    expect(recipe).toEqual(builtinRecipe());
    expect(shareLink('https://example.org/', recipe)).toBe(`https://example.org/${encodeShare(builtinRecipe())}`);
    expect(recipe).not.toEqual(defaultRecipe());
  });
});
