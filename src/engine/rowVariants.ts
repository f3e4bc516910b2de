/**
 * Which kernel serves attention, RMSNorm and cross-entropy on a device: what there is to choose from and the default.
 *   direct     a thread a query or key and head, in registers, no barriers: software adapters
 *   tiled      a workgroup stages keys and values in workgroup memory: GPUs
 *   tiledHalf, tiledQuarter   the same with a half and a quarter of a row a thread: more threads, for a GPU that short batches leave idle
 *   tiledPairs  a quarter of two rows a thread: half the reads of workgroup memory
 *   blocked     scores and sums as products of tiles, several rows and columns a thread: a quarter of the reads again
 *   split      a workgroup a query and head, the keys split over its threads: few queries on a GPU
 *   row        a thread a row, no barriers: software adapters
 *   group      a workgroup a row: GPUs
 */
import type { Engine } from './device.ts';

/** Class of work -> variants: the one for software adapters first, then the one for GPUs where nothing was measured. */
export const ROW_VARIANTS = {
  attention: ['direct', 'tiled', 'tiledHalf', 'tiledQuarter', 'tiledPairs', 'blocked'],
  /** At most FEW_QUERIES queries: generation. */
  'attention.decode': ['direct', 'split'],
  attentionBackward: ['direct', 'tiled', 'tiledHalf', 'tiledQuarter', 'tiledPairs', 'blocked'],
  rmsNorm: ['row', 'group'],
  crossEntropy: ['row', 'group'],
} as const;

export type RowClass = keyof typeof ROW_VARIANTS;
export type RowVariant<C extends RowClass> = (typeof ROW_VARIANTS)[C][number];

export const FEW_QUERIES = 4;

/**
 * The variant that will be used: engine.variants' for this very operation or else for its class, if it names one of the class; else the default for the kind of device.
 * @param key the operation, as its Choice names it
 */
export function chosenRowVariant<C extends RowClass>(e: Engine, kind: C, key?: string): RowVariant<C> {
  const variants: readonly RowVariant<C>[] = ROW_VARIANTS[kind];
  const named = (name: string | undefined): RowVariant<C> | undefined => variants.find((v) => v === name);
  return (key === undefined ? undefined : named(e.variants[key])) ?? named(e.variants[kind]) ?? variants.at(e.info.software ? 0 : 1)!;
}

/** Every class with the variant in force, for a run to record. */
export const rowVariantsInForce = (e: Engine): Record<string, string> =>
  Object.fromEntries((Object.keys(ROW_VARIANTS) as RowClass[]).map((kind) => [kind, chosenRowVariant(e, kind)]));
