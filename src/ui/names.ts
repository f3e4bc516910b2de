/** How models, datasets and settings are called on screen. */
import { BUILTIN_DATA, BUILTIN_MODEL } from '../config/builtin.ts';
import type { Quantization, Recipe, RecomputePolicy } from '../config/recipe.ts';
import type { DatasetSummary, Mapping, ModelSummary, RunStatus, TemplateId } from '../stores/types.ts';

type Named = { source: string; name: string };

export const modelTitle = (model: Named): string => (model.source === 'builtin' ? BUILTIN_MODEL.title : model.source === 'hub' ? model.name.slice(model.name.lastIndexOf('/') + 1) : model.name);
export const datasetTitle = (dataset: Pick<DatasetSummary, 'source' | 'name'>): string => (dataset.source === 'builtin' ? BUILTIN_DATA.title : dataset.name);

export const SHAPE_NAMES: Record<Mapping['shape'], string> = {
  alpaca: 'Alpaca', 'prompt-completion': 'Prompt and completion', messages: 'Messages', sharegpt: 'ShareGPT', table: 'Table', text: 'Plain text',
};

export const TEMPLATE_NAMES: Record<TemplateId, string> = {
  model: "the model's own template", chatml: 'ChatML', llama3: 'Llama 3', alpaca: 'Alpaca text',
};

export const QUANTIZATION_NAMES: Record<Quantization, string> = { none: 'as stored', int8: 'int8', nf4: '4-bit' };
export const QUANTIZATION_WORDS: Record<Quantization, string> = {
  none: 'The numbers of the file, bit for bit.',
  int8: 'About half the memory of bf16; answers differ slightly.',
  nf4: 'About a third of the memory of bf16; answers differ a little. The adapter is trained in full precision.',
};
export const POLICY_WORDS: Record<RecomputePolicy, string> = { none: 'Everything is kept', cheap: 'Cheap parts are computed again', layers: 'Whole layers are computed again' };

export const STATUS_NAMES: Record<RunStatus, string> = {
  running: 'Training', paused: 'Paused', stopped: 'Stopped', finished: 'Finished', failed: 'Ended by an error', interrupted: 'Interrupted',
};

export const DTYPE_BITS: Record<ModelSummary['dtype'], string> = { f32: 'f32', bf16: 'bf16', f16: 'f16' };

const SHORT_MODULES: Record<string, string> = {
  q_proj: 'q', k_proj: 'k', v_proj: 'v', o_proj: 'o', gate_proj: 'gate', up_proj: 'up', down_proj: 'down',
};

/** "all seven projections" or "q, k, v, o". */
export const modulesText = (modules: readonly string[]): string =>
  (modules.length === 7 ? 'all seven projections' : modules.map((m) => SHORT_MODULES[m] ?? m).join(', '));

/** "LoRA, rank 16". */
export const methodText = (recipe: Recipe): string => `LoRA, rank ${recipe.lora.r}`;
