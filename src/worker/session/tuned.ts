/**
 * Owns the adapter that Try and Export speak of: trained here, reopened from a run, or imported.
 */
import type { LoraConfig, Recipe } from '../../config/recipe.ts';
import type { AdapterState } from '../../formats/peftAdapter.ts';
import type { LoraAdapter } from '../../model/lora.ts';

export interface Tuned {
  adapter: LoraAdapter;
  /** Null for an imported adapter: nobody told how it was made. */
  recipe: Recipe | null;
  runId: string | null;
  name: string;
}

/** The adapter as PEFT would save it; reads the parameters back from the GPU. */
export async function stateOf(adapter: LoraAdapter, baseModel: string): Promise<AdapterState> {
  const { r, loraAlpha, useRslora, loraDropout } = adapter.config;
  const tensors = await adapter.read();
  return { r, loraAlpha, useRslora, loraDropout, targetModules: targetNames(adapter), baseModelNameOrPath: baseModel, tensors };
}

/** Suffixes where a projection is adapted in every layer, full paths otherwise: PEFT adapts whatever ends with a name. */
function targetNames(adapter: LoraAdapter): string[] {
  const layers = new Set(adapter.entries.map((e) => e.layer));
  const modules = [...new Set(adapter.entries.map((e) => e.module))];
  const everywhere = adapter.entries.length === modules.length * adapter.modelLayers && layers.size === adapter.modelLayers;
  if (everywhere) return modules;
  return adapter.entries.map((e) => e.a.label.replace(/\.lora_A$/, ''));
}

/** An imported adapter's settings as a recipe has them. */
export const loraConfigOf = (state: AdapterState, modules: LoraConfig['targetModules']): LoraConfig => ({
  r: state.r, loraAlpha: state.loraAlpha, useRslora: state.useRslora, loraDropout: state.loraDropout, targetModules: modules,
});
