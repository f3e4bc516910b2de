/**
 * Owns the files of a download, and the proof that they hold what is in memory: each is parsed again from its bytes
 * and compared. The comparison of logits is the model's, with the adapter that was read back here.
 */
import { toUserMessage } from '../config/errors.ts';
import { readRecipe } from '../config/readRecipe.ts';
import type { Recipe } from '../config/recipe.ts';
import { parseJson, sourceFromBytes } from '../formats/byteSource.ts';
import { readPeftAdapter, writePeftAdapter, type AdapterState, type BaseModel } from '../formats/peftAdapter.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { metricsJsonl } from './metricsJsonl.ts';
import { adapterReadme, type ReadmeInput } from './readme.ts';

export const ADAPTER_CONFIG = 'adapter_config.json';
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
export const RECIPE = 'recipe.json';
export const METRICS = 'metrics.jsonl';
export const README = 'README.md';

/** The files by name, as they lie in the zip. The same run gives the same bytes. An adapter made elsewhere has no recipe and no metrics. */
export function buildAdapterFiles(input: ReadmeInput): Map<string, Uint8Array> {
  const { configJson, safetensors } = writePeftAdapter(input.state);
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  return new Map([
    [ADAPTER_CONFIG, text(configJson)],
    [ADAPTER_WEIGHTS, safetensors],
    ...(input.recipe === null ? [] : [
      [RECIPE, text(`${JSON.stringify(input.recipe, null, 2)}\n`)],
      [METRICS, text(metricsJsonl(input.metrics))],
    ] as const),
    [README, text(adapterReadme(input))],
  ]);
}

/** What a person sees of one file: `detail` says what was compared, or what differs. */
export interface FileCheck {
  file: string;
  bytes: number;
  ok: boolean;
  detail: string;
}

export interface Verification {
  /** The adapter as it was read back; null where it could not be. */
  state: AdapterState | null;
  checks: FileCheck[];
  ok: boolean;
}

/**
 * Reads `files` (best: unpacked from the finished zip) back and compares them with what they should hold.
 * Never throws: whatever is wrong becomes a check that failed. `base` as for readPeftAdapter.
 */
export async function verifyAdapterFiles(
  files: ReadonlyMap<string, Uint8Array>, expected: AdapterState, recipe: Recipe | null, base?: BaseModel,
): Promise<Verification> {
  let state: AdapterState | null = null;
  const checks = [
    await check(files, ADAPTER_WEIGHTS, async (bytes) => {
      const configJson = parseJson(decode(files.get(ADAPTER_CONFIG) ?? new Uint8Array()), ADAPTER_CONFIG);
      const back = await readPeftAdapter(configJson, await openSafetensors(sourceFromBytes(bytes, ADAPTER_WEIGHTS)), base);
      state = back;
      compareTensors(back, expected);
      return `${back.tensors.size} tensors, every value read back bit for bit.`;
    }),
    await check(files, ADAPTER_CONFIG, () => {
      if (state === null) throw new Error('Not compared, since the tensors could not be read.');
      compareConfig(state, expected);
      return `Rank ${state.r}, alpha ${state.loraAlpha}, ${state.targetModules.length} target modules, as in memory.`;
    }),
    ...(recipe === null ? [] : await checkRun(files, recipe)),
    await check(files, README, (bytes) => {
      if (!decode(bytes).includes('PeftModel.from_pretrained')) throw new Error('The lines that load the adapter are missing.');
      return 'How to load the adapter with PEFT.';
    }),
  ];
  const ok = checks.every((c) => c.ok);
  return { state: ok ? state : null, checks, ok };
}

