/** Owns moving whole rows: to the labelled positions, back from them, and into the key/value cache. */
import gatherBody from '../../../shaders/gather_rows.wgsl?raw';
import appendBody from '../../../shaders/kv_append.wgsl?raw';
import scatterBody from '../../../shaders/scatter_rows.wgsl?raw';
import type { Engine } from '../device.ts';
import { compileKernel, linearGrid, rowCount, rowParams, type Op, type Rows } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { vecWidth, withVec } from './vec.ts';

/** In a slot tensor: no row, zeros. */
export const NO_SLOT = 0xffff_ffff;

export interface GatherRowsArgs {
  label: string;
  /** R; a chunk of the targets reads index from its start on and fills out from row 0. */
  rows: Rows;
  cols: number;
  /** u32 [start + R] */
  index: Tensor;
  /** [*, cols] */
  x: Tensor;
  /** [R, cols], overwritten. */
  out: Tensor;
}

/** out[i] = x[index[start + i]] */
export function gatherRows(e: Engine, { label, rows, cols, index, x, out }: GatherRowsArgs): Op[] {
  return [{
    ...compileKernel(e, { name: 'gather_rows', body: withVec(vecWidth(cols), gatherBody), access: ['read', 'read', 'write'] }),
    label: `${label} gatherRows`,
    params: [...rowParams(rows), cols / vecWidth(cols)],
    tensors: [index, x, out],
    grid: (dims) => linearGrid((rowCount(rows, dims) * cols) / vecWidth(cols), 64),
    flops: (dims) => rowCount(rows, dims) * cols,
  }];
}

export interface ScatterRowsArgs {
  label: string;
  cols: number;
  /** u32 [M]: the row of x that token m receives, or NO_SLOT. */
  slot: Tensor;
  /** [*, cols] */
  x: Tensor;
  /** [M, cols], overwritten whole. */
  out: Tensor;
}

/** out[m] = x[slot[m]], or zeros where there is none. */
export function scatterRows(e: Engine, { label, cols, slot, x, out }: ScatterRowsArgs): Op[] {
  return [{
    ...compileKernel(e, { name: 'scatter_rows', body: withVec(vecWidth(cols), scatterBody), access: ['read', 'read', 'write'] }),
    label: `${label} scatterRows`,
    params: [cols / vecWidth(cols)],
    tensors: [slot, x, out],
    grid: ({ tokens }) => linearGrid((tokens * cols) / vecWidth(cols), 64),
    flops: ({ tokens }) => tokens * cols,
  }];
}

export interface KvAppendArgs {
  label: string;
  cols: number;
  /** [M, cols] */
  src: Tensor;
  /** [*, cols]; rows kvPast .. kvPast + M are written. */
  cache: Tensor;
}

/** cache[step.kv_past + m] = src[m] */
export function kvAppend(e: Engine, { label, cols, src, cache }: KvAppendArgs): Op[] {
  return [{
    ...compileKernel(e, { name: 'kv_append', body: withVec(vecWidth(cols), appendBody), access: ['read', 'write'] }),
    label: `${label} kvAppend`,
    params: [cols / vecWidth(cols)],
    tensors: [src, cache],
    grid: ({ tokens }) => linearGrid((tokens * cols) / vecWidth(cols), 64),
    flops: ({ tokens }) => tokens * cols,
  }];
}
