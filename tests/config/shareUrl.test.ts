import { deflateSync } from 'fflate';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { readRecipe } from '../../src/config/readRecipe.ts';
import { defaultRecipe, recipeSchema, TARGET_MODULES, TEMPLATE_IDS, type Recipe } from '../../src/config/recipe.ts';
import { decodeShare, encodeShare, hasShare, shareLink } from '../../src/config/shareUrl.ts';
import { settings, type Setting } from '../../src/config/settings.ts';
import { runs } from '../setup/fuzz.ts';

const pack = (text: string | Uint8Array): string =>
  `#recipe=${Buffer.from(deflateSync(typeof text === 'string' ? new TextEncoder().encode(text) : text)).toString('base64url')}`;

function decoded(fragment: string): { recipe: Recipe; refused: string[] } {
  const result = decodeShare(fragment);
  if ('error' in result) throw new Error(result.error.what);
  return result;
}

const nameText = fc.string({ unit: fc.constantFrom(...Array.from('abzAZ09 ._-/@+():éß漢')), maxLength: 200 }).filter((name) => !name.includes('://'));
const groupName = nameText.map((name) => name.slice(0, 80)).filter((name) => name !== '');

/** Any value the schema of a setting allows. */
function allowed(setting: Setting): fc.Arbitrary<unknown> {
  switch (setting.kind) {
    case 'boolean': return fc.boolean();
    case 'choice': return fc.constantFrom(...setting.options);
    case 'choices': return fc.subarray(setting.options, { minLength: 1 });
    case 'table': {
      const { min, max, whole } = setting;
      return fc.dictionary(groupName, whole ? fc.integer({ min, max }) : fc.double({ min, max, noNaN: true }), { maxKeys: 32 });
    }
    case 'integer':
    case 'number': {
      const { min, max, aboveMin, nullable } = setting;
      const number = setting.kind === 'integer' ? fc.integer({ min, max }) : fc.double({ min, max, minExcluded: aboveMin, noNaN: true });
      return nullable ? fc.option(number) : number;
    }
  }
}
const group = (name: Setting['group']) =>
  fc.record(Object.fromEntries([...settings().values()].filter((s) => s.group === name).map((s) => [s.name, fc.oneof({ weight: 2, arbitrary: fc.constant(s.default) }, allowed(s))])));
const anyRecipe = fc.record({
  version: fc.constant(1),
  model: fc.record({ source: fc.constantFrom('builtin', 'folder', 'hub'), name: nameText, revision: fc.stringMatching(/^[\w.\-/]{0,64}$/) }, { requiredKeys: ['source', 'name'] }),
  dataset: fc.record({ source: fc.constantFrom('builtin', 'file'), name: nameText }),
  data: group('data'), lora: group('lora'), training: group('training'),
}) as unknown as fc.Arbitrary<Recipe>;

