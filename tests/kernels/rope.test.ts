import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inverseFrequencies, rope, ropeAppend, ropeTables, type RopeTableConfig } from '../../src/engine/kernels/rope.ts';
import type { Tensor } from '../../src/engine/tensor.ts';
import { rope as twin } from '../reference/rope.ts';
import { normal, openKit, uniform, type Kit } from './run.ts';

interface Scaling {
  rope_type: 'default' | 'linear' | 'llama3';
  factor: number;
  low_freq_factor: number;
  high_freq_factor: number;
  original_max_position_embeddings: number;
}
interface Fixture {
  positions: number[];
  cases: { headDim: number; ropeTheta: number; scaling: Scaling; inverseFrequencies: number[]; cos: number[]; sin: number[] }[];
}
const fixture = JSON.parse(readFileSync(new URL('../fixtures/rope.json', import.meta.url), 'utf8')) as Fixture;

const scalingOf = (s: Scaling): RopeTableConfig['ropeScaling'] => {
  if (s.rope_type === 'default') return { type: 'default' };
  if (s.rope_type === 'linear') return { type: 'linear', factor: s.factor };
  return {
    type: 'llama3', factor: s.factor, lowFreqFactor: s.low_freq_factor, highFreqFactor: s.high_freq_factor,
    originalMaxPositionEmbeddings: s.original_max_position_embeddings,
  };
};

describe('rotary tables', () => {
  it.each(fixture.cases)('D = $headDim, theta $ropeTheta, $scaling.rope_type: the angles are transformers\' up to the last bits', (c) => {
    const config = { headDim: c.headDim, ropeTheta: c.ropeTheta, ropeScaling: scalingOf(c.scaling) };
    expect(inverseFrequencies(config)).toBeAllclose(c.inverseFrequencies, { relative: 3e-7, absolute: 0 });
    const tables = ropeTables({ ...config, maxPositions: Math.max(...fixture.positions) + 1 });
    const half = c.headDim / 2;
    fixture.positions.forEach((position, row) => {
      // A frequency one rounding apart turns into an angle that many times the position apart.
      const allowed = 1.2e-7 * (1 + position);
      for (const [ours, theirs] of [[tables.cos, c.cos], [tables.sin, c.sin]] as const) {
        for (let d = 0; d < half; d++) {
          const frequency = c.inverseFrequencies[d]!;
          const difference = Math.abs(ours[position * half + d]! - theirs[row * half + d]!);
          expect(difference, `position ${position}, pair ${d}`).toBeLessThanOrEqual(6e-8 + allowed * frequency);
        }
      }
    });
  });
});

describe('rotary positions', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await openKit();
  });
  afterAll(() => kit.close());

  it.each([[1, 1, 6], [3, 1, 10], [9, 3, 64], [2, 2, 128], [5, 1, 18]])('%i heads on %i of %i: turned as the twin, and back again', async (heads, kvHeads, headDim) => {
    const M = 11;
    const { cos, sin } = ropeTables({ headDim, ropeTheta: 10_000, ropeScaling: { type: 'default' }, maxPositions: 40 });
    const next = uniform(5);
    const positions = Uint32Array.from({ length: M }, () => Math.floor(next() * 40));
    const both = [{ of: heads, x: normal((M + 1) * heads * headDim, 1) }, { of: kvHeads, x: normal((M + 1) * kvHeads * headDim, 2) }];
    const [q, k] = both.map(({ x }) => kit.tensor('x', x)) as [Tensor, Tensor];
    const args = { label: 'test', heads, kvHeads, headDim, q, k, positions: kit.tensor('positions', positions), cos: kit.tensor('cos', cos), sin: kit.tensor('sin', sin) };
    const check = async (wanted: (x: Float64Array, of: number) => Float64Array): Promise<void> => {
      for (const [i, { of, x }] of both.entries()) {
        const n = M * of * headDim;
        const got = await kit.read([q, k][i]!);
        expect(got.subarray(0, n)).toBeAllclose(wanted(x.subarray(0, n), of), 'f32');
        expect(got.subarray(n)).toEqual(Float32Array.from(x.subarray(n)));
      }
    };
    await kit.run(rope(kit.engine, args), { tokens: M });
    await check((x, of) => twin(x, of, headDim, positions, cos, sin));
    await kit.run(rope(kit.engine, { ...args, inverse: true }), { tokens: M });
    await check((x, of) => twin(twin(x, of, headDim, positions, cos, sin), of, headDim, positions, cos, sin, true));
    await check((x) => x);
  });

  it.each([[9, 3, 64], [2, 1, 18]])('generating, %i heads on %i of %i: queries are turned in place, turned keys and values go behind the cached ones', async (heads, kvHeads, headDim) => {
    const [M, past, size] = [3, 4, 10];
    const kvWidth = kvHeads * headDim;
    const { cos, sin } = ropeTables({ headDim, ropeTheta: 10_000, ropeScaling: { type: 'default' }, maxPositions: size });
    const positions = Uint32Array.of(4, 5, 6);
    const [q, k, v] = [normal(M * heads * headDim, 1), normal(M * kvWidth, 2), normal(M * kvWidth, 3)];
    const t = {
      q: kit.tensor('q', q), k: kit.tensor('k', k), v: kit.tensor('v', v), positions: kit.tensor('positions', positions), cos: kit.tensor('cos', cos), sin: kit.tensor('sin', sin),
      kCache: kit.empty('k cache', size * kvWidth, 7), vCache: kit.empty('v cache', size * kvWidth, 7),
    };
    await kit.run(ropeAppend(kit.engine, { label: 'test', heads, kvHeads, headDim, ...t }), { tokens: M, kvPast: past });
    expect(await kit.read(t.q)).toBeAllclose(twin(q, heads, headDim, positions, cos, sin));
    for (const [cache, want] of [[t.kCache, twin(k, kvHeads, headDim, positions, cos, sin)], [t.vCache, v]] as const) {
      const got = await kit.read(cache);
      expect(got.subarray(past * kvWidth, (past + M) * kvWidth)).toBeAllclose(want);
      expect([...got.subarray(0, past * kvWidth), ...got.subarray((past + M) * kvWidth)].every((x) => x === 7)).toBe(true);
    }
  });
});
