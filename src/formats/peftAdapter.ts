/**
 * Owns a LoRA adapter as PEFT stores it: tensor keys, shapes, and that config and tensors say the same.
 * PEFT loads leniently (a wrong prefix only warns, tensors outside target_modules are dropped, missing ones start anew);
 * here every such case is refused by name, so that what was read is the whole adapter. Knows nothing of GPUs.
 */
import { EtudeError } from '../config/errors.ts';
import { TARGET_MODULES, type TargetModule } from '../config/recipe.ts';
import { firstNonFinite, isFloatDtype, widenToF32 } from './halfFloats.ts';
import { PatternError } from './pathPattern.ts';
import { parsePeftConfig, writePeftConfig, type PeftConfig, type PeftSettings } from './peftConfig.ts';
import { endings, patternLookup, targetTest, type TargetRules } from './peftTargets.ts';
import { readBytes, writeSafetensors, type SafetensorsFile, type TensorEntry, type TensorToWrite } from './safetensors.ts';

export interface AdapterState extends PeftConfig {
  /** Under PEFT's keys; A is [r, in], B is [out, r], row-major. */
  tensors: Map<string, { shape: [number, number]; data: Float32Array }>;
}

/** One projection of one layer, with its own rank and strength. */
export interface AdapterTarget {
  layer: number;
  module: TargetModule;
  r: number;
  loraAlpha: number;
}

/** What is known of the base model an adapter is read onto. */
export interface BaseModel {
  modules: LoraModules;
  /** As adapter_config.json would name it; told where the two differ. */
  name?: string;
}

/** The projections of a base model that can carry LoRA: path (model.layers.0.self_attn.q_proj) to [out, in]. */
export type LoraModules = ReadonlyMap<string, readonly [out: number, inFeatures: number]>;

const PREFIX = 'base_model.model.';
const KEY = /^base_model\.model\.(model\.layers\.(0|[1-9]\d{0,3})\.(?:self_attn|mlp)\.(\w+))\.lora_([AB])\.weight$/;

const refused = (code: string, what: string, expected: string, likelyCause: string): EtudeError =>
  new EtudeError({ code: `adapter.${code}`, what, expected, likelyCause, nextStep: 'Check that adapter_config.json and adapter_model.safetensors come from the same save, and import both again.' });

/** The modules that PEFT's keys speak of, in order of layers. */
export function adaptedModules(keys: Iterable<string>): { path: string; layer: number; module: TargetModule }[] {
  const modules = [...keys].filter((key) => key.endsWith('.lora_A.weight')).map((key) => {
    const match = KEY.exec(key)!;
    return { path: match[1]!, layer: Number(match[2]), module: match[3] as TargetModule };
  });
  const order = (m: { layer: number; module: TargetModule }) => m.layer * TARGET_MODULES.length + TARGET_MODULES.indexOf(m.module);
  return modules.sort((a, b) => order(a) - order(b));
}

/** Every adapted module with its rank and strength, in order of layers. */
export function adapterTargets(state: AdapterState): AdapterTarget[] {
  const alphaOf = patternLookup(Object.entries(state.alphaPattern), state.loraAlpha);
  return adaptedModules(state.tensors.keys()).map(({ path, layer, module }) => (
    { layer, module, r: state.tensors.get(`${PREFIX}${path}.lora_A.weight`)!.shape[0], loraAlpha: alphaOf(path) }));
}

/**
 * Names for exactly the modules of `values`, and patterns for the values that differ from `fallback`: suffixes where a
 * projection is the same throughout, full paths otherwise. PEFT adapts whatever ends with a name, so a suffix stands only
 * where all `candidates` with that ending are meant.
 */
export function canonicalNames(paths: readonly string[], candidates: Iterable<string>): string[] {
  const has = new Set(paths);
  const suffix = (path: string) => path.slice(path.lastIndexOf('.') + 1);
  const suffixes = new Set(paths.map(suffix));
  return [...candidates].every((path) => has.has(path) === suffixes.has(suffix(path))) ? [...suffixes] : [...paths];
}

/** The entries of rank_pattern or alpha_pattern that give each path its value. */
export function canonicalPattern(values: ReadonlyMap<string, number>, fallback: number): Record<string, number> {
  const bySuffix = new Map<string, Map<string, number>>();
  for (const [path, value] of values) {
    const suffix = path.slice(path.lastIndexOf('.') + 1);
    bySuffix.set(suffix, (bySuffix.get(suffix) ?? new Map()).set(path, value));
  }
  const pattern: Record<string, number> = {};
  for (const [suffix, paths] of bySuffix) {
    const distinct = new Set(paths.values());
    if (distinct.size === 1) {
      const [value] = distinct as unknown as [number];
      if (value !== fallback) pattern[suffix] = value;
    } else for (const [path, value] of paths) if (value !== fallback) pattern[path] = value;
  }
  return pattern;
}

/**
 * `configJson` is the parsed adapter_config.json. With `base`, shapes and layers are checked against the base model;
 * without, target_modules must hold in every layer up to the highest stored one.
 * Whatever form the file's rules have (suffixes, paths, a pattern, chosen layers), the state names the same modules plainly.
 */
