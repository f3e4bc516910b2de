/**
 * Owns the WebGPU device: asks for it, knows its limits, makes and counts buffers, reports its loss.
 * Refuses to know what the buffers hold.
 */
import { EtudeError, type UserMessage } from '../config/errors.ts';
import { adapterRefused, deviceLost, noAdapter, noWebGpu } from '../config/messages.ts';

export interface EngineInfo {
  vendor: string;
  architecture: string;
  description: string;
  /** SwiftShader, lavapipe, WARP and the like: correct, and far slower than a GPU. */
  software: boolean;
  f16: boolean;
  subgroups: boolean;
  /** What the device multiplies by its matrix units, f16 by f16 into f32; null where it has none or the browser's flag is off. */
  subgroupMatrix: SubgroupMatrix | null;
  /** Identifies adapter and driver: measured choices are remembered under it. */
  key: string;
}

/** A product of [M, K] by [K, N] that a subgroup of at most `lanes` does at once. */
export interface SubgroupMatrix {
  M: number;
  N: number;
  K: number;
  lanes: number;
}

export interface Engine {
  readonly device: GPUDevice;
  readonly info: EngineInfo;
  readonly limits: GPUSupportedLimits;
  /** Largest storage binding, bytes. Tests lower it to exercise splitting. */
  readonly maxBinding: number;
  readonly pipelines: Map<string, Promise<GPUComputePipeline>>;
  readonly layouts: Map<string, GPUBindGroupLayout>;
  /** Chosen kernel variant by shape class ('matmulNT.wide' -> 'direct') or single operation, by measurement or by hand; a run records them. */
  readonly variants: Record<string, string>;
  /** Told what autotune chose, for whoever remembers it. */
  onTuned: ((choices: Record<string, string>) => void) | null;
  /** How long a submit may be: a frame of a page that is looked at queues behind it, and what nobody sees need not wait. */
  submitBudgetMs: number;
  /** Bytes of live buffers, and the most there ever were since `resetPeak`. */
  readonly memory: { live: number; peak: number };
  createBuffer(label: string, bytes: number, usage: number): GPUBuffer;
  destroyBuffer(buffer: GPUBuffer): void;
  /** Settles when the device is lost, unless by `destroy`. */
  readonly lost: Promise<UserMessage>;
  destroy(): void;
}

const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
] as const;

/** Storage buffers a kernel may use: 8 are guaranteed, and no kernel here needs more. */
export const MAX_STORAGE_BUFFERS = 8;

export interface EngineOptions {
  powerPreference?: GPUPowerPreference;
  /** Whether a person looks at a page that shares this device; default false. */
  watched?: boolean;
  /** Lower the binding limit below the adapter's, for tests. */
  maxBinding?: number;
}

/** Milliseconds of a submit: while a page is looked at, a share of a frame; else long enough that submits cost nothing. */
export const submitBudget = (watched: boolean): number => (watched ? 10 : 35);

/** Shown by browsers behind a flag only. */
const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix';

/** As Dawn tells it. */
interface MatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** The largest of the device's products of f16 into f32. From the adapter's info: the device's lists none in Node. */
function subgroupMatrixOf(info: GPUAdapterInfo & { subgroupMatrixConfigs?: Iterable<MatrixConfig> }, { features }: GPUDevice): SubgroupMatrix | null {
  const { subgroupMatrixConfigs: configs } = info;
  if (!configs || !['shader-f16', 'subgroups', SUBGROUP_MATRIX].every((f) => features.has(f as GPUFeatureName))) return null;
  const usable = [...configs].filter((c) => c.componentType === 'f16' && c.resultComponentType === 'f32').toSorted((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  return usable[0] ? { M: usable[0].M, N: usable[0].N, K: usable[0].K, lanes: info.subgroupMaxSize } : null;
}

/** Browsers hide WebGPU from plain http; Node has no notion of it. */
const insecure = (): boolean => 'isSecureContext' in globalThis && !globalThis.isSecureContext;

/** Opens the device with the adapter's own limits. Throws EtudeError device.noWebGpu, device.noAdapter or device.refused. */
export async function openEngine(gpu: GPU | undefined, options: EngineOptions = {}): Promise<Engine> {
  if (!gpu) throw new EtudeError(noWebGpu({ secure: !insecure() }));
  const adapter = await gpu.requestAdapter({ powerPreference: options.powerPreference ?? 'high-performance' });
  if (!adapter) throw new EtudeError(noAdapter());
  const requiredLimits: Record<string, number> = {};
  for (const name of WANTED_LIMITS) requiredLimits[name] = adapter.limits[name];
  const wantedFeatures = ['shader-f16', 'subgroups', 'timestamp-query', SUBGROUP_MATRIX] as GPUFeatureName[];
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      label: 'etude',
      requiredLimits,
      requiredFeatures: wantedFeatures.filter((f) => adapter.features.has(f)),
    });
  } catch (cause) {
    throw new EtudeError(adapterRefused(adapter.info.description || adapter.info.vendor, cause instanceof Error ? cause.message : ''), { cause });
  }
  return makeEngine(adapter, device, options);
}

function makeEngine(adapter: GPUAdapter, device: GPUDevice, options: EngineOptions): Engine {
  const { vendor, architecture, description } = adapter.info;
  const text = `${vendor} ${architecture} ${description} ${adapter.info.device}`;
  const software = adapter.info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software|warp|basic render/i.test(text);
  const memory = { live: 0, peak: 0 };
  const sizes = new Map<GPUBuffer, number>();
  let closing = false;
  return {
    device,
    limits: device.limits,
    maxBinding: Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize, options.maxBinding ?? Infinity),
    info: {
      vendor,
      architecture,
      description: description || adapter.info.device || architecture || vendor || 'unknown adapter',
      software,
      f16: device.features.has('shader-f16'),
      subgroups: device.features.has('subgroups' as GPUFeatureName),
      subgroupMatrix: subgroupMatrixOf(adapter.info, device),
      key: text.trim(),
    },
    variants: {},
    onTuned: null,
    submitBudgetMs: submitBudget(options.watched ?? false),
    pipelines: new Map(),
    layouts: new Map(),
    memory,
    createBuffer(label, bytes, usage) {
      const size = Math.max(16, Math.ceil(bytes / 4) * 4);
      const buffer = device.createBuffer({ label, size, usage });
      sizes.set(buffer, size);
      memory.live += size;
      memory.peak = Math.max(memory.peak, memory.live);
      return buffer;
    },
    destroyBuffer(buffer) {
      memory.live -= sizes.get(buffer) ?? 0;
      sizes.delete(buffer);
      buffer.destroy();
    },
    lost: new Promise((resolve) => {
      void device.lost.then((info) => {
        if (closing || info.reason === 'destroyed') return;
        resolve(deviceLost(info.message));
      });
    }),
    destroy() {
      closing = true;
      for (const buffer of sizes.keys()) buffer.destroy();
      sizes.clear();
      memory.live = 0;
      device.destroy();
    },
  };
}
