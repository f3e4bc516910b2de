/**
 * A tiny model and adapter in memory, and the ways their files can lie: each lie must be refused in words.
 * Deals in bytes; what a lie means to the loaders is loaderFuzz.test.ts's.
 */
import fc from 'fast-check';
import { expectedTensors } from '../../src/model/expectedTensors.ts';
import { parseModelConfig } from '../../src/model/parseConfig.ts';
import { writeSafetensors, type TensorToWrite } from '../../src/formats/safetensors.ts';
import { zipFiles } from '../../src/formats/zip.ts';
import type { ByteSource } from '../../src/formats/byteSource.ts';
import { sentencePieceJson } from '../data/helpers.ts';

export type Files = Map<string, Uint8Array | ByteSource>;
export type Json = Record<string, unknown>;

export const CONFIG: Json = {
  architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2,
  num_key_value_heads: 1, head_dim: 4, vocab_size: 300, max_position_embeddings: 64, rms_norm_eps: 1e-5, rope_theta: 10_000, tie_word_embeddings: true,
};
export const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;
export const INDEX = 'model.safetensors.index.json';
const ADAPTER_CONFIG: Json = { peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 2, lora_alpha: 4, target_modules: ['q_proj', 'down_proj'], base_model_name_or_path: 'tiny' };
export const ADAPTER = { config: 'adapter_config.json', weights: 'adapter_model.safetensors' } as const;

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const json = (value: unknown): Uint8Array => text(JSON.stringify(value));
const filled = (shape: readonly number[], seed: number): Float32Array => Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => ((i * 31 + seed * 7) % 97) / 97 - 0.5);

export function modelFiles(): Files {
  const expected = expectedTensors(parseModelConfig(CONFIG));
  const half = expected.length / 2;
  const files: Files = new Map([['config.json', json(CONFIG)], ['tokenizer.json', json(sentencePieceJson)], ['tokenizer_config.json', json({ eos_token: '</s>' })]]);
  const weightMap: Record<string, string> = {};
  for (const [i, shard] of SHARDS.entries()) {
    const part = expected.filter((_, at) => (at < half) === (i === 0));
    files.set(shard, writeSafetensors(new Map(part.map(({ name, shape }, at): [string, TensorToWrite] => [name, { dtype: 'F32', shape, data: filled(shape, at) }])), { format: 'pt' }));
    for (const { name } of part) weightMap[name] = shard;
  }
  return files.set(INDEX, json({ metadata: { total_size: 1 }, weight_map: weightMap }));
}

export function adapterFiles(): Files {
  const tensors = new Map<string, TensorToWrite>();
  for (const layer of [0, 1]) {
    for (const [path, out, inner] of [['self_attn.q_proj', 8, 8], ['mlp.down_proj', 8, 12]] as const) {
      const key = (matrix: string) => `base_model.model.model.layers.${layer}.${path}.lora_${matrix}.weight`;
      tensors.set(key('A'), { dtype: 'F32', shape: [2, inner], data: filled([2, inner], layer) });
      tensors.set(key('B'), { dtype: 'F32', shape: [out, 2], data: filled([out, 2], layer + 5) });
    }
  }
  return new Map([[ADAPTER.config, json(ADAPTER_CONFIG)], [ADAPTER.weights, writeSafetensors(tensors, { format: 'pt' })]]);
}

/** A file of any size that holds zeros after `head`; reading a large part of it is the fault under test. */
export function vastFile(name: string, size: number, head: Uint8Array): ByteSource {
  return {
    name, size,
    read: async (start, end) => {
      const bytes = new Uint8Array(end - start);
      bytes.set(head.subarray(start, Math.min(end, head.length)));
      return bytes;
    },
  };
}

export interface Lie {
  name: string;
  /** Changes the files as one drawn case says. */
  draw: fc.Arbitrary<(files: Files) => void>;
}

const lie = <T>(name: string, of: fc.Arbitrary<T>, apply: (files: Files, drawn: T) => void): Lie => ({
  name, draw: of.map((drawn) => Object.assign((files: Files) => apply(files, drawn), { [fc.toStringMethod]: () => `${name}: ${fc.stringify(drawn)}` })),
});

