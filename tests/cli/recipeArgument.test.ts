import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { recipeFromArguments } from '../../src/cli/recipeArgument.ts';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { EtudeError } from '../../src/config/errors.ts';
import { defaultRecipe, recipeSchema } from '../../src/config/recipe.ts';
import { shareLink } from '../../src/config/shareUrl.ts';

const folder = mkdtempSync(join(tmpdir(), 'etude-recipe-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const own = { model: 'models/my model*', data: 'rows.jsonl' };
const code = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof EtudeError) return error.code;
    throw error;
  }
  return 'accepted';
};

describe('the recipe of a command-line run', () => {
  test('is the built-in example\'s own when model and data are built in, else the defaults', () => {
    expect(recipeFromArguments({ recipe: null, model: 'builtin', data: 'builtin' })).toEqual(builtinRecipe());
    const recipe = recipeFromArguments({ recipe: null, ...own });
    expect(recipe.training).toEqual(defaultRecipe().training);
  });

  test('names the model and data that are really used, in plain letters', () => {
    const recipe = recipeFromArguments({ recipe: null, ...own });
    expect(recipe.model).toEqual({ source: 'folder', name: 'my model_' });
    expect(recipe.dataset).toEqual({ source: 'file', name: 'rows.jsonl' });
    expect(recipeSchema.parse(recipe)).toEqual(recipe);
  });

  test('keeps the mapping of data it names, and of a dataset of the hub commit, config and split', () => {
    const mapping = { shape: 'table', instruction: 'q', output: 'a' };
    const of = (dataset: object, data: string) => recipeFromArguments({ recipe: file('mapped.json', JSON.stringify({ dataset })), model: 'builtin', data }).dataset;
    const named = { source: 'file', name: 'rows.jsonl', mapping };
    expect(of(named, 'there/rows.jsonl')).toEqual(named);
    expect(of(named, 'other.jsonl')).toEqual({ source: 'file', name: 'other.jsonl' });
    const hub = { source: 'hub', name: 'org/rows', revision: 'c'.repeat(40), config: 'en', split: 'train', mapping };
    expect(of(hub, 'org/rows@main')).toEqual(hub);
    expect(of(hub, 'org/else')).toEqual({ source: 'file', name: 'else' });
  });

  test('comes from a JSON file or from a share link alike', () => {
    const wanted = recipeSchema.parse({ lora: { r: 4 }, training: { maxSteps: 7, shuffle: false } });
    const fromFile = recipeFromArguments({ recipe: file('r.json', JSON.stringify(wanted)), ...own });
    const fromLink = recipeFromArguments({ recipe: shareLink('http://localhost/etude/', wanted), ...own });
    expect(fromFile).toEqual(fromLink);
    expect([fromFile.lora.r, fromFile.training.maxSteps, fromFile.training.shuffle]).toEqual([4, 7, false]);
  });

  test('has the weights in 8 or 4 bits where the recipe or --quantization says so; the words win', () => {
    const nf4 = file('nf4.json', JSON.stringify(recipeSchema.parse({ model: { source: 'folder', name: 'x', quantization: 'nf4' } })));
    const of = (quantization: 'none' | 'int8' | null, recipe: string | null = nf4) => recipeFromArguments({ recipe, ...own, quantization }).model;
    expect(of(null)).toEqual({ source: 'folder', name: 'my model_', quantization: 'nf4' });
    expect(of('int8').quantization).toBe('int8');
    expect(of('none')).toEqual({ source: 'folder', name: 'my model_' });
    expect(of(null, null)).toEqual({ source: 'folder', name: 'my model_' });
  });

  test('is refused as a whole when a setting is out of bounds, unreadable or absent', () => {
    expect(code(() => recipeFromArguments({ recipe: file('bad.json', '{"lora":{"r":9999}}'), ...own }))).toBe('recipe.refused');
    expect(code(() => recipeFromArguments({ recipe: file('unknown.json', '{"training":{"lr":1}}'), ...own }))).toBe('recipe.refused');
    expect(code(() => recipeFromArguments({ recipe: file('no.json', '{'), ...own }))).toBe('recipe.notJson');
    expect(code(() => recipeFromArguments({ recipe: join(folder, 'nothing.json'), ...own }))).toBe('recipe.missing');
    expect(code(() => recipeFromArguments({ recipe: 'http://localhost/#recipe=%%%', ...own }))).toBe('share.unreadable');
  });
});
