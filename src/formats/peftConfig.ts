/**
 * Owns adapter_config.json: what of it we read, what we refuse by name, and what we write.
 * Anything a field could switch on that the engine does not compute is refused, known to us or not:
 * PEFT adds fields with each version, and a field ignored is an adapter that answers differently.
 * Checked against PEFT 0.21 (tuners/lora/config.py).
 */
import { EtudeError } from '../config/errors.ts';

export interface PeftConfig {
  r: number;
  loraAlpha: number;
  useRslora: boolean;
  loraDropout: number;
  /** As in the file: suffixes such as q_proj, or module paths. */
  targetModules: string[];
  baseModelNameOrPath: string | null;
}

/** Fields whose value changes nothing about what a saved adapter computes. */
const HARMLESS = new Set([
  'auto_mapping', 'revision', 'inference_mode', 'peft_version', 'megatron_core', 'qalora_group_size', 'layers_pattern',
  'ensure_weight_tying', 'eva_config',
]);
/** Starting points that leave the base weights as they are; the others (pissa, olora, loftq ..) need a changed base. */
const PLAIN_INITS = [true, false, 'gaussian', 'eva', 'orthogonal'];

const refused = (what: string, expected: string, likelyCause = 'The adapter was made with a variant of LoRA that Etude does not compute.'): EtudeError =>
  new EtudeError({
    code: 'adapter.config',
    what: `adapter_config.json: ${what}`,
    expected,
    likelyCause,
    nextStep: 'Use a plain LoRA adapter, as PEFT saves it with its default settings.',
  });

/** `json` is the parsed adapter_config.json. */
export function parsePeftConfig(json: unknown): PeftConfig {
  if (!isObject(json)) throw refused('it is not a JSON object.', 'The file PEFT saves beside adapter_model.safetensors.', 'The file is damaged.');
  const {
    peft_type, task_type, base_model_name_or_path: base, r, lora_alpha: alpha, lora_dropout: dropout = 0, use_rslora: rslora = false,
    target_modules: targets, bias = 'none', init_lora_weights: init = true, ...others
  } = json;
  if (peft_type !== 'LORA') throw refused(`peft_type is ${text(peft_type)}.`, 'LORA.', 'This is another kind of adapter.');
  if (task_type !== 'CAUSAL_LM' && task_type !== null && task_type !== undefined) {
    throw refused(`task_type is ${text(task_type)}.`, 'CAUSAL_LM.', 'The adapter was made for another task than writing text.');
  }
  if (!Number.isSafeInteger(r) || (r as number) < 1) throw refused(`r is ${text(r)}.`, 'A whole number from 1.', 'The file was edited.');
  if (!isNumber(alpha) || alpha <= 0) throw refused(`lora_alpha is ${text(alpha)}.`, 'A number above 0.', 'The file was edited.');
  if (!isNumber(dropout) || dropout < 0 || dropout >= 1) throw refused(`lora_dropout is ${text(dropout)}.`, 'A share from 0 to below 1.', 'The file was edited.');
  if (typeof rslora !== 'boolean') throw refused(`use_rslora is ${text(rslora)}.`, 'true or false.', 'The file was edited.');
  if (bias !== 'none') throw refused(`bias is ${text(bias)}.`, 'none.');
  if (!PLAIN_INITS.includes(init as string | boolean)) {
    throw refused(`init_lora_weights is ${text(init)}.`, `One of ${PLAIN_INITS.join(', ')}.`, 'This start changes the base weights, which an adapter alone does not hold.');
  }
  for (const [field, value] of Object.entries(others)) {
    if (!HARMLESS.has(field) && !isOff(value)) throw refused(`${text(field)} is ${text(value)}.`, `${text(field)} switched off.`);
  }
  return {
    r: r as number,
    loraAlpha: alpha,
    useRslora: rslora,
    loraDropout: dropout,
    targetModules: parseTargets(targets),
    baseModelNameOrPath: typeof base === 'string' ? base : null,
  };
}

function parseTargets(targets: unknown): string[] {
  if (typeof targets === 'string') {
    throw refused(`target_modules is the pattern ${text(targets)}.`, 'A list of module names.', 'PEFT was given a pattern and kept it as one.');
  }
  if (!Array.isArray(targets) || targets.length === 0 || targets.some((t) => typeof t !== 'string' || t === '')) {
    throw refused(`target_modules is ${text(targets)}.`, 'A list of module names, such as q_proj.', 'The file was edited.');
  }
  return [...new Set(targets as string[])];
}

/** The file as PEFT writes it: keys in order, indented by two. Only fields that every PEFT since 0.9 knows. */
export function writePeftConfig(config: PeftConfig): string {
  return JSON.stringify({
    alpha_pattern: {},
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
    rank_pattern: {},
    revision: null,
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

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function text(value: unknown): string {
  const written = typeof value === 'string' ? value : JSON.stringify(value) ?? 'missing';
  return written.length > 80 ? `${written.slice(0, 77)}...` : written;
}
