/**
 * Owns what a Hugging Face model folder is: which files it must have, how shards are joined, which chat template wins.
 * Reads headers and small JSON files only; weights stay where they are until someone reads a tensor.
 * Refuses to know where the files come from, and what the config means (src/model/parseConfig.ts does).
 */
import { EtudeError } from '../config/errors.ts';
import { readJson, readText, type ByteSource } from '../formats/byteSource.ts';
import { openSafetensors, type TensorEntry } from '../formats/safetensors.ts';

export type Json = Record<string, unknown>;

/** What the numbers of a model need: enough to compute, not enough to read or write text. */
export interface ModelWeights {
  name: string;
  /** config.json as parsed. */
  config: Json;
  generationConfig: Json | null;
  /** All tensors of all shards by name. */
  tensors: Map<string, TensorEntry>;
}

export interface ModelFolder extends ModelWeights {
  tokenizerJson: Json;
  /** tokenizer_config.json as parsed, or {}. */
  tokenizerConfig: Json;
  /** Jinja source of the model's own template; null when it has none (base models). */
  chatTemplate: string | null;
}

const CONFIG = 'config.json';
const TOKENIZER = 'tokenizer.json';
const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** The largest published ones, of 262,144 tokens, have 33 MB. */
const MAX_TOKENIZER_BYTES = 128 * 1024 * 1024;

/** `files` by path or bare name; a folder inside a folder is found by its config.json nearest the top. */
export async function openModelFolder(name: string, files: ReadonlyMap<string, ByteSource>): Promise<ModelFolder> {
  const folder = filesBesideConfig(name, files);
  const tokenizer = folder.get(TOKENIZER);
  if (!tokenizer) throw noTokenizer(name, folder);
  const tokenizerConfig = await readOptional(folder, 'tokenizer_config.json') ?? {};
  return {
    ...await openModelWeights(name, folder),
    tokenizerJson: await readObject(tokenizer, MAX_TOKENIZER_BYTES),
    tokenizerConfig,
    chatTemplate: await readChatTemplate(folder, tokenizerConfig),
  };
}

/** The same without a tokenizer, for folders that hold none. */
export async function openModelWeights(name: string, files: ReadonlyMap<string, ByteSource>): Promise<ModelWeights> {
  const folder = filesBesideConfig(name, files);
  return {
    name,
    config: await readObject(folder.get(CONFIG)!),
    generationConfig: await readOptional(folder, 'generation_config.json'),
    tensors: await openWeights(name, folder),
  };
}

/** The files of the folder that holds config.json, by bare name. */
function filesBesideConfig(name: string, files: ReadonlyMap<string, ByteSource>): Map<string, ByteSource> {
  const depth = (path: string) => path.split('/').length;
  const configs = [...files.keys()].filter((path) => path === CONFIG || path.endsWith(`/${CONFIG}`)).sort((a, b) => depth(a) - depth(b));
  const config = configs[0];
  if (config === undefined) throw noConfig(name, files);
  const root = config.slice(0, config.length - CONFIG.length);
  const beside = [...files].filter(([path]) => path.startsWith(root) && !path.slice(root.length).includes('/'));
  return new Map(beside.map(([path, source]) => [path.slice(root.length), source]));
}

async function openWeights(name: string, folder: ReadonlyMap<string, ByteSource>): Promise<Map<string, TensorEntry>> {
  const single = folder.get(WEIGHTS);
  if (single) return (await openSafetensors(single)).tensors;
  const index = folder.get(INDEX);
  if (!index) throw noWeights(name, folder);
  const weightMap = (await readObject(index))['weight_map'];
  if (!isObject(weightMap) || Object.values(weightMap).some((file) => typeof file !== 'string')) {
    throw new EtudeError({
      code: 'model.index',
      what: `${INDEX} has no "weight_map" that gives a file for each tensor.`,
      expected: 'An object of tensor names and file names.',
      likelyCause: 'The file was edited or is cut off.',
      nextStep: `Download ${INDEX} again.`,
    });
  }
  return joinShards(folder, weightMap as Record<string, string>);
}

async function joinShards(folder: ReadonlyMap<string, ByteSource>, weightMap: Record<string, string>): Promise<Map<string, TensorEntry>> {
  const shardNames = [...new Set(Object.values(weightMap))].sort();
  const missing = shardNames.filter((shard) => !folder.has(shard));
  if (missing.length > 0) {
    throw new EtudeError({
      code: 'model.shardMissing',
      what: `${missing.length} of ${shardNames.length} weight files are not there: ${list(missing)}.`,
      expected: `All files that ${INDEX} names, in one folder.`,
      likelyCause: 'The download was not finished, or not all files were selected.',
      nextStep: 'Add the missing files to the folder and choose it again.',
    });
  }
  const shards = new Map<string, Map<string, TensorEntry>>();
  for (const shard of shardNames) shards.set(shard, (await openSafetensors(folder.get(shard)!)).tensors);
  refuseRepeated(shards);
  const tensors = new Map<string, TensorEntry>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    const entry = shards.get(shard)!.get(tensor);
    if (!entry) {
      throw new EtudeError({
        code: 'model.index',
        what: `${INDEX} says that ${tensor} is in ${shard}, but it is not.`,
        expected: 'Shards and index of one and the same model.',
        likelyCause: 'Files of two versions of the model are mixed.',
        nextStep: 'Download the whole folder again.',
      });
    }
    tensors.set(tensor, entry);
  }
  return tensors;
}