const bytesOf = (files: Files, file: string): Uint8Array => files.get(file) as Uint8Array;
const parsed = (files: Files, file: string): Json => JSON.parse(new TextDecoder().decode(bytesOf(files, file))) as Json;
/** Numbers written as JSON cannot write them (1e400) stand in a text as "@1e400@". */
const raw = (value: unknown): string => JSON.stringify(value).replaceAll(/"@([^"@]*)@"/g, '$1');
const edit = (files: Files, file: string, change: (value: Json) => void): void => {
  const value = parsed(files, file);
  change(value);
  files.set(file, text(raw(value)));
};

type Header = Record<string, { dtype: unknown; shape: unknown; data_offsets: unknown }>;
function splitFile(bytes: Uint8Array): { header: Header; data: Uint8Array } {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  return { header: JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Header, data: bytes.subarray(8 + length) };
}
export function joinFile(header: string, data: Uint8Array): Uint8Array {
  const head = text(header);
  const file = new Uint8Array(8 + head.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(head.length), true);
  file.set(head, 8);
  file.set(data, 8 + head.length);
  return file;
}
/** `change` may return the header's text itself. */
function editHeader(files: Files, file: string, at: number, change: (entry: Header[string], name: string, header: Header) => string | void): void {
  const { header, data } = splitFile(bytesOf(files, file));
  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  const name = names[at % names.length]!;
  files.set(file, joinFile(change(header[name]!, name, header) ?? raw(header), data));
}

/** Never a count of anything. */
export const notACount = fc.oneof(
  fc.integer({ max: -1 }), fc.double({ min: 0.001, max: 1e6, noInteger: true }), fc.constantFrom<unknown>('@1e400@', '@-1e400@', 2 ** 53, 1e300, '4', '', true, false, [], [4], {}, 'NaN'),
);
const at = fc.nat(1000);
const file = (names: readonly string[]) => fc.constantFrom(...names);

function safetensorsLies(names: readonly string[]): Lie[] {
  return [
    lie('weights cut off anywhere', fc.tuple(file(names), fc.double({ min: 0, max: 0.9999, noNaN: true })), (files, [name, share]) => {
      files.set(name, bytesOf(files, name).subarray(0, Math.floor(bytesOf(files, name).length * share)));
    }),
    lie('bytes behind the weights', fc.tuple(file(names), fc.uint8Array({ minLength: 1, maxLength: 64 })), (files, [name, more]) => {
      files.set(name, Uint8Array.from([...bytesOf(files, name), ...more]));
    }),
    lie('another length of the header', fc.tuple(file(names), fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 4000n }))), (files, [name, length]) => {
      const bytes = Uint8Array.from(bytesOf(files, name));
      const view = new DataView(bytes.buffer);
      view.setBigUint64(0, view.getBigUint64(0, true) === length ? length + 1n : length, true);
      files.set(name, bytes);
    }),
    lie('an offset moved', fc.tuple(file(names), at, fc.nat(1), fc.oneof(fc.integer({ min: -64, max: 64 }), fc.maxSafeInteger())), (files, [name, which, end, by]) => {
      editHeader(files, name, which, (entry) => { (entry.data_offsets as number[])[end]! += by === 0 ? 4 : by; });
    }),
    lie('an offset that is no count', fc.tuple(file(names), at, fc.nat(1), notACount), (files, [name, which, end, value]) => {
      editHeader(files, name, which, (entry) => { (entry.data_offsets as unknown[])[end] = value; });
    }),
    lie('a tensor on the bytes of another', fc.tuple(file(names), at), (files, [name, which]) => {
      editHeader(files, name, which, (entry, own, header) => {
        const other = Object.keys(header).find((key) => key !== own && key !== '__metadata__')!;
        Object.assign(entry, { data_offsets: header[other]!.data_offsets, shape: header[other]!.shape });
      });
    }),
    lie('a dimension that is no count', fc.tuple(file(names), at, fc.nat(1), notACount), (files, [name, which, dim, value]) => {
      editHeader(files, name, which, (entry) => { const shape = entry.shape as unknown[]; shape[dim % shape.length] = value; });
    }),
    lie('a dimension of another size', fc.tuple(file(names), at, fc.nat(1), fc.integer({ min: 0, max: 2 ** 40 })), (files, [name, which, dim, value]) => {
      editHeader(files, name, which, (entry) => { const shape = entry.shape as number[]; const i = dim % shape.length; shape[i] = shape[i] === value ? value + 1 : value; });
    }),
    lie('a shape of the same size', fc.tuple(file(names), at, fc.nat(2)), (files, [name, which, form]) => {
      editHeader(files, name, which, (entry) => {
        const n = (entry.shape as number[]).reduce((a, b) => a * b, 1);
        entry.shape = [[n, 1, 1], [1, 1, n], [1, n, 1]][form];
      });
    }),
    lie('no shape at all', fc.tuple(file(names), at, fc.constantFrom('dtype', 'shape', 'data_offsets'), fc.jsonValue()), (files, [name, which, field, value]) => {
      editHeader(files, name, which, (entry) => { Object.assign(entry, { [field]: Array.isArray(value) ? null : value }); });
    }),
    lie('another type', fc.tuple(file(names), at, fc.constantFrom('F64', 'BF16', 'F16', 'I32', 'U32', 'I8', 'BOOL', 'F8_E4M3', 'C64', 'Q4_0', 'f32', '', 'toString', '__proto__')), (files, [name, which, dtype]) => {
      editHeader(files, name, which, (entry) => { entry.dtype = dtype; });
    }),
    lie('a name that occurs twice', fc.tuple(file(names), at, fc.boolean()), (files, [name, which, escaped]) => {
      editHeader(files, name, which, (entry, own, header) => {
        const again = escaped ? JSON.stringify(own).replace('m', '\\u006d') : JSON.stringify(own);
        return `${JSON.stringify(header).slice(0, -1)},${again}:${JSON.stringify(entry)}}`;
      });
    }),
    lie('a field that occurs twice', fc.tuple(file(names), at), (files, [name, which]) => {
      editHeader(files, name, which, (entry, own, header) => JSON.stringify({ ...header, [own]: '@' }).replace('"@"', `${JSON.stringify(entry).slice(0, -1)},"shape":[1]}`));
    }),
    lie('a name changed', fc.tuple(file(names), at, fc.nat(40), fc.string({ minLength: 1, maxLength: 3 })), (files, [name, which, place, by]) => {
      editHeader(files, name, which, (entry, own, header) => {
        delete header[own];
        const changed = `${own.slice(0, place % own.length)}${by}${own.slice(place % own.length)}`;
        header[changed] = entry;
      });
    }),
    lie('a header that is no table', fc.tuple(file(names), fc.oneof(fc.constantFrom('[]', 'null', '1', '""', '{', '{"a"}', '{"a":{}}', '{"__metadata__":[]}', ''), fc.jsonValue().map((v) => JSON.stringify([v])))), (files, [name, header]) => {
      files.set(name, joinFile(header, splitFile(bytesOf(files, name)).data));
    }),
    lie('a vast file with a vast header', fc.tuple(file(names), fc.integer({ min: 20_000_000, max: 2 ** 50 }), fc.bigInt({ min: 4_000_001n, max: 2n ** 64n - 1n })), (files, [name, size, header]) => {
      const head = new Uint8Array(8);
      new DataView(head.buffer).setBigUint64(0, header, true);
      files.set(name, vastFile(name, size, head));
    }),
  ];
}

