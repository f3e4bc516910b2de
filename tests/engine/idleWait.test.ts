import { expect, it } from 'vitest';
import { testDeviceKind, testGpu } from '../setup/gpu.ts';

/** A loop that a software adapter needs a good part of a second for. */
const CODE = `@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(32) fn main(@builtin(global_invocation_id) id: vec3u) {
  var s = f32(id.x);
  for (var i = 0u; i < 20000u; i++) { s = s * 1.0001 + 0.5; }
  out[id.x] = s;
}`;

it.skipIf(testDeviceKind() === 'gpu')('leaves the processor to a software adapter while it computes: the event loop turns about once a millisecond', async () => {
  const device = await (await (await testGpu()).requestAdapter())!.requestDevice();
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module: device.createShaderModule({ code: CODE }) } });
  const buffer = device.createBuffer({ size: 4 * 32 * 512, usage: GPUBufferUsage.STORAGE });
  const bindGroup = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer } }] });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(512);
  pass.end();
  const start = performance.now();
  device.queue.submit([encoder.finish()]);
  let [turns, isDone] = [0, false];
  const count = (): void => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  count();
  await device.queue.onSubmittedWorkDone();
  isDone = true;
  const waited = performance.now() - start;
  device.destroy();
  expect(waited).toBeGreaterThan(50);
  expect(turns / waited).toBeLessThan(3);
});
