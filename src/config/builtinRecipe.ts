/**
 * Owns the recipe of the built-in example. Its model has a million parameters and its rows 53 tokens at most, so it takes
 * a smaller rank, a far higher rate and a shorter row than the defaults: 480 rows x 2 epochs / 8 = 120 steps.
 */
import { recipeSchema, TARGET_MODULES, type Recipe } from './recipe.ts';

export const builtinRecipe = (): Recipe => recipeSchema.parse({
  model: { source: 'builtin', name: 'builtin' },
  dataset: { source: 'builtin', name: 'builtin' },
  data: { template: 'model', maxLength: 64 },
  lora: { r: 8, loraAlpha: 16, targetModules: [...TARGET_MODULES], loraDropout: 0 },
  training: { numTrainEpochs: 2, perDeviceTrainBatchSize: 8, gradientAccumulationSteps: 1, learningRate: 5e-3, warmupRatio: 0.05 },
} satisfies { [K in keyof Recipe]?: Partial<Recipe[K]> });