/** Text files cut off, of vast size, with a name twice, or of bytes that are no text. */
const textLies = (names: readonly string[]): Lie[] => [
  lie('cut off anywhere', fc.tuple(file(names), fc.double({ min: 0, max: 0.9999, noNaN: true })), (files, [name, share]) => {
    files.set(name, bytesOf(files, name).subarray(0, Math.floor(bytesOf(files, name).length * share)));
  }),
  lie('of vast size', fc.tuple(file(names), fc.integer({ min: 2 ** 28, max: 2 ** 50 })), (files, [name, size]) => files.set(name, vastFile(name, size, bytesOf(files, name)))),
  lie('with a name twice', fc.tuple(file(names), at, fc.jsonValue()), (files, [name, which, value]) => {
    const keys = Object.keys(parsed(files, name));
    files.set(name, text(`{${JSON.stringify(keys[which % keys.length])}:${JSON.stringify(value)},${JSON.stringify(parsed(files, name)).slice(1)}`));
  }),
  lie('that is no object', fc.tuple(file(names), fc.oneof(fc.constantFrom<unknown>(null, 1, 'a', true), fc.array(fc.jsonValue()))), (files, [name, value]) => files.set(name, json(value))),
  lie('that is no UTF-8', fc.tuple(file(names), at), (files, [name, place]) => {
    const bytes = Uint8Array.from(bytesOf(files, name));
    bytes[place % bytes.length] = 0xff;
    files.set(name, bytes);
  }),
];

