/** Owns the rotary tables on the GPU, for as many positions as a plan needs. */
import type { Engine } from '../engine/device.ts';
import { ropeTables } from '../engine/kernels/rope.ts';
import { createTensor, destroyTensor, writeTensor } from '../engine/tensor.ts';
import type { ModelConfig } from './config.ts';
import type { RopeTables } from './decoder.ts';

export function createRope(engine: Engine, config: ModelConfig, positions: number): RopeTables {
  const { cos, sin } = ropeTables({ headDim: config.headDim, ropeTheta: config.ropeTheta, ropeScaling: config.ropeScaling, maxPositions: positions });
  const make = (label: string, data: Float32Array) => {
    const tensor = createTensor(engine, label, data.length);
    writeTensor(engine, tensor, data);
    return tensor;
  };
  return { cos: make('rope cos', cos), sin: make('rope sin', sin) };
}

export function destroyRope(engine: Engine, rope: RopeTables): void {
  destroyTensor(engine, rope.cos);
  destroyTensor(engine, rope.sin);
}
