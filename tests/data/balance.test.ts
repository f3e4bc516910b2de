import 'fake-indexeddb/auto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { drawnPerEpoch, type BalanceSettings } from '../../src/config/balance.ts';
import { defaultRecipe } from '../../src/config/recipe.ts';
import { BalancedRows, type BalancedGroup } from '../../src/data/balance.ts';
import { DataLoader, START, type DataCursor, type LoaderOptions } from '../../src/data/loader.ts';
import { openDatabase } from '../../src/data/db.ts';
import { RowEncoder } from '../../src/data/template.ts';
import type { EncodedRow, TemplateId } from '../../src/data/types.ts';
import { Datasets } from '../../src/worker/session/datasets.ts';
import type { RequestContext, SessionEnvironment } from '../../src/worker/session/environment.ts';
import type { LoadedModel } from '../../src/worker/session/loadedModel.ts';
import { byteLevel } from './helpers.ts';

const settings = (more: Partial<BalanceSettings>): BalanceSettings => ({ ...defaultRecipe().data, ...more });
const GROUPS = [{ name: 'question-answering', rows: 900 }, { name: 'code', rows: 90 }, { name: 'chat', rows: 10 }];

describe('Rows an epoch draws', () => {
  it('are all of them, once, as it is', () => {
    expect(drawnPerEpoch(GROUPS, settings({}))).toEqual([900, 90, 10]);
  });

  it('are alike for all tasks when balanced, as far as the bound on repeats allows', () => {
    expect(drawnPerEpoch(GROUPS, settings({ balance: 'balanced', balanceRepeats: 100 }))).toEqual([333, 333, 333]);
    expect(drawnPerEpoch(GROUPS, settings({ balance: 'balanced', balanceRepeats: 4 }))).toEqual([333, 333, 40]);
  });

  it('follow rows to the power of 1 / temperature', () => {
    const roots = GROUPS.map(({ rows }) => Math.sqrt(rows));
    const sum = roots.reduce((a, b) => a + b, 0);
    expect(drawnPerEpoch(GROUPS, settings({ balance: 'temperature', balanceTemperature: 2, balanceRepeats: 100 }))).toEqual(roots.map((root) => Math.round((1000 * root) / sum)));
    expect(drawnPerEpoch(GROUPS, settings({ balance: 'temperature', balanceTemperature: 1 }))).toEqual([900, 90, 10]);
  });

  it('are weight times rows, at most the cap, with weights of one’s own', () => {
    expect(drawnPerEpoch(GROUPS, settings({ balance: 'own', balanceWeights: { code: 2.5, chat: 0 }, balanceCaps: { 'question-answering': 300 } }))).toEqual([300, 225, 0]);
    expect(drawnPerEpoch([{ name: 'toString', rows: 5 }], settings({ balance: 'own' }))).toEqual([5]);
  });

  it('stay within bounds for any counts', () => {
    const counts = fc.array(fc.nat(5000), { minLength: 1, maxLength: 9 });
    fc.assert(fc.property(counts, fc.constantFrom('balanced', 'temperature'), fc.double({ min: 1, max: 100, noNaN: true }), fc.integer({ min: 1, max: 100 }), (rows, balance, balanceTemperature, balanceRepeats) => {
      const groups = rows.map((n, i) => ({ name: `g${i}`, rows: n }));
      const drawn = drawnPerEpoch(groups, settings({ balance: balance as 'balanced', balanceTemperature, balanceRepeats }));
      const total = rows.reduce((a, b) => a + b, 0);
      drawn.forEach((n, i) => {
        expect(n).toBeLessThanOrEqual(balanceRepeats * rows[i]!);
        expect(n > 0).toBe(rows[i]! > 0);
      });
      // Rounding moves each group by half a row, and gives an empty share one row.
      expect(drawn.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(total + rows.length);
    }), { numRuns: 200 });
  });
});

/** Rows of one token more than their index, so that a fed token names its row. */
const encoded = (index: number): EncodedRow => ({ index, inputIds: Int32Array.of(index, index), labels: Int32Array.of(-100, index), fullLength: 2, numTargets: 1 });
const source = async (indices: number[]) => indices.map(encoded);

/** Rows of several groups, strewn over the file. */
function strewn(sizes: number[], perEpoch: number[]): BalancedGroup[] {
  const rows = sizes.map((): number[] => []);
  const left = [...sizes];
  for (let row = 0, g = 0; left.some((n) => n > 0); g = (g + 1) % sizes.length) if (left[g]! > 0) {
    rows[g]!.push(row++);
    left[g]!--;
  }
  return rows.map((list, g) => ({ name: `g${g}`, rows: Int32Array.from(list), perEpoch: perEpoch[g]! }));
}

function loaderOf(groups: BalancedGroup[], more: Partial<LoaderOptions> = {}): { loader: DataLoader; balance: BalancedRows; numRows: number } {
  const numRows = groups.reduce((sum, { rows }) => sum + rows.length, 0);
  const options = { batchSize: 4, gradientAccumulationSteps: 2, seed: 42, shuffle: true, packing: false, maxLength: 16, ...more };
  const balance = new BalancedRows(groups, { seed: options.seed, shuffle: options.shuffle, fixed: options.packing });
  return { loader: new DataLoader(source, { ...options, rows: Int32Array.from({ length: numRows }, (_, i) => i), lengths: new Int32Array(numRows).fill(2), balance }), balance, numRows };
}

/** Rows fed in each epoch, in order. */
async function fed(loader: DataLoader, epochs: number, from: DataCursor = START): Promise<number[][]> {
  const out = Array.from({ length: epochs }, (): number[] => []);
  for await (const { batches, cursor } of loader.windows(from)) {
    if (cursor.epoch >= epochs) break;
    for (const batch of batches) batch.segments.forEach((segment, i) => { if (segment !== 0 && batch.positions[i] === 0) out[cursor.epoch]!.push(batch.inputIds[i]!); });
  }
  return out;
}

describe('The loader under balance', () => {
  it.each([
    ['balanced', settings({ balance: 'balanced', balanceRepeats: 8 })],
    ['temperature', settings({ balance: 'temperature', balanceTemperature: 3 })],
    ['own weights and caps', settings({ balance: 'own', balanceWeights: { g1: 2.4, g2: 0 }, balanceCaps: { g0: 61 } })],
  ])('feeds exactly the mix that is promised, every epoch: %s', async (_, how) => {
    const sizes = [180, 25, 7];
    const promised = drawnPerEpoch(sizes.map((rows, g) => ({ name: `g${g}`, rows })), how);
    for (const packing of [false, true]) {
      const groups = strewn(sizes, promised);
      const { loader } = loaderOf(groups, { packing });
      for (const epoch of await fed(loader, 3)) {
        expect(groups.map(({ rows }) => epoch.filter((row) => rows.includes(row)).length), `packing ${packing}`).toEqual(promised);
      }
    }
  });

  it('sees every row of a group before any a second time, over the ends of epochs', async () => {
    const groups = strewn([50, 9], [20, 30]);
    const { loader } = loaderOf(groups);
    const epochs = await fed(loader, 5);
    const times = (row: number, upTo: number): number => epochs.slice(0, upTo).flat().filter((seen) => seen === row).length;
    for (const { rows } of groups) {
      for (const upTo of [1, 2, 3, 5]) {
        const seen = Array.from(rows, (row) => times(row, upTo));
        expect(Math.max(...seen) - Math.min(...seen)).toBeLessThanOrEqual(1);
      }
    }
    expect(epochs[0]).not.toEqual(epochs[1]);
  });

  it('says beforehand how often each row is drawn', async () => {
    for (const packing of [false, true]) {
      const { loader, balance, numRows } = loaderOf(strewn([40, 11, 3], [17, 30, 3]), { packing });
      const seen = (await fed(loader, 4)).flat();
      expect([...balance.timesDrawn(4, numRows)]).toEqual(Array.from({ length: numRows }, (_, row) => seen.filter((s) => s === row).length));
    }
    expect([...new BalancedRows([{ name: 'a', rows: Int32Array.of(1), perEpoch: 2 }], { seed: 1, shuffle: true, fixed: false }).timesDrawn(1, 3)]).toEqual([-1, 2, -1]);
  });

  it('goes on from any cursor exactly as if it had never stopped', async () => {
    await fc.assert(fc.asyncProperty(fc.nat(1000), fc.boolean(), fc.boolean(), fc.integer({ min: 1, max: 40 }), fc.nat(12), async (seed, shuffle, packing, perEpoch, stop) => {
      const make = () => loaderOf(strewn([13, 4], [perEpoch, 6]), { seed, shuffle, packing, batchSize: 2 }).loader;
      const take = async (count: number, from?: DataCursor) => {
        const windows = [];
        for await (const window of make().windows(from)) if (windows.push(window) === count) break;
        return windows;
      };
      const whole = await take(stop + 3);
      expect(await take(3, structuredClone(whole[stop]!.cursor))).toEqual(whole.slice(stop));
    }), { numRuns: 40 });
  });

  it('keeps the order of the file when shuffling is off', async () => {
    const { loader } = loaderOf(strewn([5, 2], [5, 4]), { shuffle: false });
    expect(await fed(loader, 1)).toEqual([[0, 1, 1, 2, 3, 3, 4, 5, 6]]);
  });

  it('bounds how often a row can be in one epoch', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 60 }), fc.nat(30), (n, perEpoch, epoch) => {
      const balance = new BalancedRows([{ name: 'a', rows: Int32Array.from({ length: n }, (_, i) => i), perEpoch }], { seed: 3, shuffle: true, fixed: false });
      const times = new Int32Array(n);
      for (const row of balance.epoch(epoch)) times[row]!++;
      expect(Math.max(...times)).toBeLessThanOrEqual(balance.mostInEpoch(0));
    }), { numRuns: 200 });
  });

  it('draws an epoch of a million rows in under five seconds', () => {
    const groups: BalancedGroup[] = [0, 1].map((g) => ({ name: `g${g}`, rows: Int32Array.from({ length: 500_000 }, (_, i) => 2 * i + g), perEpoch: g === 0 ? 300_000 : 700_000 }));
    const balance = new BalancedRows(groups, { seed: 42, shuffle: true, fixed: false });
    const started = performance.now();
    expect(balance.epoch(3)).toHaveLength(1_000_000);
    // Several times what it takes alone: the machine is shared.
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('A run under balance', () => {
  const tokenizer = byteLevel();
  const model = { tokenizer, encoder: (template: TemplateId, maxLength: number | null) => new RowEncoder(tokenizer, template, maxLength) } as unknown as LoadedModel;
  const context: RequestContext = { signal: new AbortController().signal, progress: () => undefined };
  const line = (instruction: string, output: string): string => `${JSON.stringify({ instruction, output })}\n`;
  const questions = Array.from({ length: 12 }, (_, i) => line(`What is thing number ${i}?`, `Thing ${i}.`)).join('');
  const code = Array.from({ length: 3 }, (_, i) => line(`Write a Python function that returns ${i}.`, `def f(): return ${i}`)).join('');
  let counter = 0;

  async function imported() {
    const datasets = new Datasets(await openDatabase(`balance-${counter++}`), {} as SessionEnvironment);
    const files = [{ name: 'asked.jsonl', blob: new Blob([questions]) }, { name: 'code.jsonl', blob: new Blob([code]) }];
    const dataset = await datasets.import({ name: 'two files', blob: files[0]!.blob, kind: 'file', files }, context);
    return { datasets, id: dataset.id };
  }
  const recipe = (data: Partial<BalanceSettings>) => {
    const base = defaultRecipe();
    return { ...base, data: { ...base.data, template: 'chatml' as const, maxLength: 128, ...data }, training: { ...base.training, numTrainEpochs: 2, perDeviceTrainBatchSize: 3, gradientAccumulationSteps: 1 } };
  };

  it('forecasts the mix by task and by file, with its steps beside those as it is', async () => {
    const { datasets, id } = await imported();
    const asItIs = await datasets.feed(model, id, recipe({}));
    expect(asItIs.mix).toEqual({ by: 'task', groups: [{ name: 'question-answering', rows: 12, perEpoch: 12 }, { name: 'code', rows: 3, perEpoch: 3 }], rowsPerEpoch: 15, asItIs: { steps: 10, stepsPerEpoch: 5 } });
    const balanced = await datasets.feed(model, id, recipe({ balance: 'balanced', balanceBy: 'file', balanceRepeats: 2 }));
    expect(balanced.mix).toEqual({ by: 'file', groups: [{ name: 'asked.jsonl', rows: 12, perEpoch: 8 }, { name: 'code.jsonl', rows: 3, perEpoch: 6 }], rowsPerEpoch: 14, asItIs: { steps: 10, stepsPerEpoch: 5 } });
    expect(balanced.feed.totalSteps).toBe(10);
    const capped = await datasets.feed(model, id, recipe({ balance: 'own', balanceCaps: { 'question-answering': 3 } }));
    expect(capped.feed.totalSteps).toBe(4);
    expect(capped.perEpoch.tokens).toBeLessThan(asItIs.perEpoch.tokens);
    await expect(datasets.feed(model, id, recipe({ balance: 'own', balanceWeights: { 'question-answering': 0, code: 0 } }))).rejects.toMatchObject({ code: 'data.balanceEmpty' });
  });

  it('no batch is larger than what was planned for', async () => {
    const { datasets, id } = await imported();
    const { feed, largest } = await datasets.feed(model, id, recipe({ balance: 'own', balanceWeights: { code: 7.5, 'question-answering': 0.3 } }));
    let seen = 0;
    for await (const { batches } of feed.windows(START)) {
      for (const { segments } of batches) expect(segments.filter((s) => s !== 0).length).toBeLessThanOrEqual(largest.tokens);
      if (++seen === feed.totalSteps) break;
    }
  });

  it('names every row that it leaves out or repeats in the record of changes, with the line', async () => {
    const { datasets, id } = await imported();
    const how = recipe({ balance: 'own', balanceWeights: { code: 2, 'question-answering': 0.25 } });
    const training = { model, template: how.data.template, maxLength: how.data.maxLength, recipe: how };
    const { blob, entries } = await datasets.changes(id, 'text', training, context);
    const text = await blob.text();
    // Three of twelve an epoch: in two epochs six once, six never. All three of code four times.
    expect(text.match(/dropped by balance: not drawn in 2 epochs/g)).toHaveLength(6);
    expect(text.match(/reweighted by balance: trained once in 2 epochs/g)).toHaveLength(6);
    expect(text.match(/line [123] \(row 1[345]\): reweighted by balance: trained 4 times in 2 epochs/g)).toHaveLength(3);
    expect(entries).toBe(15);
    expect((await datasets.changes(id, 'text', { ...training, recipe: recipe({}) }, context)).entries).toBe(0);
  });
});
