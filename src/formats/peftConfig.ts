/**
 * Owns adapter_config.json: what of it we read, what we refuse by name, and what we write.
 * Anything a field could switch on that the engine does not compute is refused, known to us or not:
 * PEFT adds fields with each version, and a field ignored is an adapter that answers differently.
 * Checked against PEFT 0.21 (tuners/lora/config.py).
 */
import { EtudeError } from '../config/errors.ts';
import type { TargetRules, ValuePattern } from './peftTargets.ts';

export interface PeftConfig {
  r: number;
  loraAlpha: number;
  useRslora: boolean;
  loraDropout: number;
  /** Suffixes such as q_proj, or module paths. */
  targetModules: string[];
  /** Rank and alpha of modules that differ from `r` and `loraAlpha`, by suffix or module path. */
  rankPattern: Record<string, number>;
  alphaPattern: Record<string, number>;
  baseModelNameOrPath: string | null;
  /** Commit, branch or tag of the base; null where none is named. */
  revision: string | null;
}

/** What a file says, before its rules are laid on a model's modules. */
export interface PeftSettings extends Omit<PeftConfig, 'targetModules' | 'rankPattern' | 'alphaPattern'> {
  rules: TargetRules;
  ranks: ValuePattern;
  alphas: ValuePattern;
}

/** Fields whose value changes nothing about what a saved adapter computes. */
const HARMLESS = new Set(['auto_mapping', 'inference_mode', 'peft_version', 'megatron_core', 'qalora_group_size', 'ensure_weight_tying', 'eva_config']);
/** Starting points that leave the base weights as they are; the others (pissa, olora, loftq ..) need a changed base. */
const PLAIN_INITS = [true, false, 'gaussian', 'eva', 'orthogonal'];
/** What a field of PEFT switches on, for those a person may have chosen. */
const FEATURES: Record<string, string> = {
  use_dora: 'DoRA, which also learns the length of every weight', lora_bias: 'biases inside LoRA', modules_to_save: 'whole layers trained beside LoRA',
  trainable_token_indices: 'new embeddings for some tokens', target_parameters: 'LoRA on single parameters', layer_replication: 'layers repeated to make a deeper model',
  alora_invocation_tokens: 'activated LoRA, which answers differently after certain tokens', use_qalora: 'QALoRA', fan_in_fan_out: 'weights stored transposed',
  megatron_config: 'Megatron’s parallel layers', arrow_config: 'a router over several adapters', use_bdlora: 'block-diagonal LoRA', kasa_config: 'KaSA, which changes the base weights',
  monteclora_config: 'MonteCLoRA', velora_config: 'VeLoRA', loftq_config: 'LoftQ, which changes the base weights', corda_config: 'CorDA, which changes the base weights', lora_ga_config: 'LoRA-GA, which changes the base weights',
};

const refused = (what: string, expected: string, likelyCause = 'The adapter was made with a variant of LoRA that Etude does not compute.'): EtudeError =>
  new EtudeError({
    code: 'adapter.config',
    what: `adapter_config.json: ${what}`,
    expected,
    likelyCause,
    nextStep: 'Use a plain LoRA adapter, as PEFT saves it with its default settings.',
  });

/** `json` is the parsed adapter_config.json. */
export function parsePeftConfig(json: unknown): PeftSettings {
  if (!isObject(json)) throw refused('it is not a JSON object.', 'The file PEFT saves beside adapter_model.safetensors.', 'The file is damaged.');
  const {
    peft_type, task_type, base_model_name_or_path: base, revision, r, lora_alpha: alpha, lora_dropout: dropout = 0, use_rslora: rslora = false, bias = 'none', init_lora_weights: init = true,
    target_modules: targets, exclude_modules: excluded, layers_to_transform: layers, layers_pattern: layersPattern, rank_pattern: ranks, alpha_pattern: alphas, ...others
  } = json;
  if (peft_type !== 'LORA') throw refused(`peft_type is ${text(peft_type)}.`, 'LORA.', 'This is another kind of adapter.');
  if (task_type !== 'CAUSAL_LM' && task_type !== null && task_type !== undefined) {
    throw refused(`task_type is ${text(task_type)}.`, 'CAUSAL_LM.', 'The adapter was made for another task than writing text.');
  }
  if (!isRank(r)) throw refused(`r is ${text(r)}.`, 'A whole number from 1.', 'The file was edited.');
  if (!isStrength(alpha)) throw refused(`lora_alpha is ${text(alpha)}.`, 'A number above 0.', 'The file was edited.');
  if (!isNumber(dropout) || dropout < 0 || dropout >= 1) throw refused(`lora_dropout is ${text(dropout)}.`, 'A share from 0 to below 1.', 'The file was edited.');
  if (typeof rslora !== 'boolean') throw refused(`use_rslora is ${text(rslora)}.`, 'true or false.', 'The file was edited.');
  if (bias !== 'none') throw refused(`bias is ${text(bias)}: it changes the base’s biases.`, 'none.');
  if (!PLAIN_INITS.includes(init as string | boolean)) {
    throw refused(`init_lora_weights is ${text(init)}.`, `One of ${PLAIN_INITS.join(', ')}.`, 'This start changes the base weights, which an adapter alone does not hold.');
  }
  for (const [field, value] of Object.entries(others)) {
    if (HARMLESS.has(field) || isOff(value)) continue;
    const feature = Object.hasOwn(FEATURES, field) ? ` (${FEATURES[field]})` : '';
    throw refused(`${text(field)} is ${text(value)}${feature}.`, `${text(field)} switched off.`);
  }
  return {
    r, loraAlpha: alpha, useRslora: rslora, loraDropout: dropout,
    baseModelNameOrPath: typeof base === 'string' ? base : null,
    revision: typeof revision === 'string' ? revision : null,
    rules: parseRules(targets, excluded, layers, layersPattern),
    ranks: parsePattern('rank_pattern', ranks, isRank, 'A whole number from 1 for each pattern.'),
    alphas: parsePattern('alpha_pattern', alphas, isStrength, 'A number above 0 for each pattern.'),
  };
}