const SIZES = ['hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'num_key_value_heads', 'vocab_size', 'head_dim'];
const set = (name: string, fileName: string, of: fc.Arbitrary<Json>): Lie => lie(name, of, (files, change) => edit(files, fileName, (value) => Object.assign(value, change)));
const field = (names: readonly string[], of: fc.Arbitrary<unknown>): fc.Arbitrary<Json> => fc.tuple(fc.constantFrom(...names), of).map(([name, value]) => ({ [name]: value }));

const configLies: Lie[] = [
  set('sizes that are no counts', 'config.json', field(SIZES, notACount)),
  set('sizes of another model', 'config.json', field(SIZES, fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 2 ** 31 }), fc.constantFrom(2 ** 20, 2 ** 24))).map((change) => {
    const [[name, value]] = Object.entries(change) as [[string, number]];
    return { [name]: CONFIG[name] === value ? value + 1 : value };
  })),
  set('numbers that must be above 0', 'config.json', field(['rms_norm_eps', 'rope_theta'], fc.constantFrom<unknown>(0, -1, '@1e400@', '1', true, [1], {}))),
  set('switches that are no switches', 'config.json', field(['tie_word_embeddings', 'attention_bias', 'mlp_bias'], fc.constantFrom<unknown>(0, 1, 'true', [], {}))),
  set('weights that the file lacks', 'config.json', fc.constantFrom<Json>({ tie_word_embeddings: false }, { attention_bias: true }, { mlp_bias: true })),
  set('an architecture no one knows', 'config.json', fc.tuple(fc.string(), fc.jsonValue()).map(([name, type]) => ({ architectures: [name], model_type: type }))),
  set('a rotary embedding no one knows', 'config.json', fc.oneof(
    fc.string({ minLength: 1 }).filter((type) => !['default', 'linear', 'llama3'].includes(type)).map((type) => ({ rope_scaling: { rope_type: type } })),
    fc.constantFrom<unknown>(0, -1, '2', null, [], {}).map((factor) => ({ rope_scaling: { rope_type: 'linear', factor } })),
    fc.constantFrom<Json>({ rope_scaling: [] }, { rope_scaling: 'linear' }, { rope_scaling: { rope_type: 'llama3', factor: 8 } }, { partial_rotary_factor: 0.5 }),
  )),
  set('what is not computed', 'config.json', fc.oneof(fc.jsonValue().filter((v) => v !== null).map((v) => ({ quantization_config: v })), fc.string().filter((s) => !['silu', 'swish'].includes(s)).map((s) => ({ hidden_act: s })))),
];

const editMap = (name: string, of: fc.Arbitrary<[number, string]>, change: (map: Json, key: string, drawn: string) => void): Lie =>
  lie(name, of, (files, [which, drawn]) => edit(files, INDEX, (index) => {
    const map = index['weight_map'] as Json;
    const keys = Object.keys(map);
    change(map, keys[which % keys.length]!, drawn);
  }));

const indexLies: Lie[] = [
  editMap('an index that names no file', fc.tuple(at, fc.oneof(fc.string(), fc.constantFrom('../config.json', '/etc/passwd', 'config.json', 'tokenizer.json'))), (map, key, drawn) => { map[key] = drawn; }),
  editMap('an index that names the wrong shard', fc.tuple(at, fc.constant('')), (map, key) => { map[key] = map[key] === SHARDS[0] ? SHARDS[1] : SHARDS[0]; }),
  editMap('an index without one tensor', fc.tuple(at, fc.constant('')), (map, key) => { delete map[key]; }),
  editMap('an index with a tensor that is nowhere', fc.tuple(at, fc.string()), (map, _, drawn) => { map[`model.${drawn}`] = SHARDS[0]; }),
  lie('an index whose map is none', fc.oneof(fc.constantFrom<unknown>(null, 1, 'a', []), fc.dictionary(fc.string(), fc.oneof(fc.integer(), fc.constant(null)), { minKeys: 1 })), (files, value) => edit(files, INDEX, (index) => { index['weight_map'] = value; })),
  lie('a tensor name twice in the index', at, (files, which) => {
    const map = parsed(files, INDEX)['weight_map'] as Json;
    const key = Object.keys(map)[which % Object.keys(map).length]!;
    files.set(INDEX, text(`{"weight_map":{${JSON.stringify(key)}:${JSON.stringify(SHARDS[which % 2])},${JSON.stringify(map).slice(1)}}`));
  }),
  lie('a tensor in both shards', at, (files, which) => {
    const from = splitFile(bytesOf(files, SHARDS[0]));
    const to = splitFile(bytesOf(files, SHARDS[1]));
    const names = Object.keys(from.header).filter((name) => name !== '__metadata__');
    const name = names[which % names.length]!;
    const [begin, end] = from.header[name]!.data_offsets as [number, number];
    to.header[name] = { ...from.header[name]!, data_offsets: [to.data.length, to.data.length + end - begin] };
    files.set(SHARDS[1], joinFile(JSON.stringify(to.header), Uint8Array.from([...to.data, ...from.data.subarray(begin, end)])));
  }),
  lie('a shard that is not there', fc.constantFrom(...SHARDS), (files, shard) => { files.delete(shard); }),
];

