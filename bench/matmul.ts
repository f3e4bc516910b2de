/**
 * Speed of the matrix products, variant by variant: node scripts/run-ts.mjs bench/matmul.ts [swiftshader|lavapipe|gpu] [filter] [--cold]
 * GFLOP/s by the wall clock and, on software adapters, by CPU time over all cores (what a machine with nothing else to do would reach).
 */
import { availableParallelism } from 'node:os';
import { openNodeGpu, type NodeGpuKind } from '../src/cli/nodeGpu.ts';
import { openEngine, type Engine } from '../src/engine/device.ts';
import { TOKENS, type Op } from '../src/engine/kernel.ts';
import { matmulNN, matmulNT, matmulTN } from '../src/engine/kernels/matmul.ts';
import { buildProgram, StepUniform } from '../src/engine/program.ts';
import { createTensor, createWeight, type StorageType } from '../src/engine/tensor.ts';
import { availableVariants, type ShapeClass } from '../src/engine/variants.ts';

interface Case {
  shape: ShapeClass;
  M: number;
  N: number;
  K: number;
  dtype: StorageType;
}

const of = (shape: ShapeClass, dtype: StorageType, ...sizes: [number, number, number][]): Case[] => sizes.map(([M, N, K]) => ({ shape, dtype, M, N, K }));

const CASES: Case[] = [
  ...of('matmulNT.wide', 'bf16', [512, 384, 384], [512, 576, 576], [512, 1536, 576], [256, 128, 128], [256, 384, 128], [256, 128, 384], [256, 2048, 128], [64, 49_152, 576]),
  ...of('matmulNT.wide', 'f32', [512, 384, 384], [256, 128, 8], [256, 384, 8]),
  ...of('matmulNN.wide', 'bf16', [512, 384, 384], [512, 576, 576], [512, 1536, 576], [256, 128, 128], [256, 384, 128], [256, 128, 384], [256, 2048, 128], [64, 49_152, 576]),
  ...of('matmulNN.wide', 'f32', [512, 384, 384], [256, 8, 128], [256, 8, 384]),
  ...of('matmulNT.skinny', 'f32', [256, 8, 128], [256, 8, 384], [512, 16, 576], [2048, 16, 576]),
  ...of('matmulNN.skinny', 'f32', [256, 128, 8], [256, 384, 8], [512, 576, 16], [2048, 576, 16]),
  ...of('matmulTN.skinny', 'f32', [256, 128, 8], [256, 8, 128], [256, 8, 384], [512, 16, 576], [2048, 576, 16]),
  ...of('matmulNT.row', 'bf16', [1, 128, 128], [1, 384, 128], [1, 2048, 128], [1, 576, 576], [1, 1536, 576], [1, 49_152, 576]),
];

const FEW = 64;

function ops(e: Engine, { shape, M, N, K, dtype }: Case): Op[] {
  const label = shape;
  if (shape === 'matmulTN.skinny') {
    // [M, N]^T [M, K]
    return matmulTN(e, { label, rows: TOKENS, p: createTensor(e, 'p', M * N), pCols: N, q: createTensor(e, 'q', M * K), qCols: K, out: createTensor(e, 'out', N * K) });
  }
  const w = createWeight(e, 'w', dtype, N, K);
  const left = createTensor(e, 'left', M * (shape.startsWith('matmulNT') ? K : N));
  const right = createTensor(e, 'right', M * (shape.startsWith('matmulNT') ? N : K));
  if (shape.startsWith('matmulNT')) return matmulNT(e, { label, rows: TOKENS, x: left, w, y: right });
  return matmulNN(e, { label, rows: TOKENS, dy: left, w, dx: right });
}

async function measure(e: Engine, step: StepUniform, c: Case): Promise<{ wall: number; cpu: number; first: number }> {
  const dims = { tokens: c.M, targets: 0 };
  step.write(dims);
  const cold = process.cpuUsage();
  const program = await buildProgram(e, 'bench', step, ops(e, c));
  const submit = async (times: number): Promise<void> => {
    const encoder = e.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++) {
      for (const d of program.dispatches) {
        pass.setPipeline(d.pipeline);
        pass.setBindGroup(0, d.bindGroup);
        pass.dispatchWorkgroups(...d.grid(dims));
      }
    }
    pass.end();
    e.device.queue.submit([encoder.finish()]);
    await e.device.queue.onSubmittedWorkDone();
  };
  await submit(1);
  const compiled = process.cpuUsage(cold);
  const times = Math.max(1, Math.min(FEW, Math.floor((e.info.software ? 2e8 : 2e10) / (2 * c.M * c.N * c.K))));
  let wall = Infinity;
  let cpu = Infinity;
  for (let i = 0; i < 5; i++) {
    const used = process.cpuUsage();
    const start = performance.now();
    await submit(times);
    wall = Math.min(wall, (performance.now() - start) / times);
    const { user, system } = process.cpuUsage(used);
    cpu = Math.min(cpu, (user + system) / 1000 / availableParallelism() / times);
  }
  program.destroy();
  return { wall, cpu, first: (compiled.user + compiled.system) / 1000 };
}

export async function main([kind = 'swiftshader', filter = '']: string[]): Promise<number> {
  const gpu = await openNodeGpu(kind as NodeGpuKind);
  const e = await openEngine(gpu);
  const step = new StepUniform(e);
  console.log(`${e.info.description}, ${availableParallelism()} cores`);
  for (const c of CASES) {
    for (const variant of availableVariants(e, c.shape)) {
      const name = `${c.shape} ${variant} ${c.dtype}`;
      if (!`${name} ${c.M}x${c.N}x${c.K}`.replaceAll(" x ", "x").includes(filter)) continue;
      e.variants[c.shape] = variant;
      const { wall, cpu, first } = await measure(e, step, c);
      const gflop = (2 * c.M * c.N * c.K) / 1e6;
      const speeds = `${(gflop / wall).toFixed(2).padStart(8)} GFLOP/s wall${e.info.software ? `${(gflop / cpu).toFixed(2).padStart(8)} by CPU time` : ''}`;
      console.log(`${name.padEnd(34)} ${`${c.M} x ${c.N} x ${c.K}`.padEnd(18)} ${speeds} ${wall.toFixed(3).padStart(9)} ms  first ${first.toFixed(0)} ms`);
    }
  }
  return 0;
}
