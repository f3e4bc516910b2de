/**
 * Owns what a run is fed: which rows are held out, how the others are drawn, and what is known of that before the run starts.
 * Refuses to know where rows are stored and what trains on them.
 */
import { drawnPerEpoch, type TrainingMix } from '../../config/balance.ts';
import { EtudeError } from '../../config/errors.ts';
import { countSteps } from '../../config/forecast.ts';
import type { Recipe } from '../../config/recipe.ts';
import { BalancedRows } from '../../data/balance.ts';
import { packExamples } from '../../data/collator.ts';
import { batchesInOrder, DataLoader, type DataCursor, type RowSource } from '../../data/loader.ts';
import { groupsOf } from '../../data/mix.ts';
import type { BuiltReport } from '../../data/report.ts';
import { splitByPrompt, type Split } from '../../data/split.ts';
import type { DatasetSummary } from '../../data/types.ts';
import type { TrainingFeed } from '../../train/trainer.ts';

/** One feed, and what is known of it before it starts. */
export interface RunFeed {
  feed: TrainingFeed<DataCursor>;
  split: Split;
  stepsPerEpoch: number;
  packOf: DataLoader['packOf'];
  /** Of one pass over the training rows as they are drawn; where draws differ from epoch to epoch, of the average one. */
  perEpoch: { tokens: number; targets: number };
  /** Bounds of any batch, held-out ones included. */
  largest: { tokens: number; targets: number; positions: number };
  dropped: number;
  mix: TrainingMix;
  /** How rows are drawn; null where each is once an epoch. */
  balance: BalancedRows | null;
}

export interface FeedParts {
  dataset: Pick<DatasetSummary, 'name' | 'files'>;
  built: Pick<BuiltReport, 'report' | 'index'>;
  recipe: Recipe;
  source: RowSource;
  /** Dataset indices held out when the run began; chosen anew without. */
  heldOut?: Int32Array;
}

/** Throws EtudeError 'data.noUsableRows' or 'data.balanceEmpty'. */
export function buildFeed({ dataset, built, recipe, source, heldOut }: FeedParts): RunFeed {
  const { report, index } = built;
  const { training, data } = recipe;
  if (index.usable.length === 0) throw noUsableRows(report);
  const split = heldOut
    ? { heldOut, train: without(index.usable, heldOut) }
    : splitByPrompt(index.usable, index.promptHashes, training.validationSplit, training.seed);
  const drawn = drawRows(split.train, { dataset, built, recipe });
  const { balance } = drawn;
  const B = training.perDeviceTrainBatchSize;
  const { maxLength } = data;
  const loader = new DataLoader(source, {
    rows: split.train, lengths: index.lengths, batchSize: B, gradientAccumulationSteps: training.gradientAccumulationSteps,
    seed: training.seed, shuffle: training.shuffle, packing: training.packing, maxLength, ...(balance ? { balance } : {}),
  });
  const counts = countSteps(loader.batchesPerEpoch * B, training);
  const unbalanced = balance && training.packing ? packExamples(split.train, index.lengths, maxLength).count : split.train.length;
  const asItIs = balance ? countSteps(unbalanced, training) : counts;
  const all = anyOfABatch(split, balance);
  const largest = (values: Int32Array): number => all.map((row) => values[row]!).sort().slice(-B).reduce((a, b) => a + b, 0);
  const packed = Math.min(B * maxLength, sum(all, index.lengths));
  return {
    feed: {
      windows: (cursor) => loader.windows(cursor),
      evaluation: split.heldOut.length > 0 ? () => batchesInOrder(source, split.heldOut, B) : null,
      totalSteps: counts.totalSteps,
      warmupSteps: counts.warmupSteps,
    },
    split,
    stepsPerEpoch: counts.stepsPerEpoch,
    packOf: (row) => loader.packOf(row),
    perEpoch: { tokens: perEpoch(split.train, balance, index.lengths), targets: perEpoch(split.train, balance, index.targets) },
    largest: {
      tokens: training.packing ? packed : largest(index.lengths),
      targets: training.packing ? Math.min(packed, sum(all, index.targets)) : largest(index.targets),
      positions: all.reduce((n, row) => Math.max(n, index.lengths[row]!), 1),
    },
    dropped: report.droppedRows,
    mix: { ...drawn.mix, asItIs: { steps: asItIs.totalSteps, stepsPerEpoch: asItIs.stepsPerEpoch } },
    balance,
  };
}

