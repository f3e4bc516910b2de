import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sourceFromPath, sourcesFromFolder } from '../../src/cli/fsSource.ts';
import { EtudeError } from '../../src/config/errors.ts';
import { sourceFromBytes, type ByteSource } from '../../src/formats/byteSource.ts';
import { readF32 } from '../../src/formats/safetensors.ts';
import { builtinFromSite, openBuiltinData, openBuiltinModel } from '../../src/hub/builtin.ts';
import { sourcesFromFiles } from '../../src/hub/droppedFiles.ts';
import { openModelFolder, openModelWeights } from '../../src/hub/modelFolder.ts';
import { checkTensors } from '../../src/model/expectedTensors.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';

const path = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const text = (name: string, content: string): [string, ByteSource] => [name, sourceFromBytes(new TextEncoder().encode(content), name)];
const TOKENIZER = text('tokenizer.json', '{"model": {"type": "BPE"}}');

/** The golden case as a folder with a tokenizer, after `change`. */
async function folder(name: string, change: (files: Map<string, ByteSource>) => void = () => {}): Promise<Map<string, ByteSource>> {
  const files = await sourcesFromFolder(path(`fixtures/goldens/${name}`));
  for (const besides of ['golden.safetensors', 'golden.json', 'adapter.gguf']) files.delete(besides);
  files.set(...TOKENIZER);
  change(files);
  return files;
}

async function refusal(files: Map<string, ByteSource>): Promise<EtudeError> {
  const error = await openModelFolder('my-model', files)
    .then((opened) => checkTensors(opened.tensors, parseModelConfig(opened.config, opened.generationConfig)))
    .then(() => null, (e: unknown) => e);
  expect(error).toBeInstanceOf(EtudeError);
  return error as EtudeError;
}

describe('a model folder', () => {
  it('in one file opens with its config and every tensor', async () => {
    const model = await openModelFolder('m', await folder('llama_padded'));
    expect(model.generationConfig).toBeNull();
    expect(model.chatTemplate).toBeNull();
    expect(checkTensors(model.tensors, parseModelConfig(model.config)).unused).toEqual([]);
  });

  it('in several files opens as one, each tensor read from its own shard', async () => {
    const model = await openModelFolder('m', await folder('qwen3_bf16'));
    const config = parseModelConfig(model.config);
    checkTensors(model.tensors, config);
    expect(new Set([...model.tensors.values()].map((entry) => entry.source.name)).size).toBe(2);
    expect((await readF32(model.tensors.get('model.norm.weight')!)).length).toBe(config.hiddenSize);
  });

  it('without tokenizer still gives its weights to those who ask for no more', async () => {
    const files = await folder('llama_padded', (f) => f.delete('tokenizer.json'));
    expect((await openModelWeights('m', files)).tensors.size).toBeGreaterThan(10);
  });

  it('inside another folder is found by its config.json', async () => {
    const files = new Map([...await folder('llama_padded')].map(([name, source]) => [`models/tiny/${name}`, source]));
    files.set(...text('models/tiny/original/config.json', '{}'));
    expect((await openModelFolder('m', files)).tensors.size).toBeGreaterThan(10);
  });

  it('takes chat_template.jinja before the template in tokenizer_config.json, and "default" among several', async () => {
    const config = text('tokenizer_config.json', JSON.stringify({ chat_template: 'from config' }));
    const several = text('tokenizer_config.json', JSON.stringify({ chat_template: [{ name: 'tool_use', template: 'tools' }, { name: 'default', template: 'plain' }] }));
    const template = async (...files: [string, ByteSource][]) =>
      (await openModelFolder('m', await folder('llama_padded', (f) => files.forEach((file) => f.set(...file))))).chatTemplate;
    expect(await template(config)).toBe('from config');
    expect(await template(config, text('chat_template.jinja', 'from file'))).toBe('from file');
    expect(await template(several)).toBe('plain');
  });

  it.each<[string, (files: Map<string, ByteSource>) => void, string, string]>([
    ['without config', (f) => f.delete('config.json'), 'model.noConfig', 'my-model has no config.json'],
    ['that is an adapter', (f) => { f.clear(); f.set(...text('adapter_config.json', '{}')); }, 'model.noConfig', 'no config.json'],
    ['without files', (f) => f.clear(), 'model.noConfig', '0 files'],
    ['without tokenizer', (f) => f.delete('tokenizer.json'), 'model.noTokenizer', 'no tokenizer.json'],
    ['without weights', (f) => f.delete('model.safetensors'), 'model.noWeights', 'neither model.safetensors'],
    ['with a config that is a list', (f) => f.set(...text('config.json', '[]')), 'file.notJson', 'a list'],
    ['with a config cut off', (f) => f.set(...text('config.json', '{"a"')), 'file.notJson', 'config.json is not valid JSON'],
    ['with an unknown architecture', (f) => f.set(...text('config.json', '{"architectures": ["BertModel"]}')), 'model.unsupported', 'BertModel'],
    ['with weights cut off', (f) => { const whole = f.get('model.safetensors')!; f.set('model.safetensors', { ...whole, size: whole.size - 100 }); }, 'safetensors.truncated', 'model.safetensors'],
    ['with a header that lies', (f) => f.set('model.safetensors', sourceFromBytes(new Uint8Array(16).fill(255), 'model.safetensors')), 'safetensors.header', '18446744073709551615'],
    ['with weights of another model', (f) => f.set(...text('config.json', JSON.stringify({ architectures: ['LlamaForCausalLM'], hidden_size: 64, num_attention_heads: 4, num_hidden_layers: 1 }))), 'model.tensors', 'of another shape'],
  ])('%s is refused in words', async (_, change, code, words) => {
    const error = await refusal(await folder('llama_padded', change));
    expect(error.code).toBe(code);
    expect(error.userMessage.what).toContain(words);
    expect(error.userMessage.nextStep).toBeTruthy();
  });

  it('says in which other form the weights or the tokenizer are', async () => {
    const other = await refusal(await folder('llama_padded', (f) => { f.delete('model.safetensors'); f.set(...text('pytorch_model.bin', '')); }));
    expect(other.userMessage.likelyCause).toContain('pytorch_model.bin');
    const slow = await refusal(await folder('llama_padded', (f) => { f.delete('tokenizer.json'); f.set(...text('tokenizer.model', '')); }));
    expect(slow.userMessage.nextStep).toContain('save_pretrained');
  });

  it('with a missing shard names it; with an index that lies names the tensor', async () => {
    const missing = await refusal(await folder('qwen3_bf16', (f) => f.delete('model-00002-of-00002.safetensors')));
    expect(missing.code).toBe('model.shardMissing');
    expect(missing.userMessage.what).toContain('1 of 2 weight files are not there: model-00002-of-00002.safetensors');
    const index = (value: unknown) => folder('qwen3_bf16', (f) => f.set(...text('model.safetensors.index.json', JSON.stringify(value))));
    const lie = await refusal(await index({ weight_map: { 'model.norm.wait': 'model-00001-of-00002.safetensors' } }));
    expect(lie.code).toBe('model.index');
    expect(lie.userMessage.what).toContain('model.norm.wait');
    for (const bad of [{}, { weight_map: [] }, { weight_map: { a: 1 } }]) expect((await refusal(await index(bad))).code).toBe('model.index');
  });

  it('dropped as files keeps the paths inside the folder', () => {
    const nested = new File(['{}'], 'config.json');
    Object.defineProperty(nested, 'webkitRelativePath', { value: 'tiny/config.json' });
    const sources = sourcesFromFiles([nested, new File(['a'], 'a.txt')]);
    expect([...sources.keys()]).toEqual(['tiny/config.json', 'a.txt']);
    expect(sources.get('tiny/config.json')!.name).toBe('config.json');
  });
});

