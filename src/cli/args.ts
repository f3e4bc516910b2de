/** The words after `npm run finetune --`, as values; a wrong one is refused with what was expected. */
import { parseArgs } from 'node:util';
import { EtudeError } from '../config/errors.ts';
import { QUANTIZATIONS, type Quantization } from '../config/recipe.ts';
import { NODE_GPU_KINDS, type NodeGpuKind } from './nodeGpu.ts';

export const FINETUNE_USAGE = `Trains a LoRA adapter and writes it as a PEFT folder.

  npm run finetune -- --model <folder|org/name|builtin> --data <file|org/name|builtin> --out <folder> [options]

  --model    folder with config.json, *.safetensors and tokenizer files, a model of the Hugging Face hub as
             org/name or org/name@revision, or 'builtin'
  --data     .jsonl, .json, .csv, .tsv, .parquet or text file, a dataset of the Hugging Face hub as org/name or
             org/name@revision, or 'builtin'
  --data-config, --data-split  which part of a dataset of the hub; without them its default and train
  --out      folder for adapter_config.json, adapter_model.safetensors, README.md, recipe.json and metrics.jsonl
  --quantization  none (default), int8 or nf4: shrinks the frozen weights on the GPU
  --recipe   recipe file (JSON) or share link; without it the defaults, or the built-in example's own
  --adapter  PEFT adapter folder to start from
  --runtime  browser (headless Chromium, default) or node (Dawn)
  --device   auto (default), gpu, swiftshader, or with --runtime node also lavapipe
  --overwrite  write into a folder that already holds files
  --help

  HF_TOKEN     token for gated models and datasets; goes to the hub's host alone
  HF_ENDPOINT  another host that speaks the hub's protocol
  ETUDE_CACHE  folder for what is downloaded`;

export interface FinetuneArgs {
  model: string;
  data: string;
  /** Null: not said. */
  dataConfig: string | null;
  dataSplit: string | null;
  out: string;
  recipe: string | null;
  /** Null: as the recipe says. */
  quantization: Quantization | null;
  adapter: string | null;
  runtime: 'browser' | 'node';
  device: NodeGpuKind;
  overwrite: boolean;
}

function badArgument(what: string, expected: string): EtudeError {
  return new EtudeError({ code: 'cli.argument', what, expected, nextStep: 'npm run finetune -- --help lists every option.' });
}

function isOneOf<T extends string>(value: string, choices: readonly T[]): value is T {
  return (choices as readonly string[]).includes(value);
}

function choice<T extends string>(option: string, value: string, choices: readonly T[]): T {
  if (isOneOf(value, choices)) return value;
  throw badArgument(`--${option} is '${value}'.`, `One of ${choices.join(', ')}.`);
}

const OPTIONS = {
  model: { type: 'string' },
  data: { type: 'string' },
  'data-config': { type: 'string' },
  'data-split': { type: 'string' },
  out: { type: 'string' },
  recipe: { type: 'string' },
  quantization: { type: 'string' },
  adapter: { type: 'string' },
  runtime: { type: 'string', default: 'browser' },
  device: { type: 'string', default: 'auto' },
  overwrite: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** The run asked for, or 'help'. Throws EtudeError 'cli.argument'. */
export function parseFinetuneArgs(args: string[]): FinetuneArgs | 'help' {
  let values;
  try {
    ({ values } = parseArgs({ args, options: OPTIONS, strict: true, allowPositionals: false }));
  } catch (error) {
    throw badArgument(error instanceof Error ? error.message : String(error), `Options: ${Object.keys(OPTIONS).map((name) => `--${name}`).join(' ')}`);
  }
  if (values.help) return 'help';
  const required = (option: 'model' | 'data' | 'out', expected: string): string => {
    const value = values[option];
    if (value === undefined || value === '') throw badArgument(`--${option} is missing.`, expected);
    return value;
  };
  const runtime = choice('runtime', values.runtime, ['browser', 'node'] as const);
  const device = choice('device', values.device, NODE_GPU_KINDS);
  if (runtime === 'browser' && device === 'lavapipe') {
    throw badArgument('--device lavapipe does not work with --runtime browser.', 'auto, gpu or swiftshader; or --runtime node.');
  }
  return {
    model: required('model', "A model folder, org/name on the hub, or 'builtin'."),
    data: required('data', "A file, org/name on the hub, or 'builtin'."),
    dataConfig: values['data-config'] ?? null,
    dataSplit: values['data-split'] ?? null,
    out: required('out', 'A folder to write the adapter to.'),
    recipe: values.recipe ?? null,
    quantization: values.quantization === undefined ? null : choice('quantization', values.quantization, QUANTIZATIONS),
    adapter: values.adapter ?? null,
    runtime,
    device,
    overwrite: values.overwrite,
  };
}