function parseRules(targets: unknown, excluded: unknown, layers: unknown, layersPattern: unknown): TargetRules {
  if (!isNames(targets) && !(typeof targets === 'string' && targets !== '')) {
    throw refused(`target_modules is ${text(targets)}.`, 'A list of module names, such as q_proj, or a pattern.', 'The file was edited.');
  }
  const list = (field: string, value: unknown): string[] | string => {
    if (value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)) return [];
    if (isNames(value) || typeof value === 'string') return value;
    throw refused(`${field} is ${text(value)}.`, 'A list of names.', 'The file was edited.');
  };
  const patterns = list('layers_pattern', layersPattern);
  const chosen = layers === undefined || layers === null || (Array.isArray(layers) && layers.length === 0) ? null : Array.isArray(layers) ? layers as unknown[] : [layers];
  if (chosen?.some((layer) => !Number.isSafeInteger(layer) || (layer as number) < 0)) {
    throw refused(`layers_to_transform is ${text(layers)}.`, 'Numbers of layers, from 0.', 'The file was edited.');
  }
  if (typeof targets === 'string' && (chosen || patterns.length > 0)) {
    throw refused(`target_modules is the pattern ${text(targets)}, and layers are chosen besides.`, 'Layers chosen by the pattern alone, as PEFT asks.', 'The file was edited.');
  }
  if (!chosen && patterns.length > 0) throw refused(`layers_pattern is ${text(layersPattern)} without layers_to_transform.`, 'Both or neither, as PEFT asks.', 'The file was edited.');
  return {
    targetModules: typeof targets === 'string' ? targets : [...new Set(targets)],
    excludeModules: list('exclude_modules', excluded),
    layersToTransform: chosen as number[] | null,
    layersPattern: typeof patterns === 'string' ? [patterns] : patterns,
  };
}

function parsePattern(field: string, value: unknown, isFit: (v: unknown) => v is number, expected: string): ValuePattern {
  if (value === undefined || value === null) return [];
  if (!isObject(value)) throw refused(`${field} is ${text(value)}.`, 'Patterns of module names with a value each.', 'The file was edited.');
  return Object.entries(value).map(([pattern, v]) => {
    if (!isFit(v) || pattern === '') throw refused(`${field} gives ${text(pattern)} the value ${text(v)}.`, expected, 'The file was edited.');
    return [pattern, v] as const;
  });
}

/** The file as PEFT writes it: keys in order, indented by two. Only fields that every PEFT since 0.9 knows. */
export function writePeftConfig(config: PeftConfig): string {
  return JSON.stringify({
    alpha_pattern: sorted(config.alphaPattern),
    auto_mapping: null,
    base_model_name_or_path: config.baseModelNameOrPath,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: config.loraAlpha,
    lora_dropout: config.loraDropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: config.r,
    rank_pattern: sorted(config.rankPattern),
    revision: config.revision,
    target_modules: [...config.targetModules].sort(),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: config.useRslora,
  }, null, 2);
}

/** null, false, and empty lists, objects and texts all mean "not used". */
function isOff(value: unknown): boolean {
  if (value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

const sorted = (pattern: Record<string, number>): Record<string, number> => Object.fromEntries(Object.entries(pattern).sort(([a], [b]) => (a < b ? -1 : 1)));

const isRank = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;
const isStrength = (value: unknown): value is number => isNumber(value) && value > 0;
const isNames = (value: unknown): value is string[] => Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === 'string' && v !== '');
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function text(value: unknown): string {
  const written = typeof value === 'string' ? value : JSON.stringify(value) ?? 'missing';
  return written.length > 80 ? `${written.slice(0, 77)}...` : written;
}
