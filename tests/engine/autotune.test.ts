import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { autotune } from '../../src/engine/autotune.ts';
import type { Engine } from '../../src/engine/device.ts';
import { measureGflops } from '../../src/engine/measure.ts';
import { availableVariants, chosenVariant, defaultVariant, SHAPE_CLASSES, VARIANTS, variantsInForce, type ShapeClass } from '../../src/engine/variants.ts';
import { openKit, type Kit } from '../kernels/run.ts';

const defaultsOf = (e: Engine): Record<string, string> =>
  Object.fromEntries(SHAPE_CLASSES.map((shape) => [shape, defaultVariant(e, shape)]));

describe('the choice of kernel variants', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit();
  });
  afterAll(() => kit.close());

  it('measures a variant this device can run for every shape class, and leaves no buffer behind', async () => {
    const before = kit.engine.memory.live;
    const choices = await autotune(kit.engine, { budgetMs: 60_000 });
    expect(Object.keys(choices).sort()).toEqual([...SHAPE_CLASSES].sort());
    for (const [shape, variant] of Object.entries(choices)) expect(availableVariants(kit.engine, shape as ShapeClass)).toContain(variant);
    expect(kit.engine.memory.live).toBe(before);
  });

  it('keeps the defaults where there is no time', async () => {
    expect(await autotune(kit.engine, { budgetMs: 0 })).toEqual(defaultsOf(kit.engine));
  });

  it('measures a speed that is a positive number of GFLOP/s', async () => {
    const gflops = await measureGflops(kit.engine);
    expect(gflops).toBeGreaterThan(0.001);
    expect(gflops).toBeLessThan(100_000);
  });

  it('takes what is set in engine.variants and falls back where the device cannot run it or nobody knows it', () => {
    const e = kit.engine;
    const withVariant = (shape: ShapeClass, variant: string, subgroups: boolean): string =>
      chosenVariant({ ...e, info: { ...e.info, subgroups }, variants: { [shape]: variant } }, shape);
    for (const shape of SHAPE_CLASSES) {
      for (const variant of availableVariants(e, shape)) expect(withVariant(shape, variant, e.info.subgroups)).toBe(variant);
      expect(VARIANTS[shape]).toContain(withVariant(shape, 'no such kernel', e.info.subgroups));
      expect(withVariant(shape, 'subgroup', false)).not.toBe('subgroup');
    }
  });

  it('records every class for a run', () => {
    expect(variantsInForce(kit.engine)).toMatchObject(Object.fromEntries(SHAPE_CLASSES.map((shape) => [shape, chosenVariant(kit.engine, shape)])));
  });

  it('defaults to tiles and rows on GPUs, and to kernels without barriers on software', () => {
    const e = kit.engine;
    const defaults = (software: boolean): string[] => Object.values(defaultsOf({ ...e, info: { ...e.info, software } }));
    expect(new Set(defaults(false))).toEqual(new Set(['tiled', 'row']));
    expect(defaults(true).filter((v) => v !== 'direct' && v !== 'subgroup')).toEqual([]);
  });
});
