import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { countLoraParameters, countSteps, type ProjectionSizes } from '../../src/config/forecast.ts';
import { defaultRecipe, recipeSchema, TARGET_MODULES, toRecipeName, type TargetModule } from '../../src/config/recipe.ts';
import { boundsInWords, checkSetting, formatSetting, getSetting, settings, withSetting } from '../../src/config/settings.ts';

describe('the list of settings', () => {
  it('holds every setting of the recipe with label and help', () => {
    const recipe = defaultRecipe();
    const paths = (['lora', 'training', 'data'] as const).flatMap((group) => Object.keys(recipe[group]).map((name) => `${group}.${name}`));
    expect([...settings().keys()]).toEqual(paths);
    for (const setting of settings().values()) {
      expect(setting.label.length, setting.path).toBeGreaterThan(2);
      expect(setting.help.length, setting.path).toBeGreaterThan(10);
      expect(setting.default, setting.path).toEqual(getSetting(recipe, setting.path));
    }
  });

  it('every default is allowed and usual', () => {
    for (const setting of settings().values()) expect(checkSetting(setting.path, setting.default), setting.path).toEqual({ error: null, unusual: null });
  });

  it('every usual range lies within the bounds', () => {
    for (const setting of settings().values()) {
      for (const end of setting.usual ?? []) expect(checkSetting(setting.path, end), setting.path).toEqual({ error: null, unusual: null });
    }
  });

  it('the four simple settings are epochs, learning rate, rank and maximum length', () => {
    expect([...settings().values()].filter((s) => s.simple).map((s) => s.path).sort()).toEqual(['data.maxLength', 'lora.r', 'training.learningRate', 'training.numTrainEpochs']);
  });

  it.each<[string, unknown, string]>([
    ['lora.r', 0, 'A whole number from 1 to 256.'],
    ['lora.r', 257, 'A whole number from 1 to 256.'],
    ['lora.r', 8.5, 'A whole number from 1 to 256.'],
    ['lora.r', '8', 'A whole number from 1 to 256.'],
    ['lora.r', undefined, 'A whole number from 1 to 256.'],
    ['training.learningRate', 0, 'A number above 0 and at most 1.'],
    ['training.learningRate', Number.NaN, 'A number above 0 and at most 1.'],
    ['training.warmupSteps', -1, 'A whole number from 0 to 1,000,000, or empty.'],
    ['training.lrSchedulerType', 'polynomial', 'One of linear, cosine, constant.'],
    ['lora.targetModules', [], 'At least one of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, each once.'],
    ['lora.targetModules', ['q_proj', 'q_proj'], 'At least one of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, each once.'],
    ['training.shuffle', 1, 'On or off.'],
  ])('%s = %s is refused with the bounds in words', (path, value, words) => {
    expect(checkSetting(path, value)).toEqual({ error: words, unusual: null });
  });

  it('an unusual value is allowed with a line of advice', () => {
    expect(checkSetting('training.learningRate', 5e-3)).toEqual({ error: null, unusual: 'Unusual. Most runs use 1e-4 to 3e-4.' });
    expect(checkSetting('lora.r', 64).unusual).toBe('Unusual. Most runs use 8 to 32.');
    expect(checkSetting('data.maxLength', 2048).unusual).toBe('Unusual. Most runs use 256 to 1,024.');
    expect(checkSetting('training.warmupSteps', null)).toEqual({ error: null, unusual: null });
  });

  it('the bounds in words are those of the schema', () => {
    for (const setting of settings().values()) {
      if (setting.kind !== 'integer' && setting.kind !== 'number') continue;
      expect(checkSetting(setting.path, setting.max).error, setting.path).toBeNull();
      expect(checkSetting(setting.path, setting.max + 1).error, setting.path).toBe(boundsInWords(setting));
      expect(checkSetting(setting.path, setting.min).error === null, setting.path).toBe(!setting.aboveMin);
      expect(checkSetting(setting.path, setting.min - 1).error, setting.path).toBe(boundsInWords(setting));
    }
  });

  it('a changed setting leaves the rest and the original alone', () => {
    const before = defaultRecipe();
    const after = withSetting(before, 'lora.r', 8);
    expect(after).toEqual({ ...before, lora: { ...before.lora, r: 8 } });
    expect(before).toEqual(defaultRecipe());
    expect(() => withSetting(before, 'lora.__proto__', 1)).toThrow(RangeError);
  });

  it('numbers read as a person writes them', () => {
    expect([2e-4, 1e-8, 0.05, 1024, 0, 0.9999].map(formatSetting)).toEqual(['2e-4', '1e-8', '0.05', '1,024', '0', '0.9999']);
  });
});

