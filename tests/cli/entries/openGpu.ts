/** Opens a GPU, computes, leaves the device open on purpose, and ends with the code it is given. */
import shader from '../../../LICENSE?raw';
import { openNodeGpu, type NodeGpuKind } from '../../../src/cli/nodeGpu.ts';

export async function main([kind, code]: string[]): Promise<number> {
  const gpu = await openNodeGpu(kind as NodeGpuKind);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) return 9;
  const device = await adapter.requestDevice();
  const module = device.createShaderModule({ code: `
    @group(0) @binding(0) var<storage, read_write> x: array<u32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { for (var i = 0u; i < 100000u; i++) { x[id.x] += i; } }` });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  const buffer = device.createBuffer({ size: 4096 * 4, usage: GPUBufferUsage.STORAGE });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer } }] }));
  pass.dispatchWorkgroups(64);
  pass.end();
  device.queue.submit([encoder.finish()]);
  // A driver may crash in its own exit handlers while its threads compute; every command ends after its work.
  await device.queue.onSubmittedWorkDone();
  console.log(JSON.stringify({ description: adapter.info.description, raw: shader.length }));
  return Number(code);
}
