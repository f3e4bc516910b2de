/**
 * Owns the order in which rows reach the trainer: held-out split, shuffling, packing, accumulation windows, and the cursor
 * that resumes them. Works on a table of small numbers a row; the rows themselves are fetched a window at a time.
 */
import { countSteps } from '../config/forecast.ts';
import type { TrainingConfig } from '../config/recipe.ts';
import { collate, packFirstFit } from './collator.ts';
import { hash32, permutation } from './random.ts';
import type { Batch, EncodedRow } from './types.ts';

/** What is known of every usable row after one pass: four numbers a row, so that a million rows are 16 MB. */
export interface RowTable {
  /** Index in the dataset. */
  index: Uint32Array;
  /** Tokens after truncation. */
  tokens: Uint32Array;
  /** Labels that count. */
  targets: Uint32Array;
  /** Hash of the normalised prompt: equal prompts stay on one side of the split. */
  prompt: Uint32Array;
}

export interface Cursor {
  epoch: number;
  /** Windows of this epoch that are done. */
  window: number;
}

export const START: Cursor = { epoch: 0, window: 0 };

export interface LoadedWindow {
  batches: Batch[];
  next: Cursor;
  /** Passes over the data when this window is done. */
  epoch: number;
  endsEpoch: boolean;
}

type LoaderSettings = Pick<
  TrainingConfig,
  'numTrainEpochs' | 'maxSteps' | 'perDeviceTrainBatchSize' | 'gradientAccumulationSteps' | 'warmupRatio' | 'warmupSteps' | 'seed' | 'shuffle' | 'packing' | 'validationSplit'
> & { maxLength: number };

const SPLIT_STREAM = 0xffff_fffe;

/** FNV-1a over the prompt in lower case with runs of white space as one: near-equal prompts count as equal. */
export function promptHash(prompt: string): number {
  const text = prompt.toLowerCase().replace(/\s+/gu, ' ').trim();
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return h;
}

/**
 * Splits table positions into training and held out. Whole groups of one prompt go to one side, in an order decided by the
 * seed, until the share is reached. At least one row is kept for training.
 */
export function splitRows(table: RowTable, share: number, seed: number): { train: Uint32Array; heldOut: Uint32Array } {
  const n = table.index.length;
  const wanted = Math.min(Math.round(n * share), n - 1);
  if (wanted <= 0) return { train: Uint32Array.from({ length: n }, (_, i) => i), heldOut: new Uint32Array() };
  const sizes = new Map<number, number>();
  for (const prompt of table.prompt) sizes.set(prompt, (sizes.get(prompt) ?? 0) + 1);
  const groups = [...sizes.keys()].sort((a, b) => hash32(seed, SPLIT_STREAM, a) - hash32(seed, SPLIT_STREAM, b) || a - b);
  const chosen = new Set<number>();
  let taken = 0;
  for (const group of groups) {
    const size = sizes.get(group)!;
    if (taken + size > wanted) continue;
    chosen.add(group);
    taken += size;
    if (taken === wanted) break;
  }
  const train: number[] = [];
  const heldOut: number[] = [];
  table.prompt.forEach((prompt, i) => (chosen.has(prompt) ? heldOut : train).push(i));
  return { train: Uint32Array.from(train), heldOut: Uint32Array.from(heldOut) };
}

export class TrainingLoader {
  readonly heldOut: Uint32Array;
  readonly train: Uint32Array;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  readonly warmupSteps: number;
  readonly #table: RowTable;
  readonly #settings: LoaderSettings;
  readonly #fetch: (indices: readonly number[]) => Promise<EncodedRow[]>;

  /**
   * @param fetch encoded rows by dataset index, in the order asked
   * @param heldOut dataset indices held out by an earlier session of the same run; the split is made anew without
   */
  constructor(table: RowTable, settings: LoaderSettings, fetch: (indices: readonly number[]) => Promise<EncodedRow[]>, heldOut?: Uint32Array) {
    this.#table = table;
    this.#settings = settings;
    this.#fetch = fetch;
    const split = heldOut ? splitByIndex(table, heldOut) : splitRows(table, settings.validationSplit, settings.seed);
    this.train = split.train;
    this.heldOut = split.heldOut;
    const bins = settings.packing ? this.#bins(0).length : this.train.length;
    const counts = countSteps(bins, settings);
    this.stepsPerEpoch = counts.stepsPerEpoch;
    this.totalSteps = counts.totalSteps;
    this.warmupSteps = counts.warmupSteps;
  }