describe('a share link', () => {
  it('brings any valid recipe back unchanged', () => {
    fc.assert(fc.property(anyRecipe, (recipe) => {
      const valid = recipeSchema.parse(recipe);
      expect(decoded(encodeShare(valid))).toEqual({ recipe: JSON.parse(JSON.stringify(valid)), refused: [] });
    }), { numRuns: runs(300) });
  });

  it('carries only what differs from the defaults, and is short enough for a chat', () => {
    expect(encodeShare(defaultRecipe()).length).toBeLessThan(20);
    expect(encodeShare(builtinRecipe()).length).toBeLessThan(300);
    const everything = recipeSchema.parse({
      model: { source: 'hub', name: 'HuggingFaceTB/SmolLM2-135M-Instruct', revision: 'main' }, dataset: { source: 'file', name: 'alpaca_en_demo.json' },
      data: { template: 'chatml', maxLength: 513 }, lora: { r: 7, loraAlpha: 13, targetModules: ['q_proj'], loraDropout: 0.11, useRslora: true },
      training: { numTrainEpochs: 2.5, maxSteps: 77, perDeviceTrainBatchSize: 3, gradientAccumulationSteps: 5, learningRate: 1.23e-4, lrSchedulerType: 'cosine', warmupRatio: 0.07, warmupSteps: 9, weightDecay: 0.013, adamBeta1: 0.91, adamBeta2: 0.98, adamEpsilon: 1e-7, maxGradNorm: 0.7, seed: 12345, shuffle: false, packing: true, validationSplit: 0.13, evalSteps: 17, loggingSteps: 3, saveSteps: 19 },
    });
    expect(encodeShare(everything).length).toBeLessThan(900);
  });

  it('lives in the fragment alone, and replaces the one that was there', () => {
    const link = shareLink('https://example.org/etude/?x=1#train', builtinRecipe());
    const url = new URL(link);
    expect(url.origin + url.pathname + url.search).toBe('https://example.org/etude/?x=1');
    expect(url.hash).toMatch(/^#recipe=[\w-]+$/);
    expect(decoded(link).recipe).toEqual(builtinRecipe());
    expect(decoded(url.hash.slice(1)).recipe).toEqual(builtinRecipe());
  });

  it('is told from other fragments', () => {
    expect(['', '#', '#train', '#recipes=1', 'https://example.org/#/recipe'].map(hasShare)).toEqual([false, false, false, false, false]);
    expect(['#recipe=', '#recipe=xyz', '#step=train&recipe=xyz'].map(hasShare)).toEqual([true, true, true]);
  });
});

describe('a link that was changed', () => {
  it('names every setting it refuses and keeps the rest', () => {
    const { recipe, refused } = decoded(pack(JSON.stringify({
      version: 1,
      lora: { r: 999, loraAlpha: 64, rank: 8 },
      training: { learningRate: '2e-4', seed: 7, hfToken: 'hf_abc' },
      dataset: { source: 'https://evil.example/data.json', name: 'x' },
      model: { source: 'hub', name: '<img src=x onerror=alert(1)>' },
      onload: 'fetch("https://evil.example")',
    })));
    expect(recipe).toEqual(recipeSchema.parse({ lora: { loraAlpha: 64 }, training: { seed: 7 } }));
    expect(refused).toHaveLength(7);
    expect(refused).toContain('lora.r: 999. A whole number from 1 to 256.');
    expect(refused).toContain('lora.rank: unknown setting');
    expect(refused).toContain('training.learningRate: "2e-4". A number above 0 and at most 1.');
    expect(refused).toContain('training.hfToken: unknown setting');
    expect(refused).toContain('onload: unknown setting');
    expect(refused.filter((line) => line.startsWith('dataset: ') || line.startsWith('model: '))).toHaveLength(2);
  });

  it.each<[string, string, string]>([
    ['nothing', '', 'carries no recipe'],
    ['another fragment', '#train', 'carries no recipe'],
    ['no characters', '#recipe=', 'cannot be read'],
    ['characters outside of base64url', '#recipe=%3Cscript%3E', 'cannot be read'],
    ['bytes that are not deflated', '#recipe=AAAAAAAA', 'cannot be read'],
    ['text that is not JSON', pack('alert(1)'), 'cannot be read'],
    ['broken UTF-8', pack(Uint8Array.of(0x22, 0xff, 0x22)), 'cannot be read'],
    ['a list', pack('[1,2]'), 'other than a recipe'],
    ['a text', pack('"javascript:alert(1)"'), 'other than a recipe'],
    ['null', pack('null'), 'other than a recipe'],
    ['a million characters', `#recipe=${'A'.repeat(1_000_000)}`, '1000000 characters long'],
    ['five megabytes packed into 6,800 characters', pack('['.repeat(5_000_000)), 'unpacks to more than'],
    ['half of a link', encodeShare(builtinRecipe()).slice(0, 60), 'cannot be read'],
  ])('with %s is refused in words', (_, fragment, words) => {
    const result = decodeShare(fragment);
    expect(result).toMatchObject({ error: { code: 'share.unreadable', nextStep: expect.any(String) } });
    expect('error' in result && result.error.what).toContain(words);
  });

  it('of another version says so', () => {
    expect(decoded(pack('{"version":2,"lora":{"r":8}}'))).toMatchObject({ recipe: { version: 1, lora: { r: 8 } }, refused: ['version: made by another version of Etude'] });
  });

  it('cannot reach the prototypes of objects', () => {
    const attack = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"lora":{"__proto__":{"r":8,"polluted":1},"toString":1},"training":{"constructor":{"prototype":{"polluted":1}}}}';
    const { recipe, refused } = decoded(pack(attack));
    expect(recipe).toEqual(defaultRecipe());
    expect(refused).toHaveLength(5);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.getPrototypeOf(recipe.lora)).toBe(Object.prototype);
  });

  it('with thousands of unknown settings names twenty', () => {
    const { refused } = readRecipe(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`k${i}`.repeat(50), 'x'.repeat(100)])));
    expect(refused).toHaveLength(21);
    expect(refused[20]).toBe('and 2980 more');
    expect(Math.max(...refused.map((line) => line.length))).toBeLessThan(300);
  });
});

