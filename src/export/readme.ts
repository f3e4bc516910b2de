/**
 * Owns the README.md inside a download: how to load the adapter with PEFT, how its prompts are written, what it was
 * trained with and what came out. Every figure comes from the run; where there is none, none is given.
 */
import { loadSnippet, pythonString } from '../config/loadSnippet.ts';
import type { Recipe } from '../config/recipe.ts';
import type { AdapterState } from '../formats/peftAdapter.ts';
import type { LoggedStep } from './metricsJsonl.ts';

export interface ReadmeInput {
  state: AdapterState;
  /** Null for an adapter made elsewhere: nobody told how. */
  recipe: Recipe | null;
  metrics: readonly LoggedStep[];
  /** A question as the run's template renders it, ready for an answer; generation stops after any of `stopIds`. Null without a recipe. */
  prompt: { question: string; rendered: string; stopIds: number[] } | null;
  /** The link that opens the studio with this recipe; null where there is no page. */
  shareLink: string | null;
}

const TEMPLATE_NAMES: Record<Recipe['data']['template'], string> = {
  model: 'the base model’s own chat template', chatml: 'ChatML', llama3: 'the Llama 3 template', alpaca: 'the Alpaca template',
};

export function adapterReadme(input: ReadmeInput): string {
  return input.recipe === null || input.prompt === null ? convertedReadme(input.state) : trainedReadme({ ...input, recipe: input.recipe, prompt: input.prompt });
}

function convertedReadme(state: AdapterState): string {
  const base = state.baseModelNameOrPath ?? 'the-base-model';
  return [
    frontMatter(/^[\w.-]+\/[\w.-]+$/.test(base) ? base : null),
    '# LoRA adapter',
    `Made elsewhere for ${base}, and written anew by Etude in PEFT’s plain form: every adapted module is named, with the rank and strength it has. The numbers are those of the file it came from.`,
    '## Load it',
    fenced('python', loadSnippet(base, undefined, state.revision)),
    '## What it is',
    table(loraRows(state)),
    'How it was trained is not known here.',
  ].join('\n\n') + '\n';
}

type Trained = ReadmeInput & { recipe: Recipe; prompt: NonNullable<ReadmeInput['prompt']> };

function trainedReadme(input: Trained): string {
  const { state, recipe, shareLink } = input;
  const base = state.baseModelNameOrPath ?? recipe.model.name;
  const onHub = recipe.model.source === 'hub';
  return [
    frontMatter(onHub ? base : null),
    '# LoRA adapter',
    `Trained with Etude in a browser, on ${base}. The files are PEFT’s own: \`adapter_config.json\` and \`adapter_model.safetensors\`.`,
    '## Load it',
    fenced('python', loadSnippet(base, undefined, state.revision)),
    onHub ? '' : `\`${base}\` stands for the folder that holds the base model on your disk${recipe.model.source === 'builtin' ? ': the folder `builtin/model` of Etude' : ''}.`,
    '## Ask it something',
    `Prompts were rendered with ${TEMPLATE_NAMES[recipe.data.template]}. Write them the same way, or the adapter answers worse than it can:`,
    fenced('python', generateSnippet(base, input.prompt)),
    '## How it was trained',
    settingsTable(input),
    'All settings are in `recipe.json`, every logged step is in `metrics.jsonl`.',
    shareLink === null ? '' : `Open the same recipe in Etude: <${shareLink}>`,
  ].filter((part) => part !== '').join('\n\n') + '\n';
}

/** The card's metadata as the Hugging Face hub reads it. */
const frontMatter = (base: string | null): string =>
  ['---', 'library_name: peft', 'pipeline_tag: text-generation', 'tags:', '- lora', '- sft', ...(base === null ? [] : [`base_model: ${JSON.stringify(base)}`]), '---'].join('\n');

const generateSnippet = (base: string, { rendered, stopIds }: Trained['prompt']): string => [
  'from transformers import AutoTokenizer',
  `tokenizer = AutoTokenizer.from_pretrained(${pythonString(base)})`,
  `prompt = ${pythonString(rendered)}`,
  'inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)',
  `answer = model.generate(**inputs, max_new_tokens=256, do_sample=False${stopIds.length > 0 ? `, eos_token_id=[${stopIds.join(', ')}]` : ''})`,
  'print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))',
].join('\n');

function settingsTable({ state, recipe, metrics }: Trained): string {
  const { training, data } = recipe;
  const last = metrics.at(-1);
  const validations = metrics.flatMap((m) => m.evalLoss ?? []);
  const rows: [string, string][] = [
    ...loraRows(state),
    ['learning rate', `${training.learningRate}, ${training.lrSchedulerType}`],
    ['batch', `${training.perDeviceTrainBatchSize} x ${training.gradientAccumulationSteps} rows, at most ${data.maxLength} tokens each`],
    ['dataset', recipe.dataset.name],
    ['seed', String(training.seed)],
    ...(last ? [['steps', String(last.step)], ['tokens', String(last.numTokens)], ['last training loss', last.loss.toFixed(4)]] as [string, string][] : []),
    ...(validations.length > 0 ? [['best validation loss', Math.min(...validations).toFixed(4)]] as [string, string][] : []),
  ];
  return table(rows);
}

const loraRows = (state: AdapterState): [string, string][] => [
  ['rank, alpha, dropout', `${state.r}, ${state.loraAlpha}, ${state.loraDropout}${state.useRslora ? ', rank-stabilised' : ''}`],
  ...patternRow('ranks of some modules', state.rankPattern),
  ...patternRow('alphas of some modules', state.alphaPattern),
  ['target modules', [...new Set(state.targetModules.map((target) => target.split('.').at(-1)!))].join(', ')],
];

/** At most eight of them; adapter_config.json has all. */
function patternRow(name: string, pattern: Record<string, number>): [string, string][] {
  const entries = Object.entries(pattern);
  if (entries.length === 0) return [];
  return [[name, entries.slice(0, 8).map(([path, value]) => `${path}: ${value}`).join(', ') + (entries.length > 8 ? `, and ${entries.length - 8} more` : '')]];
}

function table(rows: readonly [string, string][]): string {
  return ['| | |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value.replaceAll('|', '\\|')} |`)].join('\n');
}

/** A code block whose fence is longer than any run of backticks in it. */
function fenced(language: string, code: string): string {
  const longest = Math.max(2, ...(code.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${code}\n${fence}`;
}