  /** Dataset indices of the held-out rows. */
  get heldOutIndices(): Uint32Array {
    return this.heldOut.map((row) => this.#table.index[row]!);
  }

  /** Tokens and labels of one pass over the training rows. */
  get perEpoch(): { tokens: number; targets: number } {
    let tokens = 0;
    let targets = 0;
    for (const row of this.train) {
      tokens += this.#table.tokens[row]!;
      targets += this.#table.targets[row]!;
    }
    return { tokens, targets };
  }

  /** Bounds of any batch: tokens, labels, and the longest example. */
  get largestBatch(): { tokens: number; targets: number; positions: number } {
    const B = this.#settings.perDeviceTrainBatchSize;
    const rows = [...this.train, ...this.heldOut];
    const largest = (values: Uint32Array): number => {
      const sorted = Uint32Array.from(rows, (row) => values[row]!).sort().reverse();
      return sorted.subarray(0, B).reduce((a, b) => a + b, 0);
    };
    const positions = rows.reduce((max, row) => Math.max(max, this.#table.tokens[row]!), 1);
    if (!this.#settings.packing) return { tokens: largest(this.#table.tokens), targets: largest(this.#table.targets), positions };
    const tokens = Math.min(B * this.#settings.maxLength, rows.reduce((n, row) => n + this.#table.tokens[row]!, 0));
    return { tokens, targets: Math.min(tokens, rows.reduce((n, row) => n + this.#table.targets[row]!, 0)), positions };
  }

  /** Windows from a cursor on, epoch after epoch without end; the trainer counts steps. The next window is prepared while one is used. */
  async *windows(from: Cursor = START): AsyncGenerator<LoadedWindow> {
    let prepared: Promise<LoadedWindow> | null = null;
    for (const plan of this.#plans(from)) {
      const next = this.#load(plan);
      // The consumer awaits it below; a failure in the meantime must not count as unhandled.
      next.catch(() => {});
      if (prepared) yield await prepared;
      prepared = next;
    }
    if (prepared) yield await prepared;
  }

  /** Held-out batches, in the order of the file. */
  async *evaluation(): AsyncGenerator<Batch> {
    const B = this.#settings.perDeviceTrainBatchSize;
    for (let at = 0; at < this.heldOut.length; at += B) {
      const rows = await this.#fetch(Array.from(this.heldOut.subarray(at, at + B), (row) => this.#table.index[row]!));
      yield collate(rows.map((row) => [row]));
    }
  }

  *#plans(from: Cursor): Generator<{ bins: number[][]; next: Cursor; epoch: number; endsEpoch: boolean }> {
    const { perDeviceTrainBatchSize: B, gradientAccumulationSteps: G } = this.#settings;
    for (let { epoch, window } = from; this.train.length > 0; epoch++, window = 0) {
      const bins = this.#bins(epoch);
      const windows = Math.ceil(bins.length / (B * G));
      for (; window < windows; window++) {
        const endsEpoch = window + 1 === windows;
        yield {
          bins: bins.slice(window * B * G, (window + 1) * B * G),
          next: endsEpoch ? { epoch: epoch + 1, window: 0 } : { epoch, window: window + 1 },
          epoch: epoch + (window + 1) / windows,
          endsEpoch,
        };
      }
    }
  }

  async #load(plan: { bins: number[][]; next: Cursor; epoch: number; endsEpoch: boolean }): Promise<LoadedWindow> {
    const B = this.#settings.perDeviceTrainBatchSize;
    const rows = await this.#fetch(plan.bins.flat().map((row) => this.#table.index[row]!));
    let at = 0;
    const bins = plan.bins.map((bin) => bin.map(() => rows[at++]!));
    const batches: Batch[] = [];
    for (let i = 0; i < bins.length; i += B) batches.push(collate(bins.slice(i, i + B)));
    return { batches, next: plan.next, epoch: plan.epoch, endsEpoch: plan.endsEpoch };
  }

  /** Training rows of an epoch in their order, one or several a bin. */
  #bins(epoch: number): number[][] {
    const order = this.#settings.shuffle ? Array.from(permutation(this.train.length, this.#settings.seed, epoch), (i) => this.train[i]!) : [...this.train];
    if (!this.#settings.packing) return order.map((row) => [row]);
    const packed = packFirstFit(order.map((row) => this.#table.tokens[row]!), this.#settings.maxLength);
    return packed.map((bin) => bin.map((i) => order[i]!));
  }
}

function splitByIndex(table: RowTable, heldOutIndices: Uint32Array): { train: Uint32Array; heldOut: Uint32Array } {
  const out = new Set(heldOutIndices);
  const train: number[] = [];
  const heldOut: number[] = [];
  table.index.forEach((index, i) => (out.has(index) ? heldOut : train).push(i));
  return { train: Uint32Array.from(train), heldOut: Uint32Array.from(heldOut) };
}