/** What only an adapter trained here has beside its weights. */
async function checkRun(files: ReadonlyMap<string, Uint8Array>, recipe: Recipe): Promise<FileCheck[]> {
  return [
    await check(files, RECIPE, (bytes) => {
      const back = readRecipe(parseJson(decode(bytes), RECIPE));
      if (back.refused.length > 0) throw new Error(`Refused when read back: ${back.refused.join('; ')}.`);
      if (JSON.stringify(back.recipe) !== JSON.stringify(readRecipe(recipe).recipe)) throw new Error('Differs from the recipe of the run.');
      return 'The recipe of the run.';
    }),
    await check(files, METRICS, (bytes) => {
      const lines = decode(bytes).split('\n').slice(0, -1);
      for (const line of lines) parseJson(line, METRICS);
      return `${lines.length} logged ${lines.length === 1 ? 'step' : 'steps'}.`;
    }),
  ];
}

async function check(files: ReadonlyMap<string, Uint8Array>, file: string, compare: (bytes: Uint8Array) => string | Promise<string>): Promise<FileCheck> {
  const bytes = files.get(file);
  if (!bytes) return { file, bytes: 0, ok: false, detail: 'Missing.' };
  try {
    return { file, bytes: bytes.byteLength, ok: true, detail: await compare(bytes) };
  } catch (error) {
    return { file, bytes: bytes.byteLength, ok: false, detail: toUserMessage(error).what };
  }
}

/** Same keys, same shapes, same bits (so that -0 is not 0). */
function compareTensors(back: AdapterState, expected: AdapterState): void {
  if (back.tensors.size !== expected.tensors.size) throw new Error(`${back.tensors.size} tensors instead of ${expected.tensors.size}.`);
  for (const [key, { shape, data }] of expected.tensors) {
    const read = back.tensors.get(key);
    if (!read || read.shape[0] !== shape[0] || read.shape[1] !== shape[1] || read.data.length !== data.length) throw new Error(`${key} is missing or has another shape.`);
    const wanted = bits(data);
    const got = bits(read.data);
    const at = wanted.findIndex((value, i) => value !== got[i]);
    if (at >= 0) throw new Error(`${key} differs at index ${at}: ${read.data[at]} instead of ${data[at]}.`);
  }
}

function compareConfig(back: AdapterState, expected: AdapterState): void {
  for (const field of ['r', 'loraAlpha', 'useRslora', 'loraDropout', 'baseModelNameOrPath', 'revision'] as const) {
    if (back[field] !== expected[field]) throw new Error(`${field} is ${String(back[field])} instead of ${String(expected[field])}.`);
  }
  for (const field of ['rankPattern', 'alphaPattern'] as const) {
    const [got, wanted] = [back, expected].map((state) => Object.entries(state[field]).map(([pattern, value]) => `${pattern}: ${value}`).toSorted((a, b) => a.localeCompare(b)).join(', '));
    if (got !== wanted) throw new Error(`${field} is ${got} instead of ${wanted}.`);
  }
  const list = (state: AdapterState) => [...state.targetModules].sort().join(', ');
  if (list(back) !== list(expected)) throw new Error(`Target modules are ${list(back)} instead of ${list(expected)}.`);
}

const bits = (data: Float32Array): Uint32Array => new Uint32Array(data.buffer, data.byteOffset, data.length);
const decode = (bytes: Uint8Array): string => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

/** A file name of letters, digits and - only, e.g. smollm2-135m-alpaca-r16-lora.zip. */
export const exportFileName = (recipe: Recipe): string =>
  zipName(recipe.model.name.split('/').at(-1) ?? '', recipe.dataset.name.replace(/\.(jsonl?|csv)$/i, ''), recipe.lora.r);

/** The same for an adapter made elsewhere, by the name it was dropped under. */
export const convertedFileName = (name: string, r: number): string => zipName(name.replace(/\.zip$/i, ''), '', r);

function zipName(model: string, dataset: string, r: number): string {
  const plain = (text: string) => text.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-+|-+$/g, '').toLowerCase().slice(0, 40);
  return `${[...new Set([plain(model), plain(dataset), `r${r}`])].filter((part) => part !== '').join('-')}-lora.zip`;
}
