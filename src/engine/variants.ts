/**
 * Which kernel serves a shape class of a matrix product: what there is to choose from, what this device can run, and the choice where nobody made one.
 * Refuses to know how a choice is measured (autotune.ts).
 *   direct    registers only, one thread a tile: runs everywhere, no barriers
 *   subgroup  registers, one operand broadcast between lanes: no barriers; wins on software adapters
 *   tiled     workgroup memory and barriers: wins on GPUs
 *   row       for at most 4 rows: bound by reading the weight once
 */
import type { Engine } from './device.ts';
import { rowVariantsInForce } from './rowVariants.ts';

/** A side of a product at most this long is skinny: LoRA's rank. */
export const SKINNY = 32;
/** At most this many rows is a row product: generation. */
export const FEW_ROWS = 4;

export type MatmulVariant = 'direct' | 'subgroup' | 'tiled' | 'row';

/** Shape class -> variants. NT: x W^T, skinny = few columns of y. NN: dy W, skinny = few columns of dx. TN: A^T B. */
export const VARIANTS = {
  'matmulNT.wide': ['direct', 'subgroup', 'tiled'],
  'matmulNT.skinny': ['direct', 'subgroup', 'tiled'],
  'matmulNT.row': ['direct', 'subgroup', 'row'],
  'matmulNN.wide': ['direct', 'subgroup', 'tiled'],
  'matmulNN.skinny': ['direct', 'subgroup', 'tiled'],
  'matmulTN.skinny': ['direct', 'subgroup', 'tiled'],
} as const satisfies Record<string, readonly MatmulVariant[]>;

export type ShapeClass = keyof typeof VARIANTS;
export const SHAPE_CLASSES = Object.keys(VARIANTS) as ShapeClass[];

/** Kernels broadcast from lanes 0 to 3. */
const broadcasts = (e: Engine): boolean => e.info.subgroups && (e.device.adapterInfo.subgroupMinSize ?? 0) >= 4;

/** The variants of a class that this device can run. */
export function availableVariants(e: Engine, shape: ShapeClass): MatmulVariant[] {
  return VARIANTS[shape].filter((v) => v !== 'subgroup' || broadcasts(e));
}

/** Measured on SwiftShader and lavapipe: a skinny NN has too few columns for lanes to share, one row too few rows. */
const SOFTWARE_FIRST: Partial<Record<ShapeClass, MatmulVariant>> = { 'matmulNN.skinny': 'direct', 'matmulNT.row': 'direct' };

const firstOf = (available: readonly MatmulVariant[], names: (string | undefined)[]): MatmulVariant =>
  names.map((name) => available.find((v) => v === name)).find((v) => v !== undefined) ?? 'direct';

/** What serves this class on this kind of device where nobody chose. */
export function defaultVariant(e: Engine, shape: ShapeClass): MatmulVariant {
  return firstOf(availableVariants(e, shape), e.info.software ? [SOFTWARE_FIRST[shape], 'subgroup'] : ['tiled', 'row']);
}

/** The variant that will be used: engine.variants' where the device can run it, else the default. */
export function chosenVariant(e: Engine, shape: ShapeClass): MatmulVariant {
  return firstOf(availableVariants(e, shape), [e.variants[shape], defaultVariant(e, shape)]);
}

/** Every class, those of rowVariants.ts included, with the variant in force, for a run to record. */
export const variantsInForce = (e: Engine): Record<string, string> => ({
  ...Object.fromEntries(SHAPE_CLASSES.map((shape) => [shape, chosenVariant(e, shape)])),
  ...rowVariantsInForce(e),
});
