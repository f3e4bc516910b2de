/**
 * Owns how the kernels of a matrix product are put together and laid over an output: tile sizes, lanes, workgroups. Refuses to know which product it is.
 */
import lowRank from '../../../shaders/lib/low_rank.wgsl?raw';
import lowRankNone from '../../../shaders/lib/low_rank_none.wgsl?raw';
import lowRankRow from '../../../shaders/lib/low_rank_row.wgsl?raw';
import lowRankRowNone from '../../../shaders/lib/low_rank_row_none.wgsl?raw';
import rowBeside from '../../../shaders/lib/row_beside.wgsl?raw';
import rowBesideNone from '../../../shaders/lib/row_beside_none.wgsl?raw';
import rowNorm from '../../../shaders/lib/row_norm.wgsl?raw';
import rowNormNone from '../../../shaders/lib/row_norm_none.wgsl?raw';
import segmentsLib from '../../../shaders/lib/segments.wgsl?raw';
import segmentsNone from '../../../shaders/lib/segments_none.wgsl?raw';
import sums from '../../../shaders/lib/sums.wgsl?raw';
import tile from '../../../shaders/lib/tile.wgsl?raw';
import type { Engine } from '../device.ts';
import { linearGrid, type KernelSpec } from '../kernel.ts';
import type { Segments } from '../segments.ts';
import type { MatmulVariant, TiledVariant } from '../variants.ts';

export type Grid = [number, number, number];

/** A side of an output: so many rows or columns, or those of each of several products side by side, whose tiles begin anew. */
export type Side = number | readonly number[];

/** A kernel body, its constants, and its workgroups for `rows` x `columns` of output. */
export interface Launch {
  body: string;
  constants?: Record<string, number | boolean>;
  grid: (rows: Side, columns: Side) => Grid;
}

/** Tiles of this size along a side. */
export const over = (side: Side, size: number): number =>
  typeof side === 'number' ? Math.ceil(side / size) : side.reduce((sum, n) => sum + Math.ceil(n / size), 0);

/** A thread a 4 x 4 tile. */
export const directLaunch = (body: string): Launch => ({ body, grid: (rows, columns) => linearGrid(over(rows, 4) * over(columns, 4), 32) });

/** Threads that broadcast to each other: software adapters have subgroups of 4 and 8, a GPU's would be left half empty by so few. */
export const lanesOf = (e: Engine): number => (e.info.software ? 8 : 32);
/** Rows (or columns) that lanes share: 16 where there are more than 8. More of them amortise what a thread loads of its own. */
export const sharedBy = (extent: number): { TALL: boolean; height: number } => (extent > 8 ? { TALL: true, height: 16 } : { TALL: false, height: 8 });

/** Kernels that broadcast between lanes, with their eight rows of sums. */
export const withSums = (body: string): string => `${sums}\n${body}`;
/** How the columns of a product side by side with others are found. */
export const segmentLibrary = (segments: Segments | undefined): string => (segments ? segmentsLib : segmentsNone);

/** Workgroups that a split sum is dealt to. */
export const SPLITS = 8;

/** A workgroup a tile of TY * 8 rows x TX * 4 columns, twice as many where WIDE (lib/tile.wgsl). */
interface TileShape {
  TX: number;
  TY: number;
  SLICES: number;
  DEPTH: number;
  WIDE: boolean;
}
/** Within 16 KB of workgroup memory and 256 threads, which every device has. */
const TILES: Record<TiledVariant | 'skinny', TileShape> = {
  'tiled': { TX: 16, TY: 8, SLICES: 1, DEPTH: 16, WIDE: false },
  'tiled32x32': { TX: 8, TY: 4, SLICES: 2, DEPTH: 16, WIDE: false },
  'tiled64x64': { TX: 8, TY: 8, SLICES: 1, DEPTH: 16, WIDE: true },
  'tiled64x64by2': { TX: 8, TY: 8, SLICES: 2, DEPTH: 8, WIDE: true },
  'tiled128x64': { TX: 8, TY: 16, SLICES: 1, DEPTH: 16, WIDE: true },
  'tiled128x128': { TX: 16, TY: 16, SLICES: 1, DEPTH: 8, WIDE: true },
  'tiledThin': { TX: 4, TY: 1, SLICES: 16, DEPTH: 64, WIDE: false },
  'skinny': { TX: 4, TY: 2, SLICES: 8, DEPTH: 32, WIDE: false },
};
/**
 * Where a device has more of it: so many steps of the sum in workgroup memory that every thread has a block to fetch, or half as many. Skinny products, which
 * have few tiles and wait for memory, also get twice the slices.
 */
