/**
 * Owns how a product is laid over the device's matrix units: the tile of a workgroup, its subgroups, their fragments. Refuses to know which product it is.
 */
import matrix from '../../../shaders/lib/matrix.wgsl?raw';
import type { Engine, SubgroupMatrix } from '../device.ts';
import { isQuantised, type StorageType } from '../tensor.ts';
import type { MatmulVariant, MatrixVariant } from '../variants.ts';
import { over, type Launch } from './matmulLaunch.ts';

/** A workgroup's subgroups, the fragments of each, and the steps of the sum in workgroup memory (shaders/lib/matrix.wgsl). */
interface MatrixTile {
  DOWN: number;
  ACROSS: number;
  TALL: number;
  WIDE: number;
  DEPTH: number;
}

/** Small on software, where every fragment is compiled into loops of its own. */
const SOFTWARE: Record<MatrixVariant, MatrixTile> = {
  'matrix': { DOWN: 2, ACROSS: 2, TALL: 1, WIDE: 1, DEPTH: 8 },
  'matrix64x64': { DOWN: 1, ACROSS: 2, TALL: 2, WIDE: 1, DEPTH: 16 },
};
const SIDE: Record<MatrixVariant, number> = { 'matrix': 128, 'matrix64x64': 64 };

export const isMatrix = (variant: MatmulVariant): variant is MatrixVariant => variant === 'matrix' || variant === 'matrix64x64';

/** Of workgroup memory: both operands in two terms of f16, rows 16 bytes longer than their steps, a fragment of f32 for each subgroup, two peaks. */
const bytesOf = ({ DOWN, ACROSS, TALL, WIDE, DEPTH }: MatrixTile, { M, N }: SubgroupMatrix): number =>
  2 * (DOWN * TALL * M + ACROSS * WIDE * N) * (2 * DEPTH + 16) + DOWN * ACROSS * M * N * 4 + 8;

function tileOf(e: Engine, variant: MatrixVariant, config: SubgroupMatrix): MatrixTile {
  if (e.info.software) return SOFTWARE[variant];
  const { M, N, K, lanes } = config;
  const side = SIDE[variant];
  const ACROSS = 2;
  const DOWN = variant === 'matrix' && lanes <= 32 ? 4 : 2;
  // As many steps as threads have blocks to fetch; where they do not fit, half of them, then half the columns.
  const steps = (16 * DOWN * ACROSS * lanes) / side;
  const tile = (DEPTH: number, columns: number): MatrixTile => ({ DOWN, ACROSS, TALL: side / (DOWN * M), WIDE: columns / (ACROSS * N), DEPTH: Math.max(K, DEPTH) });
  const smallest = tile(steps / 2, side / 2);
  return [tile(steps, side), tile(steps / 2, side)].find((t) => bytesOf(t, config) <= e.limits.maxComputeWorkgroupStorageSize) ?? smallest;
}

/** bf16 and f16 fit one term of f16; a branch, in f32, does not. */
const lowTerm = (dtype: StorageType, branch: number): number => (dtype === 'f32' || isQuantised(dtype) ? 2 : branch > 0 ? 1 : 0);

/** `branch`: binding of a low-rank branch's left operand, 0 without one. */
export function matrixLaunch(e: Engine, variant: MatrixVariant, body: string, dtype: StorageType, branch: number): Launch {
  const config = e.info.subgroupMatrix!;
  const tile = tileOf(e, variant, config);
  return {
    body: [matrix, body].join('\n'),
    constants: { FM: config.M, FN: config.N, FK: config.K, LANES: config.lanes, ...tile, LOW: lowTerm(dtype, branch), BRANCH: branch, SPLITS: 1 },
    grid: (rows, columns) => [over(rows, tile.DOWN * tile.TALL * config.M), over(columns, tile.ACROSS * tile.WIDE * config.N), 1],
  };
}
