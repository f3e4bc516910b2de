/**
 * Owns the reading of a recipe that someone else wrote (a link, a file): what the schemas allow is kept, everything else
 * is named and left out. The result is always a whole valid recipe; nothing in it is ever run or fetched.
 */
import type { z } from 'zod';
import { boundsInWords, settings } from './settings.ts';
import { dataConfigSchema, defaultRecipe, loraConfigSchema, recipeSchema, trainingConfigSchema, type Recipe } from './recipe.ts';

export interface ReadRecipe {
  recipe: Recipe;
  /** One line for each setting that was left out, with the reason. At most 20. */
  refused: string[];
}

const GROUPS = { data: dataConfigSchema, lora: loraConfigSchema, training: trainingConfigSchema } as const;
const MAX_REFUSED = 20;

/** `value` is parsed JSON of any shape; settings it does not name keep their defaults. */
export function readRecipe(value: unknown): ReadRecipe {
  const refused: string[] = [];
  const recipe: Record<string, unknown> = { ...defaultRecipe() };
  if (!isObject(value)) return { recipe: defaultRecipe(), refused: ['The recipe is not an object of settings.'] };
  for (const [key, given] of Object.entries(value)) {
    if (key === 'version' && given === 1) continue;
    if (Object.hasOwn(GROUPS, key)) {
      const group = key as keyof typeof GROUPS;
      recipe[group] = readGroup(group, given, refused);
    } else if (key === 'model' || key === 'dataset') {
      const result = recipeSchema.shape[key].safeParse(given);
      if (result.success) recipe[key] = result.data;
      else refused.push(`${key}: ${firstReason(result.error)}`);
    } else refused.push(`${shorten(key)}: ${key === 'version' ? 'made by another version of Etude' : 'unknown setting'}`);
  }
  const more = refused.length - MAX_REFUSED;
  return { recipe: recipeSchema.parse(recipe), refused: more > 0 ? [...refused.slice(0, MAX_REFUSED), `and ${more} more`] : refused };
}

function readGroup(group: keyof typeof GROUPS, given: unknown, refused: string[]): Record<string, unknown> {
  const kept: Record<string, unknown> = { ...defaultRecipe()[group] };
  if (!isObject(given)) {
    refused.push(`${group}: not an object of settings`);
    return kept;
  }
  const shape: Record<string, z.ZodType> = GROUPS[group].shape;
  for (const [name, value] of Object.entries(given)) {
    const path = `${group}.${shorten(name)}`;
    if (!Object.hasOwn(shape, name)) {
      refused.push(`${path}: unknown setting`);
      continue;
    }
    const result = shape[name]!.safeParse(value);
    if (result.success) kept[name] = result.data;
    else refused.push(`${path}: ${shorten(JSON.stringify(value))}. ${boundsInWords(settings().get(path)!)}`);
  }
  return kept;
}

const firstReason = (error: z.ZodError): string => shorten(error.issues[0]?.message ?? 'not allowed', 120);
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const shorten = (text: string, most = 60): string => (text.length > most ? `${text.slice(0, most - 3)}...` : text);
