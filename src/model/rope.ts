/** Owns the rotary tables on the GPU, for as many positions as a plan needs: one for all layers, or one more for local ones. */
import type { Engine } from '../engine/device.ts';
import { ropeTables } from '../engine/kernels/rope.ts';
import { createTensor, destroyTensor, writeTensor, type Tensor } from '../engine/tensor.ts';
import type { ModelConfig, RopeConfig } from './config.ts';
import type { RopeTable, RopeTables } from './decoder.ts';

export function createRope(engine: Engine, config: ModelConfig, positions: number): RopeTables {
  const make = (label: string, data: Float32Array): Tensor => {
    const tensor = createTensor(engine, label, data.length);
    writeTensor(engine, tensor, data);
    return tensor;
  };
  const table = (name: string, { ropeTheta, ropeScaling }: RopeConfig): RopeTable => {
    const { cos, sin } = ropeTables({ headDim: config.headDim, ropeTheta, ropeScaling, maxPositions: positions });
    return { cos: make(`${name} cos`, cos), sin: make(`${name} sin`, sin) };
  };
  return { global: table('rope', config), local: config.localRope && table('local rope', config.localRope) };
}

export function destroyRope(engine: Engine, { global, local }: RopeTables): void {
  for (const table of [global, ...(local ? [local] : [])]) {
    destroyTensor(engine, table.cos);
    destroyTensor(engine, table.sin);
  }
}
