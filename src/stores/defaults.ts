/** Which recipe suits the model and data in use, as long as nobody has chosen otherwise. */
import { BUILTIN_DATA, BUILTIN_MODEL } from '../config/builtin.ts';
import { builtinRecipe } from '../config/builtinRecipe.ts';
import { mappingSchema } from '../config/mapping.ts';
import { defaultRecipe, recipeSchema, recordOfHub, toRecipeName, type Recipe } from '../config/recipe.ts';
import { currentDataset, useData } from './data.ts';
import { useModel } from './model.ts';
import { recordSources, setRecipe, useRecipe } from './recipe.ts';
import type { DatasetSummary, ModelSummary } from './types.ts';


/** The recipe nobody has touched: the built-in one for the built-in pair, else the defaults, cut to what the model can read. */
export function untouchedRecipe(model: ModelSummary | null, dataset: DatasetSummary | null): Recipe {
  if (model?.source === 'builtin' && dataset?.source === 'builtin') return builtinRecipe();
  const recipe = defaultRecipe();
  return model ? { ...recipe, data: { ...recipe.data, maxLength: Math.min(recipe.data.maxLength, model.maxPositionEmbeddings) } } : recipe;
}

/** A model without a chat template of its own needs another: one whose control tokens it knows, else plain text. */
export function usableTemplate(recipe: Recipe, model: ModelSummary): Recipe['data']['template'] {
  if (recipe.data.template !== 'model' || model.hasChatTemplate) return recipe.data.template;
  return model.knownTemplates.find((t) => t !== 'model') ?? 'alpaca';
}

/** Fits the recipe to what is loaded: the defaults where nobody chose, a template the model has, the names of both. */
export function adaptRecipe(): void {
  const model = useModel.getState().summary;
  const dataset = currentDataset(useData.getState());
  if (!useRecipe.getState().touched) setRecipe(untouchedRecipe(model, dataset), false);
  if (model) {
    const { recipe, touched } = useRecipe.getState();
    const template = usableTemplate(recipe, model);
    if (template !== recipe.data.template) setRecipe(recipeSchema.parse({ ...recipe, data: { ...recipe.data, template } }), touched);
  }
  recordSources(
    model && (model.source === 'builtin' ? { source: 'builtin', name: BUILTIN_MODEL.name } : {
      source: model.source, name: toRecipeName(model.name),
      ...(model.revision === null ? {} : { revision: model.revision }), ...(model.quantization === 'none' ? {} : { quantization: model.quantization }),
    }),
    dataset && recordOf(dataset),
  );
}

/** A dataset as a recipe names it: with how its fields map, and of the hub with commit, config and split, so that a colleague can get it. */
function recordOf({ source, name, hub, mapping }: DatasetSummary): Recipe['dataset'] {
  if (source === 'builtin') return { source, name: BUILTIN_DATA.name };
  const fields = mappingSchema.safeParse(mapping);
  if (hub) return recordOfHub(hub, fields.data);
  return { source: 'file', name: toRecipeName(name), ...(fields.success ? { mapping: fields.data } : {}) };
}

/** Back to what nobody has touched. */
export function resetRecipe(): void {
  setRecipe(untouchedRecipe(useModel.getState().summary, currentDataset(useData.getState())), false);
  adaptRecipe();
}
