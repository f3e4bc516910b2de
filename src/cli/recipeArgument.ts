/** The recipe of a command-line run: a JSON file, a share link, or the defaults. A setting that is refused stops the command. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { builtinRecipe } from '../config/builtinRecipe.ts';
import { EtudeError } from '../config/errors.ts';
import { readRecipe, type ReadRecipe } from '../config/readRecipe.ts';
import { defaultRecipe, toRecipeName, type Quantization, type Recipe } from '../config/recipe.ts';
import { decodeShare, hasShare } from '../config/shareUrl.ts';

function readFileOrLink(argument: string): ReadRecipe {
  if (existsSync(argument)) {
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(argument, 'utf8'));
    } catch (cause) {
      throw new EtudeError({
        code: 'recipe.notJson', what: `${argument} is not JSON.`, expected: 'A recipe as Recipe > JSON copies it, or recipe.json of an export.',
        likelyCause: cause instanceof Error ? cause.message : String(cause), nextStep: 'Copy the recipe again.',
      }, { cause });
    }
    return readRecipe(value);
  }
  if (!hasShare(argument)) {
    throw new EtudeError({
      code: 'recipe.missing', what: `There is no recipe at '${argument}'.`, expected: 'A JSON file, or a share link with #recipe= in it.',
      nextStep: 'Check the path; put a link in quotes, since a shell may cut it at #.',
    });
  }
  const shared = decodeShare(argument);
  if ('error' in shared) throw new EtudeError(shared.error);
  return shared;
}

/** Names in a recipe are plain: anything else becomes an underscore. */
const plainName = (path: string): string => basename(resolve(path)).replaceAll(/[^\p{L}\p{N} ._\-/@+():]/gu, '_').slice(0, 200);

/** The recipe pins a model of the hub, and it is the one asked for. */
const keepsHub = (recipe: Recipe, model: string): boolean => recipe.model.source === 'hub' && recipe.model.name === model.split('@', 1)[0];

/** What the recipe says of this data stays: its mapping, and of a dataset of the hub commit, config and split. */
function datasetNamed(dataset: Recipe['dataset'], data: string): Recipe['dataset'] {
  if (dataset.source === 'hub' && dataset.name === toRecipeName(data.split('@', 1)[0]!)) return dataset;
  const name = plainName(data);
  return { source: 'file', name, ...(dataset.source === 'file' && dataset.name === name && dataset.mapping ? { mapping: dataset.mapping } : {}) };
}

/** A whole recipe that names the model and data really used. */
export function recipeFromArguments(args: { recipe: string | null; model: string; data: string; quantization?: Quantization | null }): Recipe {
  const builtin = args.model === 'builtin' && args.data === 'builtin';
  let recipe = builtin ? builtinRecipe() : defaultRecipe();
  if (args.recipe !== null) {
    const read = readFileOrLink(args.recipe);
    if (read.refused.length > 0) {
      throw new EtudeError({
        code: 'recipe.refused', what: `${read.refused.length} setting${read.refused.length === 1 ? '' : 's'} of the recipe cannot be used: ${read.refused.join('; ')}.`,
        expected: 'Only settings that the studio knows, within their bounds.', nextStep: 'Correct or remove them; the rest keep their defaults.',
      });
    }
    recipe = read.recipe;
  }
  const quantization = args.quantization ?? recipe.model.quantization ?? 'none';
  const model: Recipe['model'] = args.model === 'builtin' ? { source: 'builtin', name: 'builtin' } : keepsHub(recipe, args.model) ? recipe.model : { source: 'folder', name: plainName(args.model) };
  const { quantization: _, ...named } = model;
  return {
    ...recipe,
    model: { ...named, ...(quantization === 'none' ? {} : { quantization }) },
    dataset: args.data === 'builtin' ? { source: 'builtin', name: 'builtin' } : datasetNamed(recipe.dataset, args.data),
  };
}
