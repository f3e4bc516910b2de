/** Owns which files of a repository make a model folder: what modelFolder reads, and nothing else. */
import type { HubTreeFile } from './hubClient.ts';

const SMALL = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];
const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;

/** At the repository's top: small files first, then the weights in order. A single weight file wins over shards, as in transformers. */
export function wantedFiles(tree: readonly HubTreeFile[]): HubTreeFile[] {
  const top = new Map(tree.filter(({ path }) => !path.includes('/')).map((file) => [file.path, file]));
  const present = (names: string[]): HubTreeFile[] => names.flatMap((name) => top.get(name) ?? []);
  const weights = top.has(SINGLE) ? present([SINGLE]) : [...present([INDEX]), ...present([...top.keys()].filter((name) => SHARD.test(name)).sort())];
  return [...present(SMALL), ...weights];
}

export const isWeightFile = (path: string): boolean => path.endsWith('.safetensors');

/** What is missing for a model folder, in words; null where nothing is. */
export function missingParts(tree: readonly HubTreeFile[]): string | null {
  const names = new Set(tree.map(({ path }) => path));
  const has = (...ends: string[]): string | undefined => [...names].find((name) => ends.some((end) => name.endsWith(end)));
  if (!names.has('config.json')) return has('adapter_config.json') ? 'It holds an adapter, not a model.' : 'It has no config.json.';
  if (!wantedFiles(tree).some(({ path }) => isWeightFile(path))) {
    const other = has('.gguf', '.bin', '.onnx', '.pt', '.pth');
    return other ? `Its weights are in another format (${other}), not in safetensors.` : 'It has no weights in safetensors.';
  }
  return names.has('tokenizer.json') ? null : 'It has no tokenizer.json.';
}
