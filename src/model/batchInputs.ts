/**
 * Owns the way of a batch onto the GPU. Rows of different lengths, left or right padding and packed segments all become
 * one list of real tokens laid end to end: padding costs nothing, and attention is bounded by three numbers a token. A sliding window
 * is only another pair of two of them.
 */
import type { Engine } from '../engine/device.ts';
import type { StepDims } from '../engine/kernel.ts';
import { createTensor, destroyTensor, writeTensor, type Tensor } from '../engine/tensor.ts';

/** The part of the data room's batch type this needs; rows of [B, T], row-major. */
export interface BatchLike {
  shape: [batch: number, tokens: number];
  inputIds: Int32Array;
  labels: Int32Array;
  positions: Int32Array;
  segments: Int32Array;
}

export interface FlatBatch extends StepDims {
  ids: Uint32Array;
  positions: Uint32Array;
  /** Query i attends keys keyStart[i] .. keyEnd[i] - 1; key j is attended by queries j .. queryEnd[j] - 1. */
  keyStart: Uint32Array;
  keyEnd: Uint32Array;
  queryEnd: Uint32Array;
  /** Tokens whose next token carries a label, and that label. */
  targetRows: Uint32Array;
  targetLabels: Uint32Array;
  /** Index into targetRows, or NO_SLOT. */
  slot: Uint32Array;
  /** Place of each token in the padded [B, T]. */
  source: Uint32Array;
}

export const NO_SLOT = 0xffff_ffff;

/**
 * Drops padding (segment 0) and shifts labels: token t predicts labels[t + 1] if both are of one segment.
 * @param targets 'labels', or 'all' to make every token a target (label 0): used to read logits everywhere.
 */
export function flattenBatch(batch: BatchLike, targets: 'labels' | 'all' = 'labels'): FlatBatch {
  const [B, T] = batch.shape;
  const source: number[] = [];
  for (let i = 0; i < B * T; i++) if (batch.segments[i] !== 0) source.push(i);
  const M = source.length;
  const flat: FlatBatch = {
    tokens: M,
    targets: 0,
    ids: new Uint32Array(M),
    positions: new Uint32Array(M),
    keyStart: new Uint32Array(M),
    keyEnd: new Uint32Array(M),
    queryEnd: new Uint32Array(M),
    targetRows: new Uint32Array(0),
    targetLabels: new Uint32Array(0),
    slot: new Uint32Array(M).fill(NO_SLOT),
    source: Uint32Array.from(source),
  };
  const sameSegment = (i: number, j: number): boolean =>
    j < M && Math.floor(source[i]! / T) === Math.floor(source[j]! / T) && batch.segments[source[i]!] === batch.segments[source[j]!];
  const rows: number[] = [];
  const labels: number[] = [];
  for (let start = 0; start < M; ) {
    let end = start + 1;
    while (sameSegment(start, end)) end++;
    for (let i = start; i < end; i++) {
      const at = source[i]!;
      flat.ids[i] = batch.inputIds[at]!;
      flat.positions[i] = batch.positions[at]!;
      flat.keyStart[i] = start;
      flat.keyEnd[i] = i + 1;
      flat.queryEnd[i] = end;
      const next = i + 1 < end ? batch.labels[source[i + 1]!]! : -100;
      if (targets === 'all' || next !== -100) {
        flat.slot[i] = rows.length;
        rows.push(i);
        labels.push(targets === 'all' ? 0 : next);
      }
    }
    start = end;
  }
  flat.targets = rows.length;
  flat.targetRows = Uint32Array.from(rows);
  flat.targetLabels = Uint32Array.from(labels);
  return flat;
}

/** Query i of a window w sees the last w keys before keyEnd[i]; so key j is seen by the queries j .. j + w - 1 (masking_utils.py of transformers: kv > q - w). */
export function narrow({ keyStart, keyEnd, queryEnd }: Pick<FlatBatch, 'keyStart' | 'keyEnd' | 'queryEnd'>, window: number): Pick<FlatBatch, 'keyStart' | 'queryEnd'> {
  return {
    keyStart: keyStart.map((start, i) => Math.max(start, keyEnd[i]! - window)),
    queryEnd: queryEnd.map((end, j) => Math.min(end, j + window)),
  };
}

/** Where the keys of a query begin and the queries of a key end. */
interface Reach {
  keyStart: Tensor;
  queryEnd: Tensor;
}

/** The same arrays as GPU tensors of fixed capacity. */
export class BatchInputs {
  readonly maxTokens: number;
  readonly maxTargets: number;
  readonly ids: Tensor;
  readonly positions: Tensor;
  readonly keyEnd: Tensor;
  readonly targetRows: Tensor;
  readonly targetLabels: Tensor;
  readonly slot: Tensor;
  readonly #engine: Engine;
  readonly #reach = new Map<number | null, Reach>();

  /** @param windows the sliding windows that layers use; null is none */
  constructor(engine: Engine, maxTokens: number, maxTargets: number, windows: readonly (number | null)[]) {
    this.#engine = engine;
    this.maxTokens = maxTokens;
    this.maxTargets = maxTargets;
    const make = (label: string, n: number): Tensor => createTensor(engine, label, n);
    this.ids = make('ids', maxTokens);
    this.positions = make('positions', maxTokens);
    this.keyEnd = make('key end', maxTokens);
    for (const window of windows) {
      const of = window === null ? '' : ` in a window of ${window}`;
      this.#reach.set(window, { keyStart: make(`key start${of}`, maxTokens), queryEnd: make(`query end${of}`, maxTokens) });
    }
    this.slot = make('slot', maxTokens);
    this.targetRows = make('target rows', maxTargets);
    this.targetLabels = make('target labels', maxTargets);
  }

  /** For layers with this window. */
  reach(window: number | null): Reach {
    const reach = this.#reach.get(window);
    if (!reach) throw new Error(`no layer was to have a window of ${window}`);
    return reach;
  }

  upload(flat: FlatBatch): void {
    if (flat.tokens > this.maxTokens || flat.targets > this.maxTargets) {
      throw new Error(`a batch of ${flat.tokens} tokens and ${flat.targets} targets exceeds the plan (${this.maxTokens}, ${this.maxTargets})`);
    }
    const write = (tensor: Tensor, data: Uint32Array): void => {
      if (data.length > 0) writeTensor(this.#engine, tensor, data);
    };
    write(this.ids, flat.ids);
    write(this.positions, flat.positions);
    write(this.keyEnd, flat.keyEnd);
    for (const [window, tensors] of this.#reach) {
      const { keyStart, queryEnd } = window === null ? flat : narrow(flat, window);
      write(tensors.keyStart, keyStart);
      write(tensors.queryEnd, queryEnd);
    }
    write(this.slot, flat.slot);
    write(this.targetRows, flat.targetRows);
    write(this.targetLabels, flat.targetLabels);
  }

  destroy(): void {
    const reaches = [...this.#reach.values()].flatMap(({ keyStart, queryEnd }) => [keyStart, queryEnd]);
    for (const t of [this.ids, this.positions, this.keyEnd, ...reaches, this.slot, this.targetRows, this.targetLabels]) {
      destroyTensor(this.#engine, t);
    }
  }
}