export async function readPeftAdapter(configJson: unknown, file: SafetensorsFile, base?: BaseModel): Promise<AdapterState> {
  const settings = parsePeftConfig(configJson);
  try {
    return await readState(settings, file, base);
  } catch (error) {
    if (error instanceof PatternError) throw refused('config', `adapter_config.json holds a pattern of module names that is not understood: ${error.message}.`, 'Names of modules, or a plain pattern.', 'The pattern uses a rarer part of Python’s syntax.');
    throw error;
  }
}

async function readState(settings: PeftSettings, file: SafetensorsFile, base?: BaseModel): Promise<AdapterState> {
  const { rules, ranks, alphas, ...rest } = settings;
  const pairs = pairUp(file.tensors);
  const stored = [...pairs.keys()];
  const candidates = base ? [...base.modules.keys()] : projectionsUpTo(stored);
  const origin = baseInWords(settings, base);
  checkCoverage(rules, stored, candidates, origin);
  const rankOf = patternLookup(ranks, settings.r);
  const alphaOf = patternLookup(alphas, settings.loraAlpha);
  const tensors: AdapterState['tensors'] = new Map();
  for (const [path, pair] of pairs) {
    const [a, b] = checkPair(path, pair, rankOf(path), base?.modules.get(path), origin);
    tensors.set(a.name, { shape: [a.shape[0]!, a.shape[1]!], data: await readFinite(a) });
    tensors.set(b.name, { shape: [b.shape[0]!, b.shape[1]!], data: await readFinite(b) });
  }
  const plain = Array.isArray(rules.targetModules) && rules.layersToTransform === null && rules.excludeModules.length === 0;
  const valuesOf = (of: (path: string) => number) => new Map(stored.map((path) => [path, of(path)]));
  return {
    ...rest,
    targetModules: plain ? [...(rules.targetModules as readonly string[])] : canonicalNames(stored, candidates),
    rankPattern: canonicalPattern(valuesOf(rankOf), settings.r),
    alphaPattern: canonicalPattern(valuesOf(alphaOf), settings.loraAlpha),
    tensors,
  };
}

/** "adapter_config.json names X as its base model; Y is loaded.", or nothing where they agree or one is not known. */
function baseInWords({ baseModelNameOrPath }: PeftSettings, base?: BaseModel): string {
  if (!base?.name || baseModelNameOrPath === null || baseModelNameOrPath === base.name) return '';
  return ` adapter_config.json names ${few([baseModelNameOrPath])} as its base model; ${base.name} is loaded.`;
}

interface Pair {
  A?: TensorEntry;
  B?: TensorEntry;
}

/** Tensors by the module they belong to. */
function pairUp(tensors: ReadonlyMap<string, TensorEntry>): Map<string, Pair> {
  const pairs = new Map<string, Pair>();
  for (const [key, entry] of tensors) {
    const match = KEY.exec(key);
    if (!match) throw wrongKey(key);
    const [, path, , module, matrix] = match as unknown as [string, string, string, string, 'A' | 'B'];
    const room = (TARGET_MODULES as readonly string[]).indexOf(module) < 4 ? 'self_attn' : 'mlp';
    if (!(TARGET_MODULES as readonly string[]).includes(module) || !path.includes(`.${room}.`)) throw wrongKey(key);
    const pair = pairs.get(path) ?? {};
    pair[matrix] = entry;
    pairs.set(path, pair);
  }
  if (pairs.size === 0) throw refused('empty', 'adapter_model.safetensors holds no tensors.', 'A pair lora_A and lora_B for each adapted projection.', 'The save was interrupted.');
  return pairs;
}

function wrongKey(key: string): EtudeError {
  const name = key.length > 160 ? `${key.slice(0, 157)}...` : key;
  return refused(
    'key',
    `The adapter holds a tensor named ${name}, which is none that Etude adapts.`,
    `${PREFIX}model.layers.{N}.{self_attn|mlp}.{${TARGET_MODULES.join('|')}}.lora_{A|B}.weight`,
    key.startsWith(PREFIX) ? 'The adapter also changes other parts of the model, or carries the name of its adapter in its keys.' : 'The keys have another prefix; PEFT would only warn and use the base model alone.',
  );
}