type TokenizerParts = { model: { vocab: Record<string, unknown>; merges: unknown[] }; added_tokens: Json[] };
const editTokenizer = <T>(name: string, of: fc.Arbitrary<T>, change: (tokenizer: TokenizerParts & Json, drawn: T) => void): Lie =>
  lie(name, of, (files, drawn) => edit(files, 'tokenizer.json', (value) => change(value as unknown as TokenizerParts & Json, drawn)));
const tokenizerLies: Lie[] = [
  editTokenizer('an id that is no id', fc.tuple(at, fc.oneof(notACount, fc.integer({ min: 2 ** 22 + 1, max: 2 ** 31 }))), ({ model }, [which, id]) => {
    const keys = Object.keys(model.vocab);
    model.vocab[keys[which % keys.length]!] = id;
  }),
  editTokenizer('two tokens with one id', fc.tuple(at, at), ({ model }, [a, b]) => {
    const keys = Object.keys(model.vocab);
    const from = keys[b % keys.length]!;
    const to = keys[a % keys.length]!;
    model.vocab[to === from ? keys[(a + 1) % keys.length]! : to] = model.vocab[from];
  }),
  editTokenizer('a merge of tokens that are none', fc.oneof(fc.constantFrom<unknown>('a', 'a b c', 'z y', ['a'], ['a', 'z'], [1, 2], 7, null, {}, 'b a'), fc.string().map((s) => `${s}☃ ${s}`)), ({ model }, merge) => { model.merges.push(merge); }),
  editTokenizer('merges that are no list', fc.oneof(fc.string(), fc.integer(), fc.constant({})), ({ model }, merges) => { (model as { merges: unknown }).merges = merges; }),
  editTokenizer('an added token without id or text', fc.constantFrom<Json>({}, { id: 5 }, { content: 'x' }, { id: -1, content: 'x' }, { id: 0.5, content: 'x' }, { id: 1e9, content: 'x' }, { id: '3', content: 'x' }, { id: 270, content: 4 }), (tokenizer, token) => { tokenizer.added_tokens.push(token); }),
  editTokenizer('an added token with the id of another', fc.nat(200), (tokenizer, id) => { tokenizer.added_tokens.push({ id, content: '<|another|>', special: true }); }),
  editTokenizer('a token added twice', fc.nat(2), (tokenizer, which) => { tokenizer.added_tokens.push(tokenizer.added_tokens[which]!); }),
  editTokenizer('no vocabulary', fc.constantFrom<unknown>(null, [], {}, 'a', 3), ({ model }, vocab) => { (model as { vocab: unknown }).vocab = vocab; }),
  editTokenizer('a model no one knows', fc.constantFrom<unknown>('Neural', 'bpe', 'Unigram', 3, []), ({ model }, type) => { (model as Json)['type'] = type; }),
  editTokenizer('parts nested without end', fc.tuple(fc.constantFrom('pre_tokenizer', 'normalizer', 'decoder'), fc.integer({ min: 40, max: 900 })), (tokenizer, [part, depth]) => {
    const list = { pre_tokenizer: 'pretokenizers', normalizer: 'normalizers', decoder: 'decoders' }[part]!;
    let inner: Json = { type: 'ByteLevel' };
    for (let i = 0; i < depth; i++) inner = { type: 'Sequence', [list]: [inner] };
    tokenizer[part] = inner;
  }),
  editTokenizer('a part no one knows', fc.tuple(fc.constantFrom('pre_tokenizer', 'normalizer', 'decoder'), fc.oneof(fc.constantFrom<unknown>(1, 'a', true, []), fc.string().map((s) => ({ type: `${s}!` })))), (tokenizer, [part, value]) => { tokenizer[part] = value; }),
  lie('a chat template that does not parse', fc.constantFrom('{% for m in %}', '{{', '{% if %}', '{% endfor %}', '{{ a | }}'), (files, template) => edit(files, 'tokenizer_config.json', (value) => { value['chat_template'] = template; })),
];