describe('the built-in example', () => {
  const load = (relative: string) => sourceFromPath(join(path('../public/builtin'), relative));

  it('is a whole model with a ChatML template and two end tokens', async () => {
    const model = await openBuiltinModel(load);
    const config = parseModelConfig(model.config, model.generationConfig);
    expect(checkTensors(model.tensors, config).unused).toEqual([]);
    expect(config.eosTokenIds).toEqual([2, 0]);
    expect(model.chatTemplate).toContain('<|im_start|>');
  });

  it('loads from a web host below any path, with progress on its weights', async () => {
    const server = createServer((request, response) => {
      const file = /^\/some\/where\/builtin\/((?:model|data)\/[\w.]+)$/.exec(request.url ?? '')?.[1];
      if (file === undefined || !existsSync(path(`../public/builtin/${file}`))) response.writeHead(404).end();
      else response.end(readFileSync(path(`../public/builtin/${file}`)));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const progress: number[] = [];
    const fromSite = builtinFromSite(new URL('builtin/', `http://127.0.0.1:${port}/some/where/index.html`).href, { onProgress: (done) => progress.push(done) });
    const model = await openBuiltinModel(fromSite);
    expect(model.tensors.size).toBe((await openBuiltinModel(load)).tensors.size);
    expect(progress.at(-1)).toBe(2_103_480);
    await expect(fromSite('model/none.json')).rejects.toMatchObject({ userMessage: { code: 'file.fetch' } });
    server.close();
  });

  it('brings 480 training and 275 held-out rows', async () => {
    for (const [which, rows] of [['train', 480], ['heldout', 275]] as const) {
      const source = await openBuiltinData(load, which);
      const lines = new TextDecoder().decode(await source.read(0, source.size)).trim().split('\n');
      expect(lines.length).toBe(rows);
    }
  });
});