function drawRows(train: Int32Array, { dataset, built, recipe }: Pick<FeedParts, 'dataset' | 'built' | 'recipe'>): { balance: BalancedRows | null; mix: Omit<TrainingMix, 'asItIs'> } {
  const { data, training } = recipe;
  // A run of an earlier Etude knows no balance.
  const by = data.balanceBy === 'file' ? 'file' : 'task';
  const rowGroups = groupsOf(by, train, built.index.tasks, dataset);
  const draws = drawnPerEpoch(rowGroups.map(({ name, rows }) => ({ name, rows: rows.length })), data);
  const groups = rowGroups.map(({ name, rows }, i) => ({ name, rows, perEpoch: draws[i]! }));
  const rowsPerEpoch = draws.reduce((a, b) => a + b, 0);
  if (rowsPerEpoch === 0) {
    throw new EtudeError({
      code: 'data.balanceEmpty', what: `Balance leaves none of the ${train.length.toLocaleString('en')} rows to train on.`, expected: 'At least one row an epoch.',
      likelyCause: 'Every weight or cap is 0, or so small that it rounds to no row.', nextStep: 'Raise a weight or a cap under Balance on the Data step.',
    });
  }
  const balanced = groups.some(({ rows, perEpoch }) => rows.length !== perEpoch);
  return {
    balance: balanced ? new BalancedRows(groups, { seed: training.seed, shuffle: training.shuffle, fixed: training.packing }) : null,
    mix: { by, groups: groups.map(({ name, rows, perEpoch }) => ({ name, rows: rows.length, perEpoch })), rowsPerEpoch },
  };
}

const sum = (rows: Int32Array, values: Int32Array): number => rows.reduce((n, row) => n + values[row]!, 0);

function perEpoch(train: Int32Array, balance: BalancedRows | null, values: Int32Array): number {
  if (!balance) return sum(train, values);
  return Math.round(balance.groups.reduce((n, { rows, perEpoch }) => n + (sum(rows, values) * perEpoch) / rows.length, 0));
}

/** Rows as often as one epoch can have them, those held out behind them: what the largest batch may be made of. */
function anyOfABatch({ train, heldOut }: Split, balance: BalancedRows | null): Int32Array {
  const pieces = balance ? balance.groups.flatMap(({ rows }, g) => Array.from({ length: balance.mostInEpoch(g) }, () => rows)) : [train];
  const all = new Int32Array([...pieces, heldOut].reduce((n, piece) => n + piece.length, 0));
  let at = 0;
  for (const piece of [...pieces, heldOut]) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function noUsableRows(report: BuiltReport['report']): EtudeError {
  const why = report.findings.find((f) => f.severity === 'error');
  return new EtudeError({
    code: 'data.noUsableRows',
    what: `None of the ${report.rows.toLocaleString('en')} rows can be trained.`,
    expected: 'At least one row with a trained token.',
    likelyCause: why ? `${why.title}: ${why.detail}` : 'No row has an answer under this mapping.',
    nextStep: 'Open Data, correct the mapping or the template, or raise the maximum length.',
  });
}

function without(rows: Int32Array, left: Int32Array): Int32Array {
  const out = new Uint8Array(rows.reduce((most, row) => Math.max(most, row + 1), 0));
  for (const row of left) out[row] = 1;
  return rows.filter((row) => out[row] === 0);
}