const DEEPER: Partial<Record<TiledVariant | 'skinny', readonly [memory: number, shape: Partial<TileShape>][]>> = {
  'tiled': [[32_768, { DEPTH: 32 }]],
  'tiled32x32': [[32_768, { DEPTH: 32 }]],
  'tiled64x64by2': [[32_768, { DEPTH: 32 }]],
  'tiled128x128': [[49_152, { DEPTH: 32 }], [32_768, { DEPTH: 16 }]],
  'tiledThin': [[32_768, { SLICES: 32, DEPTH: 128 }]],
  'skinny': [[32_768, { SLICES: 16, DEPTH: 128 }]],
};
/** SwiftShader compiles the zeroing of that memory word by word, 2 s for 8 KB, and tiles only run on software to be tested: there they are shallow. */
export const tileOf = (e: Engine, variant: TiledVariant, skinny: boolean): TileShape => {
  const name = skinny && variant !== 'tiledThin' ? 'skinny' : variant;
  const shape = TILES[name];
  if (e.info.software) return { ...shape, ...(skinny ? { SLICES: name === 'skinny' ? 2 : 4, DEPTH: 8 } : { DEPTH: 4 }) };
  return { ...shape, ...DEEPER[name]?.find(([memory]) => e.limits.maxComputeWorkgroupStorageSize >= memory)?.[1] };
};
export const isTiled = (variant: MatmulVariant): variant is TiledVariant => variant.startsWith('tiled');

/** `splits`: workgroups that share each tile's sum. */
export const tiledLaunch = (body: string, shape: TileShape, constants: Record<string, number>, splits = 1): Launch => ({
  body: [sums, tile, body].join('\n'),
  constants: { ...shape, ...constants },
  grid: (rows, columns) => [over(rows, shape.TY * 8), over(columns, shape.TX * (shape.WIDE ? 8 : 4)), splits],
});
/** A kernel that may take a low-rank branch along: `binding` of its left operand, 0 without one. */
export const withBranch = (body: string, binding: number): string => `${binding > 0 ? lowRank : lowRankNone}\n${body}`;
/** What a split product is tiled by, and over how many workgroups; null for a kernel without tiles. */
export const tilingOf = (variant: MatmulVariant): { tiles: TiledVariant; splits: number } | null =>
  variant === 'split' ? { tiles: 'tiled', splits: SPLITS } : isTiled(variant) ? { tiles: variant, splits: 1 } : null;

/** What the row kernel takes along: the bindings of a low-rank branch's left operand and of a weight beside, which has so many rows; 0 where there is none. */
export interface RowExtras {
  norm: boolean;
  branch: number;
  parts: boolean;
  beside: number;
  besideRows: number;
}

export const rowLaunch = (body: string, { norm, branch, parts, beside, besideRows }: RowExtras): Launch => ({
  body: [norm ? rowNorm : rowNormNone, branch > 0 ? lowRankRow : lowRankRowNone, beside > 0 ? rowBeside : rowBesideNone, body].join('\n'),
  constants: { NORM: norm, BRANCH: branch, PARTS: parts, BESIDE: beside },
  grid: (_, columns) => linearGrid(over(columns, 4) * 4 + besideRows, 8),
});

export const spec = (name: string, variant: MatmulVariant, launch: Launch, rest: { library: string[]; constants: Record<string, number | boolean>; access: KernelSpec['access'] }): KernelSpec => ({
  name: variant === 'direct' ? name : `${name}_${variant}`,
  body: [...rest.library, launch.body].join('\n'),
  constants: { ...rest.constants, ...launch.constants },
  subgroups: variant === 'subgroup',
  subgroupMatrix: variant === 'matrix' || variant === 'matrix64x64',
  access: rest.access,
});
