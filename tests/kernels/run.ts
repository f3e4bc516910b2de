/**
 * Harness of the kernel tests: one engine, tensors from arrays, ops run once with given dims inside an error scope, results read back.
 *   const kit = await openKit();
 *   const y = kit.empty('y', M * N);
 *   await kit.run(matmulNT(kit.engine, {...}), { tokens: M });
 *   expect(await kit.read(y)).toBeAllclose(expected, 'f32');
 *   kit.close();
 */
import { openEngine, type Engine, type EngineOptions } from '../../src/engine/device.ts';
import type { Op } from '../../src/engine/kernel.ts';
import { buildProgram, StepUniform, Submitter, type StepValues } from '../../src/engine/program.ts';
import { dequantise, quantise } from '../../src/engine/quantise.ts';
import { createTensor, createWeight, isQuantised, readTensor, writeTensor, writeWeightBytes, type StorageType, type Tensor, type Weight } from '../../src/engine/tensor.ts';
import { testGpu } from '../setup/gpu.ts';
import '../setup/allclose.ts';

export interface Kit {
  readonly engine: Engine;
  /** An f32 tensor (u32 from a Uint32Array) with these values, in a buffer of its own. */
  tensor(label: string, values: ArrayLike<number>): Tensor;
  /** n zeroed elements, or all `fill`. */
  empty(label: string, elements: number, fill?: number): Tensor;
  /** A weight in storage type `dtype`; the values must be exact in it (see `storable`). Cut in parts of at most maxBinding bytes, by default the engine's. */
  weight(label: string, dtype: StorageType, rows: number, cols: number, values: ArrayLike<number>, maxBinding?: number): Weight;
  /** Runs the ops once, in order. A WebGPU error fails with its message. */
  run(ops: Op[], step: Partial<StepValues>): Promise<void>;
  read(tensor: Tensor, elements?: number): Promise<Float32Array<ArrayBuffer>>;
  readU32(tensor: Tensor, elements?: number): Promise<Uint32Array<ArrayBuffer>>;
  close(): void;
}

/** `experimental`: features that browsers hide behind a flag too. */
export async function openKit({ experimental = false, ...options }: EngineOptions & { experimental?: boolean } = {}): Promise<Kit> {
  const engine = await openEngine(await testGpu({ experimental }), options);
  const step = new StepUniform(engine);
  const submitter = new Submitter(engine);
  const read = (tensor: Tensor, elements?: number): Promise<Float32Array<ArrayBuffer>> => readTensor(engine, tensor, elements);
  return {
    engine,
    tensor(label, values) {
      const data = values instanceof Uint32Array ? values : Float32Array.from(values);
      const tensor = createTensor(engine, label, data.length);
      writeTensor(engine, tensor, data);
      return tensor;
    },
    empty(label, elements, fill = 0) {
      const tensor = createTensor(engine, label, elements);
      if (fill !== 0) writeTensor(engine, tensor, new Float32Array(elements).fill(fill));
      return tensor;
    },
    weight(label, dtype, rows, cols, values, maxBinding = engine.maxBinding) {
      const weight = createWeight({ ...engine, maxBinding }, label, dtype, rows, cols);
      writeWeightBytes(engine, weight, 0, packValues(values, dtype));
      return weight;
    },
    async run(ops, values) {
      engine.device.pushErrorScope('out-of-memory');
      engine.device.pushErrorScope('validation');
      const dims = { tokens: 0, targets: 0, ...values };
      let failure: unknown;
      try {
        step.write(dims);
        const program = await buildProgram(engine, 'test', step, ops);
        await submitter.run([program], dims);
        await submitter.idle();
        program.destroy();
      } catch (error) {
        failure = error;
      }
      for (const scoped of [await engine.device.popErrorScope(), await engine.device.popErrorScope()]) {
        if (scoped !== null) throw new Error(scoped.message, { cause: failure });
      }
      if (failure !== undefined) throw failure;
    },
    read,
    async readU32(tensor, elements) {
      return new Uint32Array((await read(tensor, elements)).buffer);
    },
    close() {
      engine.destroy();
    },
  };
}

/** Uniform random numbers in [0, 1) from a seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** n standard normal numbers from a seed, each exact in f32, so that twin and kernel start from the same values. */
export function normal(n: number, seed: number, scale = 1): Float64Array {
  const next = uniform(seed);
  return Float64Array.from({ length: n }, () => Math.fround(scale * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())));
}

/** The values rounded to what `dtype` can hold; of a quantised type, the whole matrix row by row. */
export function storable(values: ArrayLike<number>, dtype: StorageType): Float64Array {
  if (isQuantised(dtype)) return quantisedValues(Float32Array.from(values), dtype);
  return Float64Array.from(values, (v) => {
    if (dtype === 'f32') return Math.fround(v);
    if (dtype === 'bf16') return bf16ToNumber(numberToBf16(v));
    return roundToF16(v);
  });
}

/** A quantised matrix quantised again has other scales by an ulp at first. */
function quantisedValues(values: Float32Array, dtype: 'int8' | 'nf4'): Float64Array {
  const again = dequantise(quantise(values, dtype), dtype, values.length);
  return again.every((v, i) => v === values[i]) ? Float64Array.from(again) : quantisedValues(again, dtype);
}

const scratch = new DataView(new ArrayBuffer(4));

function numberToBf16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function bf16ToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** Round to nearest, ties to even, over normal and subnormal f16; beyond 65504 is an error of the test. */
function roundToF16(value: number): number {
  if (value === 0) return value;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value))));
  const unit = 2 ** (exponent - 10);
  const n = value / unit;
  const low = Math.floor(n);
  const rest = n - low;
  const rounded = rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
  if (Math.abs(rounded * unit) > 65_504) throw new RangeError(`${value} does not fit f16`);
  return rounded * unit;
}

function numberToF16(value: number): number {
  const v = roundToF16(value);
  const sign = v < 0 || Object.is(v, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(v);
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24);
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent -= 1;
  return sign | ((exponent + 15) << 10) | ((magnitude / 2 ** exponent - 1) * 1024);
}

/** The values as the bytes of a checkpoint. */
export function packValues(values: ArrayLike<number>, dtype: StorageType): Uint8Array<ArrayBuffer> {
  if (isQuantised(dtype)) return new Uint8Array(quantise(Float32Array.from(values), dtype).buffer);
  if (dtype === 'f32') return new Uint8Array(Float32Array.from(values).buffer);
  return new Uint8Array(Uint16Array.from(values, dtype === 'bf16' ? numberToBf16 : numberToF16).buffer);
}
