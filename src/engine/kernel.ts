/**
 * Owns the way from a .wgsl body to a pipeline: a generated header of constants and type loaders in front, an explicit
 * layout, a cache. Kernel files in kernels/ describe single operations with it and return an Op.
 */
import elementwise from '../../shaders/lib/grid.wgsl?raw';
import packed from '../../shaders/lib/packed.wgsl?raw';
import quantised from '../../shaders/lib/quantised.wgsl?raw';
import step from '../../shaders/lib/step.wgsl?raw';
import type { Engine } from './device.ts';
import { isQuantised, type StorageType, type Tensor } from './tensor.ts';

/** Sizes that change from batch to batch; kernels read the same values from the step uniform. */
export interface StepDims {
  /** Real tokens in the batch, M. */
  tokens: number;
  /** Positions that carry a label. */
  targets: number;
}

/** Which rows a kernel works on. Mirrors rowCount() in shaders/lib/step.wgsl. */
export type Rows =
  | { kind: 'tokens'; perToken?: number }
  /** A chunk of the labelled positions: rows start .. start + count. */
  | { kind: 'targets'; start: number; count: number }
  | { kind: 'fixed'; count: number };

export const TOKENS: Rows = { kind: 'tokens' };

/** Rows there are for these dims; 0 means the dispatch is left out. */
export function rowCount(rows: Rows, dims: StepDims): number {
  if (rows.kind === 'tokens') return dims.tokens * (rows.perToken ?? 1);
  if (rows.kind === 'fixed') return rows.count;
  return Math.max(0, Math.min(rows.count, dims.targets - rows.start));
}

/** The three u32 params every row kernel begins with: rowsKind, rowsStart, rowsCap. */
export function rowParams(rows: Rows): number[] {
  if (rows.kind === 'tokens') return [0, 0, rows.perToken ?? 1];
  if (rows.kind === 'targets') return [1, rows.start, rows.count];
  return [2, 0, rows.count];
}

/** A float among u32 params. */
export class F32 {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}
export const f32 = (value: number): F32 => new F32(value);

export type Access = 'read' | 'write';

/** One dispatch of a program. Bindings: 0 the step uniform, 1 the params, 2.. the tensors in order. */
export interface Op {
  label: string;
  pipeline: Promise<GPUComputePipeline>;
  layout: GPUBindGroupLayout;
  params: (number | F32)[];
  tensors: Tensor[];
  /** Workgroups; any zero leaves the dispatch out. */
  grid: (dims: StepDims) => [number, number, number];
  /** Floating-point operations, for sizing submits. */
  flops: (dims: StepDims) => number;
  /** On the first op of an operation that has variants. */
  choice?: Choice;
}

/** How an operation could be computed otherwise: what tuning measures on its own tensors (autotune.ts). */
export interface Choice {
  /** Names the operation's shape in engine.variants. */
  key: string;
  candidates: readonly string[];
  /** The one that it has now. */
  usual: string;
  /** Activations that it reads, and what it writes: free to be overwritten before a program first runs. */
  inputs: readonly Tensor[];
  output: Tensor;
  /** The same operation for an engine whose `variants` may say otherwise. */
  remake: (view: Engine) => Op[];
}

export interface KernelSpec {
  /** Stem of the file in shaders/. */
  name: string;
  /** The .wgsl body. */
  body: string;
  /** Constants of the header: whole numbers become u32, booleans bool, strings raw WGSL (an alias's right side). */
  constants?: Record<string, number | boolean>;
  /** Storage types of the weight loader functions, if the body uses them. */
  weight?: StorageType;
  /** The body broadcasts within subgroups; only where engine.info.subgroups. */
  subgroups?: boolean;
  /** The body multiplies subgroup matrices; only where engine.info.subgroupMatrix. */
  subgroupMatrix?: boolean;
  /** `read` is var<storage, read>, `write` is var<storage, read_write>; in binding order from 2. */
  access: Access[];
}

const constant = (name: string, value: number | boolean): string =>
  typeof value === 'boolean' ? `const ${name}: bool = ${value};` : `const ${name}: u32 = ${value}u;`;

const WEIGHT_TYPES: Record<StorageType, number> = { f32: 0, bf16: 1, f16: 2, int8: 3, nf4: 4 };

/** Which subgroup works on what is uniform within it, which the compiler cannot see. */
const SUBGROUP_MATRIX = ['enable f16;', 'enable subgroups;', 'enable chromium_experimental_subgroup_matrix;', 'diagnostic(off, subgroup_uniformity);', 'diagnostic(off, chromium.subgroup_matrix_uniformity);'];

/** The whole source: header, library snippets, body. */
export function kernelSource(spec: KernelSpec): string {
  const header = Object.entries(spec.constants ?? {}).map(([k, v]) => constant(k, v));
  if (spec.weight) header.push(constant('WEIGHT_TYPE', WEIGHT_TYPES[spec.weight]));
  const loader = spec.weight ? [isQuantised(spec.weight) ? quantised : packed] : [];
  const enabled = spec.subgroupMatrix ? SUBGROUP_MATRIX : spec.subgroups ? ['enable subgroups;'] : [];
  return [`// ${spec.name}`, ...enabled, ...header, step, elementwise, ...loader, spec.body].join('\n');
}

/** Pipeline and layout for a spec, compiled asynchronously once for each distinct source. */
export function compileKernel(engine: Engine, spec: KernelSpec): Pick<Op, 'pipeline' | 'layout'> {
  const layoutKey = spec.access.join();
  let layout = engine.layouts.get(layoutKey);
  if (!layout) {
    layout = engine.device.createBindGroupLayout({
      label: layoutKey,
      entries: [
        { binding: 0, visibility: 4, buffer: { type: 'uniform' } },
        { binding: 1, visibility: 4, buffer: { type: 'uniform' } },
        ...spec.access.map((a, i) => ({
          binding: i + 2,
          visibility: 4,
          buffer: { type: (a === 'read' ? 'read-only-storage' : 'storage') as GPUBufferBindingType },
        })),
      ],
    });
    engine.layouts.set(layoutKey, layout);
  }
  const code = kernelSource(spec);
  const key = `${layoutKey}\n${code}`;
  let pipeline = engine.pipelines.get(key);
  if (!pipeline) {
    const module = engine.device.createShaderModule({ label: spec.name, code });
    pipeline = engine.device.createComputePipelineAsync({
      label: spec.name,
      layout: engine.device.createPipelineLayout({ label: spec.name, bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    });
    engine.pipelines.set(key, pipeline);
    // The program that awaits it reports the failure; without this an unused one would be an unhandled rejection.
    pipeline.catch(() => {});
  }
  return { pipeline, layout };
}

const MAX_GROUPS = 65_535;

/** Workgroups for n independent invocations, folded into two dimensions; kernels undo it with linearIndex(). */
export function linearGrid(n: number, workgroupSize: number): [number, number, number] {
  const groups = Math.ceil(n / workgroupSize);
  if (groups <= MAX_GROUPS) return [groups, groups > 0 ? 1 : 0, 1];
  const y = Math.ceil(groups / MAX_GROUPS);
  return [Math.ceil(groups / y), y, 1];
}
