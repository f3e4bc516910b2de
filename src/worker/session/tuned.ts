/**
 * Owns the adapter that Try and Export speak of: trained here, reopened from a run, or imported.
 */
import { TARGET_MODULES, type LoraConfig, type Recipe } from '../../config/recipe.ts';
import { canonicalNames, canonicalPattern, type AdapterState } from '../../formats/peftAdapter.ts';
import { modulePath, type LoraAdapter, type LoraEntry } from '../../model/lora.ts';

export interface Tuned {
  adapter: LoraAdapter;
  /** Null for an imported adapter: nobody told how it was made. */
  recipe: Recipe | null;
  /** What an imported adapter's config names as its base. */
  base?: string | null;
  runId: string | null;
  name: string;
}

/** The adapter as PEFT would save it; reads the parameters back from the GPU. */
export async function stateOf(adapter: LoraAdapter, base: { name: string; revision: string | null }): Promise<AdapterState> {
  const { r, loraAlpha, useRslora, loraDropout } = adapter.config;
  const byPath = <T>(of: (entry: LoraEntry) => T) => new Map(adapter.entries.map((e) => [modulePath(e.layer, e.module), of(e)]));
  const paths = [...byPath(() => null).keys()];
  const everywhere = Array.from({ length: adapter.modelLayers }, (_, layer) => TARGET_MODULES.map((module) => modulePath(layer, module))).flat();
  return {
    r, loraAlpha, useRslora, loraDropout,
    targetModules: canonicalNames(paths, everywhere),
    rankPattern: canonicalPattern(byPath((e) => e.r), r),
    alphaPattern: canonicalPattern(byPath((e) => e.loraAlpha), loraAlpha),
    baseModelNameOrPath: base.name, revision: base.revision,
    tensors: await adapter.read(),
  };
}

/** An imported adapter's settings as a recipe has them. */
export const loraConfigOf = (state: AdapterState, modules: LoraConfig['targetModules']): LoraConfig => ({
  r: state.r, loraAlpha: state.loraAlpha, useRslora: state.useRslora, loraDropout: state.loraDropout, targetModules: modules,
});