describe('a name in a recipe', () => {
  it('can be made of any text, and stays readable', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      const dataset = { source: 'file', name: toRecipeName(text) };
      expect(recipeSchema.shape.dataset.safeParse(dataset).success).toBe(true);
    }));
    expect(toRecipeName('my data, v2 (1).jsonl')).toBe('my data_ v2 (1).jsonl');
    expect(toRecipeName('x'.repeat(199) + '\u{1F600}')).toBe(`${'x'.repeat(199)}_`);
    expect(toRecipeName('https://a/b')).toBe('https_a/b');
  });
});

describe('the defaults', () => {
  it('are the seed text’s, and the rest as issue 2 sets them', () => {
    expect(defaultRecipe()).toMatchObject({
      lora: { r: 16, loraAlpha: 32, targetModules: ['q_proj', 'k_proj', 'v_proj', 'o_proj'], loraDropout: 0.05, useRslora: false },
      training: {
        numTrainEpochs: 3, perDeviceTrainBatchSize: 4, gradientAccumulationSteps: 4, learningRate: 2e-4, warmupRatio: 0.05, lrSchedulerType: 'linear',
        maxGradNorm: 1, weightDecay: 0, packing: false, validationSplit: 0, loggingSteps: 1, seed: 42, adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8,
      },
      data: { maxLength: 1024 },
    });
  });

  it('the built-in example trains 480 rows in 120 steps with 6 of warm-up', () => {
    const recipe = builtinRecipe();
    expect(recipeSchema.parse(recipe)).toEqual(recipe);
    expect(countSteps(480, recipe.training)).toEqual({ batchesPerEpoch: 60, stepsPerEpoch: 60, totalSteps: 120, warmupSteps: 6 });
    const sizes: ProjectionSizes = { hiddenSize: 128, intermediateSize: 384, numHiddenLayers: 4, numAttentionHeads: 4, numKeyValueHeads: 2, headDim: 32 };
    expect(countLoraParameters(sizes, recipe.lora)).toBe(77_824);
  });
});

describe('the count of steps', () => {
  const training = defaultRecipe().training;

  it('counts a last small batch and a last partial window', () => {
    expect(countSteps(999, training)).toEqual({ batchesPerEpoch: 250, stepsPerEpoch: 63, totalSteps: 189, warmupSteps: 10 });
    expect(countSteps(1, training)).toEqual({ batchesPerEpoch: 1, stepsPerEpoch: 1, totalSteps: 3, warmupSteps: 1 });
    expect(countSteps(16, training).stepsPerEpoch).toBe(1);
    expect(countSteps(17, training).stepsPerEpoch).toBe(2);
  });

  it('rounds part of an epoch up to a whole step', () => {
    expect(countSteps(999, { ...training, numTrainEpochs: 0.5 }).totalSteps).toBe(32);
  });

  it('lets maximum steps win over epochs, and steps of warm-up over the share', () => {
    expect(countSteps(999, { ...training, maxSteps: 20 })).toMatchObject({ totalSteps: 20, warmupSteps: 1 });
    expect(countSteps(10, { ...training, maxSteps: 500 }).totalSteps).toBe(500);
    expect(countSteps(999, { ...training, warmupSteps: 0 }).warmupSteps).toBe(0);
    expect(countSteps(999, { ...training, warmupSteps: 7 }).warmupSteps).toBe(7);
  });

  it('is nothing for no rows', () => {
    expect(countSteps(0, { ...training, maxSteps: 20 })).toEqual({ batchesPerEpoch: 0, stepsPerEpoch: 0, totalSteps: 0, warmupSteps: 0 });
  });
});

describe('the count of trainable parameters', () => {
  const attention: TargetModule[] = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];
  it.each<[string, ProjectionSizes, number, number]>([
    ['SmolLM2-135M', { hiddenSize: 576, intermediateSize: 1536, numHiddenLayers: 30, numAttentionHeads: 9, numKeyValueHeads: 3, headDim: 64 }, 1_843_200, 4_884_480],
    ['Qwen3-0.6B', { hiddenSize: 1024, intermediateSize: 3072, numHiddenLayers: 28, numAttentionHeads: 16, numKeyValueHeads: 8, headDim: 128 }, 4_587_520, 10_092_544],
    ['Llama-3.2-1B', { hiddenSize: 2048, intermediateSize: 8192, numHiddenLayers: 16, numAttentionHeads: 32, numKeyValueHeads: 8, headDim: 64 }, 3_407_872, 11_272_192],
  ])('for %s is what PEFT reports', (_, sizes, qkvo, all) => {
    expect(countLoraParameters(sizes, { r: 16, targetModules: attention })).toBe(qkvo);
    expect(countLoraParameters(sizes, { r: 16, targetModules: [...TARGET_MODULES] })).toBe(all);
  });
});
