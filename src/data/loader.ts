/**
 * Owns the order in which a run sees its rows: shuffled by (seed, epoch), grouped into batches and those into windows of
 * one optimizer step, resumable from a cursor of two numbers. Refuses to know how a row is read, encoded and trained on.
 */
import type { BalancedRows } from './balance.ts';
import { collatePacked, examplesOf, packExamples, type Packs } from './collator.ts';
import { permutation } from './random.ts';
import { countTargets, type Batch, type EncodedRow } from './types.ts';

/** The window to feed next. */
export interface DataCursor {
  /** 0-based. */
  epoch: number;
  /** 0-based optimizer step inside the epoch. */
  window: number;
}

/** What one optimizer step sees. */
export interface Window {
  batches: Batch[];
  /** Labels that count, over all batches. */
  targets: number;
  /** Real tokens, padding left out. */
  tokens: number;
  cursor: DataCursor;
  /** Where to go on after this window. */
  next: DataCursor;
  /** Epochs seen once this window is done, e.g. 1.5. */
  epochAfter: number;
}

/** Encoded rows by dataset index, in the order asked for. */
export type RowSource = (indices: number[]) => Promise<EncodedRow[]>;

export interface LoaderOptions {
  /** Rows to train on, by dataset index, in file order. Each has at least one target. */
  rows: Int32Array;
  /** Kept tokens of each dataset row, by dataset index. */
  lengths: Int32Array;
  batchSize: number;
  gradientAccumulationSteps: number;
  seed: number;
  shuffle: boolean;
  packing: boolean;
  /** Tokens of a packed row. */
  maxLength: number;
  /** Draws rows by group in place of each of `rows` once. With packing it draws the same rows every epoch. */
  balance?: BalancedRows;
}

export const START: DataCursor = { epoch: 0, window: 0 };

export class DataLoader {
  readonly batchesPerEpoch: number;
  /** Optimizer steps an epoch; a last partial window is a step, as in transformers. */
  readonly stepsPerEpoch: number;
  /** The rows of each pack, made once, in file order, so that every epoch has as many; null where single rows are shuffled. */
  readonly #packs: Packs | null;
  readonly #numUnits: number;
  readonly #source: RowSource;
  readonly #options: LoaderOptions;

  constructor(source: RowSource, options: LoaderOptions) {
    this.#source = source;
    this.#options = options;
    const { rows, lengths, packing, maxLength, batchSize, gradientAccumulationSteps, balance } = options;
    const rowsPerEpoch = balance?.rowsPerEpoch ?? rows.length;
    if (rowsPerEpoch === 0) throw new RangeError('a loader needs at least one row');
    this.#packs = packing ? packExamples(balance?.epoch(0) ?? rows, lengths, maxLength) : null;
    this.#numUnits = this.#packs?.count ?? rowsPerEpoch;
    this.batchesPerEpoch = Math.ceil(this.#numUnits / batchSize);
    this.stepsPerEpoch = Math.ceil(this.batchesPerEpoch / gradientAccumulationSteps);
  }

  /** Windows from `cursor` on, epoch after epoch without end; the next one is read while the last is worked on. */
  async *windows(cursor: DataCursor = START): AsyncGenerator<Window, never> {
    let loading = this.#load(cursor);
    for (;;) {
      const window = await loading;
      loading = this.#load(window.next);
      // A consumer that stops here never awaits it.
      loading.catch(() => undefined);
      yield window;
    }
  }

  async #load({ epoch, window }: DataCursor): Promise<Window> {
    const { batchSize, gradientAccumulationSteps } = this.#options;
    const { order, rows: drawn } = this.#order(epoch);
    const from = window * gradientAccumulationSteps * batchSize;
    const units = Array.from(order.subarray(from, from + gradientAccumulationSteps * batchSize), (unit) => (this.#packs ? [...examplesOf(this.#packs, unit)] : [drawn[unit]!]));
    if (units.length === 0) throw new RangeError(`epoch ${epoch} has ${this.stepsPerEpoch} windows, not ${window + 1}`);
    const rows = await this.#source(units.flat());
    const batches: Batch[] = [];
    let at = 0;
    for (let i = 0; i < units.length; i += batchSize) {
      const packs = units.slice(i, i + batchSize).map((unit) => rows.slice(at, (at += unit.length)));
      batches.push(collatePacked(packs));
    }
    const last = window + 1 >= this.stepsPerEpoch;
    return {
      batches,
      targets: batches.reduce((sum, batch) => sum + countTargets(batch), 0),
      tokens: rows.reduce((sum, row) => sum + row.inputIds.length, 0),
      cursor: { epoch, window },
      next: last ? { epoch: epoch + 1, window: 0 } : { epoch, window: window + 1 },
      epochAfter: epoch + (window + 1) / this.stepsPerEpoch,
    };
  }

  /** The packed sequence a row is in: its number from 0, and its rows in order. Null without packing, or for a row that is not among these. */
  packOf(row: number): { number: number; of: number; rows: readonly number[] } | null {
    if (!this.#packs) return null;
    const at = this.#packs.examples.indexOf(row);
    if (at < 0) return null;
    let number = 0;
    while (this.#packs.starts[number + 1]! <= at) number++;
    return { number, of: this.#numUnits, rows: [...examplesOf(this.#packs, number)] };
  }

  #ordered: { epoch: number; order: Int32Array; rows: Int32Array } | null = null;

  /** Units in the order of an epoch, and the rows that single units stand for. */
  #order(epoch: number): { order: Int32Array; rows: Int32Array } {
    const { shuffle, seed, balance, rows } = this.#options;
    if (this.#ordered?.epoch !== epoch) {
      const n = this.#numUnits;
      this.#ordered = {
        epoch,
        order: shuffle ? permutation(n, seed, epoch) : new Int32Array(n).map((_, i) => i),
        rows: balance && !this.#packs ? balance.epoch(epoch) : rows,
      };
    }
    return this.#ordered;
  }
}

/** Rows once, in the order given, `batchSize` a batch: for validation. */
export async function* batchesInOrder(source: RowSource, rows: ArrayLike<number>, batchSize: number): AsyncGenerator<Batch> {
  for (let from = 0; from < rows.length; from += batchSize) {
    const indices = Array.from({ length: Math.min(batchSize, rows.length - from) }, (_, i) => rows[from + i]!);
    yield collatePacked((await source(indices)).map((row) => [row]));
  }
}