/** A tensor in two shards: readers would differ in which they take. */
function refuseRepeated(shards: ReadonlyMap<string, ReadonlyMap<string, TensorEntry>>): void {
  const home = new Map<string, string>();
  for (const [shard, tensors] of shards) {
    for (const tensor of tensors.keys()) {
      const first = home.get(tensor);
      if (first === undefined) {
        home.set(tensor, shard);
        continue;
      }
      throw new EtudeError({
        code: 'model.index',
        what: `${tensor} is stored twice, in ${first} and in ${shard}.`,
        expected: 'Each tensor in one file.',
        likelyCause: 'Files of two versions of the model are mixed.',
        nextStep: 'Download the whole folder again.',
      });
    }
  }
}

/** chat_template.jinja wins over tokenizer_config.json; of several named templates 'default' is the one for chat. */
async function readChatTemplate(folder: ReadonlyMap<string, ByteSource>, tokenizerConfig: Json): Promise<string | null> {
  const file = folder.get('chat_template.jinja');
  if (file) return readText(file);
  const inConfig = tokenizerConfig['chat_template'];
  if (typeof inConfig === 'string') return inConfig;
  if (!Array.isArray(inConfig)) return null;
  const named = inConfig.filter(isObject).find((item) => item['name'] === 'default')?.['template'];
  return typeof named === 'string' ? named : null;
}

async function readObject(source: ByteSource, maxBytes?: number): Promise<Json> {
  const value = await readJson(source, maxBytes);
  if (isObject(value)) return value;
  throw new EtudeError({
    code: 'file.notJson',
    what: `${source.name} holds ${Array.isArray(value) ? 'a list' : `the value ${String(value)}`}, not an object.`,
    expected: 'One JSON object.',
    likelyCause: 'The file is something else under this name.',
    nextStep: `Replace ${source.name} with the original.`,
  });
}

async function readOptional(folder: ReadonlyMap<string, ByteSource>, file: string): Promise<Json | null> {
  const source = folder.get(file);
  return source ? readObject(source) : null;
}

const endsWithAny = (files: ReadonlyMap<string, ByteSource>, ...ends: string[]): string | undefined =>
  [...files.keys()].find((path) => ends.some((end) => path.endsWith(end)));

function noConfig(name: string, files: ReadonlyMap<string, ByteSource>): EtudeError {
  const adapter = endsWithAny(files, 'adapter_config.json');
  return new EtudeError({
    code: 'model.noConfig',
    what: `${name} has no config.json among its ${files.size} files.`,
    expected: `A model folder with ${CONFIG}, ${TOKENIZER} and ${WEIGHTS}.`,
    likelyCause: adapter ? 'This folder holds an adapter, not a model.' : 'Another folder was chosen, or only some files were selected.',
    nextStep: adapter ? 'Load its base model first, then import the adapter.' : 'Choose the folder that holds config.json.',
  });
}

function noTokenizer(name: string, files: ReadonlyMap<string, ByteSource>): EtudeError {
  const slow = endsWithAny(files, 'tokenizer.model', 'vocab.json', 'merges.txt');
  return new EtudeError({
    code: 'model.noTokenizer',
    what: `${name} has no tokenizer.json.`,
    expected: `${TOKENIZER} beside ${CONFIG}.`,
    likelyCause: slow ? `The folder has its tokenizer in the older form (${slow}).` : 'Only the weights were downloaded.',
    nextStep: slow
      ? 'In Python, AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes tokenizer.json.'
      : 'Add tokenizer.json and tokenizer_config.json from the model’s page.',
  });
}

function noWeights(name: string, files: ReadonlyMap<string, ByteSource>): EtudeError {
  const other = endsWithAny(files, '.bin', '.pt', '.pth', '.gguf', '.onnx');
  const safetensors = endsWithAny(files, '.safetensors');
  return new EtudeError({
    code: 'model.noWeights',
    what: `${name} has neither ${WEIGHTS} nor ${INDEX}.`,
    expected: `Weights in ${WEIGHTS}, or in several files with ${INDEX}.`,
    likelyCause: safetensors
      ? `${safetensors} is there: one of several files without their index, or a file that was renamed.`
      : other ? `The weights are stored in another format (${other}).` : 'The weights were not downloaded.',
    nextStep: 'Add the safetensors files from the model’s page.',
  });
}

const list = (names: string[]): string => names.slice(0, 3).join(', ') + (names.length > 3 ? `, and ${names.length - 3} more` : '');
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