/** Stored modules and those the rules adapt must be the same set. `origin` as baseInWords gives it. */
function checkCoverage(rules: TargetRules, stored: readonly string[], candidates: readonly string[], origin: string): void {
  const isTargeted = targetTest(rules);
  const outside = stored.filter((path) => !isTargeted(path));
  if (outside.length > 0) {
    throw refused(
      'narrow', `target_modules leaves out ${outside.length} of ${stored.length} modules that have tensors: ${few(outside)}.`,
      'target_modules that cover every stored tensor.', 'adapter_config.json was edited or belongs to another adapter. PEFT would drop these tensors without a word.',
    );
  }
  const candidateSet = new Set(candidates);
  const beyond = stored.filter((path) => !candidateSet.has(path));
  if (beyond.length > 0) {
    throw refused('beyond', `The adapter has tensors for ${beyond.length} modules that this model does not have: ${few(beyond)}.`, 'An adapter of this very model.', `The adapter was made for a larger model.${origin}`);
  }
  const possible = new Set(candidates.flatMap((path) => endings(path.split('.'))));
  const unknown = typeof rules.targetModules === 'string' ? [] : rules.targetModules.filter((target) => !possible.has(target));
  if (unknown.length > 0) {
    throw refused('unknownTarget', `target_modules names ${few(unknown)}, which is no projection of this model.`, `Suffixes or paths of ${TARGET_MODULES.join(', ')}.`, `The adapter was made for another model, or adapts parts that Etude does not.${origin}`);
  }
  const has = new Set(stored);
  const absent = candidates.filter((path) => isTargeted(path) && !has.has(path));
  if (absent.length > 0) {
    throw refused(
      'wide', `target_modules covers ${absent.length} modules that have no tensors: ${few(absent)}.`,
      'A pair of tensors for every module that target_modules covers.', `The file is incomplete, or the adapter was made for a smaller model.${origin}`,
    );
  }
}

function projectionsUpTo(stored: readonly string[]): string[] {
  const layers = Math.max(...stored.map((path) => Number(path.split('.')[2]))) + 1;
  return Array.from({ length: layers }, (_, layer) => TARGET_MODULES.map((module, i) => `model.layers.${layer}.${i < 4 ? 'self_attn' : 'mlp'}.${module}`)).flat();
}

function checkPair(path: string, pair: Pair, r: number, shape: readonly [number, number] | undefined, origin: string): [TensorEntry, TensorEntry] {
  const { A, B } = pair;
  if (!A || !B) {
    throw refused('pair', `${path} has lora_${A ? 'A' : 'B'} but no lora_${A ? 'B' : 'A'}.`, 'Both matrices of every adapted module.', 'The file is incomplete.');
  }
  const inFeatures = shape?.[1] ?? A.shape[1];
  const out = shape?.[0] ?? B.shape[0];
  const wrong = (entry: TensorEntry, wanted: string) => refused(
    'shape', `${entry.name} is [${entry.shape.join(', ')}].`, `[${wanted}], with r = ${r} from adapter_config.json${shape ? ' and the sizes of the loaded model' : ''}.`,
    `The adapter was made for another model, or its rank was edited.${origin}`,
  );
  if (A.shape.length !== 2 || A.shape[0] !== r || A.shape[1] !== inFeatures || inFeatures === 0) throw wrong(A, `${r}, ${shape ? inFeatures : 'inputs'}`);
  if (B.shape.length !== 2 || B.shape[0] !== out || B.shape[1] !== r || out === 0) throw wrong(B, `${shape ? out : 'outputs'}, ${r}`);
  return [A, B];
}

async function readFinite(entry: TensorEntry): Promise<Float32Array> {
  if (!isFloatDtype(entry.dtype)) throw refused('dtype', `${entry.name} is stored as ${entry.dtype}.`, 'F32, BF16 or F16.', 'The adapter was quantised.');
  const bytes = await readBytes(entry);
  const at = firstNonFinite(bytes, entry.dtype);
  if (at >= 0) throw refused('notFinite', `${entry.name} holds a value that is not a number, at index ${at}.`, 'Finite numbers only.', 'The training that made the adapter failed, or the file is damaged.');
  return widenToF32(bytes, entry.dtype);
}

export interface AdapterFiles {
  /** adapter_config.json */
  configJson: string;
  /** adapter_model.safetensors */
  safetensors: Uint8Array<ArrayBuffer>;
}

/** The two files PEFT loads. Throws when targetModules and tensors differ, since PEFT would drop the difference silently. */
export function writePeftAdapter(state: AdapterState): AdapterFiles {
  const tensors = new Map([...state.tensors].map(([key, { shape, data }]): [string, TensorToWrite] => [key, { dtype: 'F32', shape, data }]));
  const stored = [...new Set([...tensors.keys()].map((key) => {
    const match = KEY.exec(key);
    if (!match) throw wrongKey(key);
    return match[1]!;
  }))];
  const rules: TargetRules = { targetModules: state.targetModules, excludeModules: [], layersToTransform: null, layersPattern: [] };
  checkCoverage(rules, stored, projectionsUpTo(stored), '');
  const rankOf = patternLookup(Object.entries(state.rankPattern), state.r);
  for (const [key, { shape }] of state.tensors) {
    const path = KEY.exec(key)![1]!;
    const rank = key.includes('.lora_A.') ? shape[0] : shape[1];
    if (rankOf(path) !== rank) throw refused('shape', `${key} has rank ${rank}, but the settings give it ${rankOf(path)}.`, 'r and rank_pattern that say what is stored.', 'The adapter was put together wrongly.');
  }
  return { configJson: writePeftConfig(state), safetensors: writeSafetensors(tensors, { format: 'pt' }) };
}

/** The first three names of a list. */
const few = (names: readonly string[]): string => names.slice(0, 3).map((n) => (n.length > 120 ? `${n.slice(0, 117)}...` : n)).join(', ') + (names.length > 3 ? ', ...' : '');
