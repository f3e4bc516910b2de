/**
 * Which kernel serves a matrix product: what there is to choose from, what this device can run, and the choice where nobody made one.
 * Refuses to know how a choice is measured (autotune.ts).
 *   direct        registers only, one thread a tile: runs everywhere, no barriers
 *   subgroup      registers, one operand broadcast between lanes: no barriers; wins on software adapters
 *   tiled         workgroup memory and barriers, 64 x 64 a workgroup: wins on GPUs
 *   tiled32x32    the same with small tiles, for products too small to fill a GPU with larger ones
 *   tiled64x64, tiled128x64, tiled128x128    twice the sums a thread: fewer reads of workgroup memory a sum
 *   tiled64x64by2    the same by twice the threads, each half of the sum: for products too small to fill a GPU with one thread for all of it
 *   tiledThin     half the rows a tile, twice the slices of the sum: for skinny products, which have few tiles
 *   split         a long sum dealt to several workgroups, added up by a dispatch of its own: where the output is too small to fill a GPU
 *   row           for at most 4 rows: bound by reading the weight once
 */
import type { Engine } from './device.ts';
import { rowVariantsInForce } from './rowVariants.ts';

/** A side of a product at most this long is skinny: LoRA's rank. */
export const SKINNY = 32;
/** At most this many rows is a row product: generation. */
export const FEW_ROWS = 4;

export type TiledVariant = 'tiled' | 'tiled32x32' | 'tiled64x64' | 'tiled64x64by2' | 'tiled128x64' | 'tiled128x128' | 'tiledThin';
export type MatrixVariant = 'matrix' | 'matrix64x64';
export type MatmulVariant = 'direct' | 'subgroup' | 'row' | 'split' | TiledVariant | MatrixVariant;

const SKINNY_VARIANTS = ['direct', 'subgroup', 'tiled', 'tiledThin'] as const;
const WIDE = ['direct', 'subgroup', 'tiled', 'tiled32x32', 'tiled64x64', 'tiled64x64by2', 'tiled128x64', 'tiled128x128', 'matrix', 'matrix64x64'] as const;

/** Shape class -> variants. NT: x W^T, skinny = few columns of y. NN: dy W, skinny = few columns of dx. TN: A^T B. */
export const VARIANTS = {
  'matmulNT.wide': WIDE,
  'matmulNT.skinny': SKINNY_VARIANTS,
  'matmulNT.row': ['direct', 'subgroup', 'row'],
  'matmulNN.wide': [...WIDE, 'split'],
  'matmulNN.skinny': SKINNY_VARIANTS,
  'matmulTN.skinny': [...SKINNY_VARIANTS, 'split'],
} as const satisfies Record<string, readonly MatmulVariant[]>;

export type ShapeClass = keyof typeof VARIANTS;
export const SHAPE_CLASSES = Object.keys(VARIANTS) as ShapeClass[];

/** Kernels broadcast from lanes 0 to 3. */
const broadcasts = (e: Engine): boolean => e.info.subgroups && (e.device.adapterInfo.subgroupMinSize ?? 0) >= 4;

/** The variants of a class that this device can run. */
export function availableVariants(e: Engine, shape: ShapeClass): MatmulVariant[] {
  return VARIANTS[shape].filter((v) => (v === 'subgroup' ? broadcasts(e) : v === 'matrix' || v === 'matrix64x64' ? e.info.subgroupMatrix !== null : true));
}

/** Measured on SwiftShader and lavapipe: a skinny NN has too few columns for lanes to share, one row too few rows. */
const SOFTWARE_FIRST: Partial<Record<ShapeClass, MatmulVariant>> = { 'matmulNN.skinny': 'direct', 'matmulNT.row': 'direct' };

const firstOf = (available: readonly MatmulVariant[], names: (string | undefined)[]): MatmulVariant =>
  names.map((name) => available.find((v) => v === name)).find((v) => v !== undefined) ?? 'direct';

/** What serves this class on this kind of device where nobody chose. */
export function defaultVariant(e: Engine, shape: ShapeClass): MatmulVariant {
  return firstOf(availableVariants(e, shape), e.info.software ? [SOFTWARE_FIRST[shape], 'subgroup'] : ['tiled', 'row']);
}

/**
 * The variant that will be used: engine.variants' for this very product where the device can run it, else for its class, else the default.
 * @param key the product, as keyOf names it
 */
export function chosenVariant(e: Engine, shape: ShapeClass, key?: string): MatmulVariant {
  return firstOf(availableVariants(e, shape), [key === undefined ? undefined : e.variants[key], e.variants[shape], defaultVariant(e, shape)]);
}

/** Names a product in engine.variants: its class, the most rows it may have, both sides of its weight, how that is stored, and how many products are side by side in it. */
export const keyOf = (shape: ShapeClass, rows: number, n: number, k: number, dtype: string, joined = 1): string =>
  `${shape} ${rows}x${n}x${k} ${dtype}${joined > 1 ? ` joined ${joined}` : ''}`;

/** Every class, those of rowVariants.ts included, with the variant in force, and what was chosen for single products: for a run to record. */
export const variantsInForce = (e: Engine): Record<string, string> => ({
  ...Object.fromEntries(SHAPE_CLASSES.map((shape) => [shape, chosenVariant(e, shape)])),
  ...rowVariantsInForce(e),
  ...Object.fromEntries(Object.entries(e.variants).filter(([key]) => key.includes(' '))),
});