describe('anything a link could carry', () => {
  /** Valid JSON near a recipe: known names with wrong values, wrong names with known values, hostile texts. */
  const hostile = fc.constantFrom('__proto__', 'constructor', 'prototype', 'javascript:alert(1)', '<script>alert(1)</script>', 'https://evil.example/x', 'x'.repeat(5000), '\u0000', '../../etc/passwd');
  const leaf = fc.oneof(fc.jsonValue(), hostile, fc.double(), fc.constantFrom(null, 1e308, -0, '', [], {}));
  const keys = fc.oneof(fc.constantFrom('version', 'model', 'dataset', 'data', 'lora', 'training', 'source', 'name', 'revision', ...[...settings().values()].map((s) => s.name)), hostile, fc.string());
  const nearRecipe = fc.dictionary(keys, fc.oneof(leaf, fc.dictionary(keys, leaf, { maxKeys: 8 })), { maxKeys: 8 });

  function checkOutcome(fragment: string): void {
    const result = decodeShare(fragment);
    if ('error' in result) {
      expect(result.error.code).toBe('share.unreadable');
      return;
    }
    // Parsing again proves that nothing outside of the schema is in it: strict objects refuse unknown keys.
    expect(recipeSchema.parse(result.recipe)).toEqual(result.recipe);
    expect(TEMPLATE_IDS).toContain(result.recipe.data.template);
    for (const module of result.recipe.lora.targetModules) expect(TARGET_MODULES).toContain(module);
    for (const name of [result.recipe.model.name, result.recipe.dataset.name]) expect(name).not.toMatch(/[<>"'\\]|:\/\//);
    expect(Object.keys(Object.prototype)).toEqual([]);
  }

  it('as JSON never throws and never yields a setting outside of the schema', () => {
    fc.assert(fc.property(fc.oneof(nearRecipe, fc.jsonValue()), (value) => checkOutcome(pack(JSON.stringify(value)))), { numRuns: runs(1000) });
  });

  it('as text, or as a link changed anywhere, never throws', () => {
    const link = encodeShare(builtinRecipe());
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.webUrl({ withFragments: true })), (text) => {
      checkOutcome(text);
      checkOutcome(`#recipe=${text}`);
    }), { numRuns: runs(500) });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => checkOutcome(`#recipe=${Buffer.from(bytes).toString('base64url')}`)), { numRuns: runs(500) });
    fc.assert(fc.property(fc.nat(link.length - 1), fc.constantFrom(...Array.from('AZaz09-_=%#&')), (at, c) => checkOutcome(link.slice(0, at) + c + link.slice(at + 1))), { numRuns: runs(500) });
  });

  it('is never fetched and never run', () => {
    const fetched = vi.spyOn(globalThis, 'fetch');
    const evil = '{"model":{"source":"hub","name":"a/b","revision":"main"},"dataset":{"source":"file","name":"https://evil.example/data.json"},"lora":{"toJSON":"x"}}';
    const result = decoded(pack(evil));
    expect(result.recipe.model).toEqual({ source: 'hub', name: 'a/b', revision: 'main' });
    expect(result.recipe.dataset).toEqual(defaultRecipe().dataset);
    expect(result.refused).toEqual(['dataset: letters, digits and . _ - / @ + ( ) : only, and no address', 'lora.toJSON: unknown setting']);
    expect(fetched).not.toHaveBeenCalled();
    fetched.mockRestore();
  });
});
