import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { autotune, type Measured } from '../../src/engine/autotune.ts';
import type { Engine } from '../../src/engine/device.ts';
import { compileKernel, TOKENS, type Op } from '../../src/engine/kernel.ts';
import { matmulNN, matmulNT, matmulTN } from '../../src/engine/kernels/matmul.ts';
import { measureGflops } from '../../src/engine/measure.ts';
import { availableVariants, chosenVariant, defaultVariant, SHAPE_CLASSES, VARIANTS, variantsInForce, type MatmulVariant, type ShapeClass } from '../../src/engine/variants.ts';
import { normal, openKit, type Kit } from '../kernels/run.ts';

const defaultsOf = (e: Engine): Record<string, string> =>
  Object.fromEntries(SHAPE_CLASSES.map((shape) => [shape, defaultVariant(e, shape)]));

describe('the choice of kernel variants', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit();
  });
  afterAll(() => kit.close());

  /** Products of three shapes as a model has them, x of 24 rows at most. */
  function products() {
    const x = kit.empty('x', 24 * 40);
    const h = kit.empty('h', 24 * 12);
    const out = { wide: kit.empty('wide', 24 * 48), back: kit.empty('back', 24 * 40), grad: kit.tensor('grad', new Float32Array(12 * 40)) };
    const w = kit.weight('w', 'f32', 48, 40, normal(48 * 40, 1));
    const ops = (e = kit.engine): Op[] => [
      ...matmulNT(e, { label: 'wide', rows: TOKENS, x, w, y: out.wide }),
      ...matmulNT(e, { label: 'wide again', rows: TOKENS, x, w, y: out.wide, add: 'accumulate' }),
      ...matmulNN(e, { label: 'back', rows: TOKENS, dy: out.wide, w, dx: out.back }),
      ...matmulTN(e, { label: 'grad', rows: TOKENS, p: h, pCols: 12, q: x, qCols: 40, out: out.grad }),
    ];
    return { ops, x, out };
  }
  const few = ['direct', 'subgroup'];
  const DIMS = { tokens: 24, targets: 24 };

  it('measures every operation once, writes the choices where ops look for them, and leaves zeros and no buffer behind', async () => {
    const e: Engine = { ...kit.engine, variants: {} };
    const told: Record<string, string>[] = [];
    e.onTuned = (choices) => told.push(choices);
    const { ops, x, out } = products();
    const before = e.memory.live;
    const table: Measured[] = [];
    const choices = await autotune(e, ops(e), DIMS, { budgetMs: 60_000, only: few, onMeasured: (row) => table.push(row) });
    expect(Object.keys(choices).sort()).toEqual(['matmulNN.wide 24x48x40 f32', 'matmulNT.wide 24x48x40 f32', 'matmulTN.skinny 24x12x40 f32']);
    expect(e.variants).toEqual(choices);
    expect(told).toEqual([choices]);
    expect(table.map((row) => row.count)).toEqual([2, 1, 1]);
    for (const row of table) {
      expect(row.chosen).toBe(choices[row.key]);
      for (const variant of few.filter((v) => availableVariants(e, 'matmulNT.wide').includes(v as MatmulVariant))) expect(row.ms[variant], `${row.key} ${variant}`).toBeGreaterThan(0);
    }
    for (const t of [x, ...Object.values(out)]) expect((await kit.read(t)).every((v) => v === 0)).toBe(true);
    expect(e.memory.live).toBe(before);
    expect(await autotune(e, ops(e), DIMS, { only: few })).toEqual({});
  });

  it('never chooses what does not compile or computes something else, however fast', async () => {
    const e: Engine = { ...kit.engine, variants: {} };
    const { ops } = products();
    const [op] = ops(e);
    const nothing: Op = { ...op!, pipeline: compileKernel(e, { name: 'idle', body: '@compute @workgroup_size(1) fn main() {}', access: ['read', 'read', 'read', 'read', 'write'] }).pipeline };
    const broken: Op = { ...op!, pipeline: Promise.reject(new Error('does not compile')) };
    broken.pipeline.catch(() => {});
    const remake = (view: Engine): Op[] => [{ direct: op!, nothing, broken }[view.variants[op!.choice!.key]!] ?? op!];
    const table: Measured[] = [];
    const choices = await autotune(e, [{ ...op!, choice: { ...op!.choice!, candidates: ['direct', 'nothing', 'broken'], usual: 'broken', remake } }], DIMS, { budgetMs: 60_000, onMeasured: (row) => table.push(row) });
    expect(Object.values(choices)).toEqual(['direct']);
    expect(table[0]!.ms).toMatchObject({ nothing: null, broken: null });
  });

  it('takes matrix units only where their numbers are within the limits of f32', async () => {
    const e: Engine = { ...kit.engine, variants: {} };
    const { ops, x, out } = products();
    const [op] = ops(e);
    const off = { label: 'off', rows: TOKENS, x, w: kit.weight('w', 'f32', 48, 40, normal(48 * 40, 1)), y: out.wide, alpha: 1 + 3e-5 };
    const made: Record<string, Op[]> = {
      matrix: matmulNT(e, { ...off, bias: kit.empty('bias', 48) }), other: matmulNT(e, { ...off, add: kit.empty('c', 24 * 48) }), matrix64x64: matmulNT(e, { ...off, alpha: 1, bias: kit.empty('bias', 48), add: 'accumulate' }),
    };
    const remake = (view: Engine): Op[] => made[view.variants[op!.choice!.key]!] ?? [op!];
    const table: Measured[] = [];
    await autotune(e, [{ ...op!, choice: { ...op!.choice!, candidates: ['direct', 'matrix', 'other', 'matrix64x64'], usual: 'direct', remake } }], DIMS, { budgetMs: 60_000, onMeasured: (row) => table.push(row) });
    expect(table[0]!.ms).toEqual({ direct: expect.any(Number) as number, matrix: null, other: expect.any(Number) as number, matrix64x64: expect.any(Number) as number });
  });

  it('chooses nothing where there is no time', async () => {
    const e: Engine = { ...kit.engine, variants: {} };
    expect(await autotune(e, products().ops(e), DIMS, { budgetMs: 0, only: few })).toEqual({});
    expect(e.variants).toEqual({});
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
    const one: Engine = { ...e, variants: { 'matmulNT.wide': 'direct', 'this one': 'tiled' } };
    expect([chosenVariant(one, 'matmulNT.wide', 'this one'), chosenVariant(one, 'matmulNT.wide', 'that one')]).toEqual(['tiled', 'direct']);
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
