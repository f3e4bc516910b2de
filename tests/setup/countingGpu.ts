/**
 * A WebGPU that computes nothing and counts every byte of buffers made and destroyed: what a plan of gigabytes takes, in milliseconds.
 * Only the calls that building programs makes are there.
 */
export interface CountingGpu {
  gpu: GPU;
  /** Bytes of live buffers, and the most there ever were. */
  readonly live: number;
  readonly peak: number;
}

export function countingGpu(limits: { maxBufferSize: number; maxStorageBufferBindingSize: number }): CountingGpu {
  const counts = { live: 0, peak: 0 };
  const nothing = (): object => ({});
  const device = {
    limits, features: new Set(), adapterInfo: {}, lost: new Promise(() => {}), addEventListener() {}, destroy() {},
    queue: { writeBuffer() {}, submit() {}, onSubmittedWorkDone: () => Promise.resolve() },
    pushErrorScope() {}, popErrorScope: () => Promise.resolve(null),
    createBuffer({ size }: GPUBufferDescriptor) {
      if (size > limits.maxBufferSize) throw new RangeError(`a buffer of ${size} bytes where ${limits.maxBufferSize} are the most`);
      counts.live += size;
      counts.peak = Math.max(counts.peak, counts.live);
      let there = true;
      return {
        destroy() {
          if (there) counts.live -= size;
          there = false;
        },
      };
    },
    createBindGroupLayout: nothing, createShaderModule: nothing, createPipelineLayout: nothing, createBindGroup: nothing,
    createComputePipelineAsync: () => Promise.resolve({}),
  };
  const adapter = { limits, features: new Set(), info: { vendor: 'counting', architecture: '', device: '', description: 'counts buffers', isFallbackAdapter: true }, requestDevice: () => Promise.resolve(device) };
  return {
    gpu: { requestAdapter: () => Promise.resolve(adapter) } as unknown as GPU,
    get live() {
      return counts.live;
    },
    get peak() {
      return counts.peak;
    },
  };
}
