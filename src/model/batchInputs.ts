/**
 * Owns the way of a batch onto the GPU. Rows of different lengths, left or right padding and packed segments all become
 * one list of real tokens laid end to end: padding costs nothing, and attention is bounded by three numbers a token.
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

/** The same arrays as GPU tensors of fixed capacity. */
export class BatchInputs {
  readonly maxTokens: number;
  readonly maxTargets: number;
  readonly ids: Tensor;
  readonly positions: Tensor;
  readonly keyStart: Tensor;
  readonly keyEnd: Tensor;
  readonly queryEnd: Tensor;
  readonly targetRows: Tensor;
  readonly targetLabels: Tensor;
  readonly slot: Tensor;
  readonly #engine: Engine;

  constructor(engine: Engine, maxTokens: number, maxTargets: number) {
    this.#engine = engine;
    this.maxTokens = maxTokens;
    this.maxTargets = maxTargets;
    const make = (label: string, n: number): Tensor => createTensor(engine, label, n);
    this.ids = make('ids', maxTokens);
    this.positions = make('positions', maxTokens);
    this.keyStart = make('key start', maxTokens);
    this.keyEnd = make('key end', maxTokens);
    this.queryEnd = make('query end', maxTokens);
    this.slot = make('slot', maxTokens);
    this.targetRows = make('target rows', maxTargets);
    this.targetLabels = make('target labels', maxTargets);
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
    write(this.keyStart, flat.keyStart);
    write(this.keyEnd, flat.keyEnd);
    write(this.queryEnd, flat.queryEnd);
    write(this.slot, flat.slot);
    write(this.targetRows, flat.targetRows);
    write(this.targetLabels, flat.targetLabels);
  }

  destroy(): void {
    for (const t of [this.ids, this.positions, this.keyStart, this.keyEnd, this.queryEnd, this.slot, this.targetRows, this.targetLabels]) {
      destroyTensor(this.#engine, t);
    }
  }
}