const adapterConfigLies: Lie[] = [
  set('a rank or strength that is none', ADAPTER.config, field(['r', 'lora_alpha'], fc.oneof(fc.integer({ max: 0 }), fc.constantFrom<unknown>('@1e400@', '2', null, [], {}, true)))),
  set('a rank of another adapter', ADAPTER.config, field(['r'], fc.oneof(fc.integer({ min: 3, max: 10_000 }), fc.constantFrom(1, 2 ** 31, 2 ** 53 - 1, 1.5)))),
  set('another kind', ADAPTER.config, field(['peft_type', 'task_type'], fc.oneof(fc.string(), fc.integer(), fc.constant([])))),
  set('a feature that is not computed', ADAPTER.config, fc.oneof(
    field(['use_dora', 'lora_bias', 'fan_in_fan_out', 'use_bdlora', 'ensure_something_new'], fc.constantFrom<unknown>(true, 1, 'yes', [1], { a: 1 })),
    field(['modules_to_save', 'trainable_token_indices', 'target_parameters', 'layer_replication', 'loftq_config', 'corda_config', 'arrow_config', 'alora_invocation_tokens'], fc.constantFrom<unknown>(['lm_head'], [1], { a: 1 })),
    field(['bias'], fc.constantFrom<unknown>('all', 'lora_only', true, 1)),
    field(['init_lora_weights'], fc.constantFrom<unknown>('pissa', 'pissa_niter_4', 'olora', 'loftq', 'corda', 'x', 3, null)),
  )),
  set('target_modules that cover other tensors', ADAPTER.config, field(['target_modules'], fc.oneof(
    fc.subarray(['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']).filter((list) => list.sort().join() !== 'down_proj,q_proj'),
    fc.array(fc.string()), fc.constantFrom<unknown>(null, 3, {}, '', [1], [''], 'q_proj', '.*k_proj', '(', '[', '(a+)+b'),
  ))),
];
const FLOATS = { nan: Number.NaN, inf: Infinity, minus: -Infinity };
const adapterWeightLies: Lie[] = [
  lie('a value that is no number', fc.tuple(at, fc.constantFrom<keyof typeof FLOATS>('nan', 'inf', 'minus')), (files, [place, value]) => {
    const bytes = Uint8Array.from(bytesOf(files, ADAPTER.weights));
    const floats = splitFile(bytes).data.length / 4;
    new DataView(bytes.buffer).setFloat32(bytes.length - 4 * (1 + (place % floats)), FLOATS[value], true);
    files.set(ADAPTER.weights, bytes);
  }),
  lie('half a pair', at, (files, which) => {
    const { header, data } = splitFile(bytesOf(files, ADAPTER.weights));
    const names = Object.keys(header).filter((name) => name !== '__metadata__');
    const gone = names[which % names.length]!;
    const [from, to] = header[gone]!.data_offsets as [number, number];
    delete header[gone];
    for (const { data_offsets: o } of names.filter((name) => name !== gone).map((name) => header[name] as { data_offsets: number[] })) if (o[0]! >= to) { o[0]! -= to - from; o[1]! -= to - from; }
    files.set(ADAPTER.weights, joinFile(JSON.stringify(header), Uint8Array.from([...data.subarray(0, from), ...data.subarray(to)])));
  }),
  lie('a zip cut off', fc.double({ min: 0, max: 0.999, noNaN: true }), (files, share) => {
    const zip = zipFiles(files as Map<string, Uint8Array>);
    files.clear();
    files.set('adapter.zip', zip.subarray(0, Math.floor(zip.length * share)));
  }),
  lie('a zip with a damaged byte in its weights', at, (files, place) => {
    const weights = bytesOf(files, ADAPTER.weights);
    const zip = Uint8Array.from(zipFiles(files as Map<string, Uint8Array>));
    const { data } = splitFile(weights);
    const begin = Buffer.from(zip).indexOf(data);
    zip[begin + (place % data.length)]! ^= 1;
    files.clear();
    files.set('adapter.zip', zip);
  }),
];

export const MODEL_LIES: Lie[] = [...safetensorsLies(SHARDS), ...indexLies, ...configLies, ...textLies([INDEX, 'config.json', 'tokenizer.json', 'tokenizer_config.json']), ...tokenizerLies];
export const ADAPTER_LIES: Lie[] = [...safetensorsLies([ADAPTER.weights]), ...textLies([ADAPTER.config]), ...adapterConfigLies, ...adapterWeightLies];
