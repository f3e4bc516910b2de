/** The recipe under the hand: valid at all times; what is typed but not valid yet is kept apart, by path. */
import { create } from 'zustand';
import { defaultRecipe, recipeSchema, type Recipe } from '../config/recipe.ts';
import { readStored, writeStored } from './persist.ts';

export type RecipeMode = 'simple' | 'advanced' | 'json';
export type RecipeGroup = 'data' | 'lora' | 'training';

interface RecipeState {
  recipe: Recipe;
  mode: RecipeMode;
  /** Changed by hand since the last reset, so nothing replaces it without being asked. */
  touched: boolean;
  /** Path ("training.learningRate") to the text in its field that the schema does not take. */
  invalid: Record<string, string>;
  /** Text of the JSON view while it is not a recipe, and why. */
  jsonDraft: { text: string; problem: string } | null;
}

const stored = recipeSchema.safeParse(readStored('recipe'));

export const useRecipe = create<RecipeState>(() => ({
  recipe: stored.success ? stored.data : defaultRecipe(),
  touched: stored.success && readStored('recipeTouched') === true,
  mode: 'simple', invalid: {}, jsonDraft: null,
}));

function keep(recipe: Recipe, touched: boolean): void {
  writeStored('recipe', recipe);
  writeStored('recipeTouched', touched);
  useRecipe.setState({ recipe, touched });
}

export const setRecipeMode = (mode: RecipeMode): void => useRecipe.setState({ mode });

/** Replaces the whole recipe; it was validated by the caller. */
export function setRecipe(recipe: Recipe, touched = true): void {
  keep(recipe, touched);
  useRecipe.setState({ invalid: {}, jsonDraft: null });
}

/** Stores a setting where the schema takes it; otherwise keeps `text`, what was typed, beside the recipe. True when stored. */
export function setSetting(group: RecipeGroup, key: string, value: unknown, text = String(value)): boolean {
  const path = `${group}.${key}`;
  const { recipe, invalid } = useRecipe.getState();
  const parsed = recipeSchema.safeParse({ ...recipe, [group]: { ...recipe[group], [key]: value } });
  const { [path]: _, ...others } = invalid;
  if (parsed.success) {
    keep(parsed.data, true);
    useRecipe.setState({ invalid: others });
    return true;
  }
  useRecipe.setState({ invalid: { ...others, [path]: text } });
  return false;
}

/** Takes the JSON view's text as the recipe once it is one; until then keeps it with what is wrong. */
export function setRecipeJson(text: string): void {
  const read = readRecipeJson(text);
  if (typeof read === 'string') useRecipe.setState({ jsonDraft: { text, problem: read } });
  else setRecipe(read);
}

function readRecipeJson(text: string): Recipe | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `Not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  const parsed = recipeSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return issue ? `${issue.path.join('.') || 'recipe'}: ${issue.message}` : 'Not a recipe.';
}

/** Which model and data the recipe is for: facts, not choices, so they do not count as touching it. */
export function recordSources(model: Recipe['model'] | null, dataset: Recipe['dataset'] | null): void {
  const { recipe, touched } = useRecipe.getState();
  const next = recipeSchema.safeParse({ ...recipe, ...(model ? { model } : {}), ...(dataset ? { dataset } : {}) });
  if (next.success) keep(next.data, touched);
}
