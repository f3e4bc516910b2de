/**
 * Owns the list of files of the built-in model and dataset (public/builtin), and how they become a model folder.
 * Where they are read from is the caller's: a page's own site, or a disk.
 */
import { BUILTIN_MODEL } from '../config/builtin.ts';
import { sourceFromUrl, type ByteProgress, type ByteSource } from '../formats/byteSource.ts';
import { openModelFolder, type ModelFolder } from './modelFolder.ts';

const MODEL_FILES = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];

/** Opens one file by its path below builtin/, e.g. 'model/config.json'. */
export type BuiltinLoader = (path: string) => Promise<ByteSource>;

/**
 * Loads from a web host. `baseUrl` is the address of the builtin folder with its last slash,
 * e.g. new URL('builtin/', pageUrl). Progress counts the weights, which are nearly all of the bytes.
 */
export const builtinFromSite = (baseUrl: string, options: { onProgress?: ByteProgress; signal?: AbortSignal } = {}): BuiltinLoader =>
  (path) => sourceFromUrl(new URL(path, baseUrl).href, {
    ...(options.signal && { signal: options.signal }),
    ...(options.onProgress && path.endsWith('.safetensors') && { onProgress: options.onProgress }),
  });

export async function openBuiltinModel(load: BuiltinLoader): Promise<ModelFolder> {
  const files = await Promise.all(MODEL_FILES.map(async (file) => [file, await load(`model/${file}`)] as const));
  return openModelFolder(BUILTIN_MODEL.name, new Map(files));
}

/** Alpaca rows {instruction, input, output}; the held-out ones carry type, key and entity besides. */
export const openBuiltinData = (load: BuiltinLoader, which: 'train' | 'heldout' = 'train'): Promise<ByteSource> => load(`data/${which}.jsonl`);
