/**
 * The adapter that GPU tests run on, and the watch over its validation errors.
 * ETUDE_TEST_DEVICE names it: swiftshader, lavapipe or gpu. Without it: SwiftShader, else lavapipe, else a card.
 */
import { findLavapipeIcd, findSwiftShaderIcd, openNodeGpu, type NodeGpuKind } from '../../src/cli/nodeGpu.ts';

const devices = new Set<GPUDevice>();
let uncaptured: string[] = [];

export function testDeviceKind(): NodeGpuKind {
  const asked = process.env.ETUDE_TEST_DEVICE;
  if (asked === 'swiftshader' || asked === 'lavapipe' || asked === 'gpu') return asked;
  if (asked) throw new Error(`ETUDE_TEST_DEVICE is '${asked}'; expected swiftshader, lavapipe or gpu.`);
  if (findSwiftShaderIcd() !== null) return 'swiftshader';
  return findLavapipeIcd() !== null ? 'lavapipe' : 'gpu';
}

function watchDevices(): void {
  const prototype = GPUAdapter.prototype as GPUAdapter & { etudeWatched?: boolean };
  if (prototype.etudeWatched) return;
  // oxlint-disable-next-line typescript/unbound-method -- called below with the adapter as `this`
  const requestDevice = prototype.requestDevice;
  prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    devices.add(device);
    void device.lost.then(() => devices.delete(device));
    device.addEventListener('uncapturederror', (event) => uncaptured.push(event.error.message));
    return device;
  };
  prototype.etudeWatched = true;
}

/** The GPU for this test process, with features that browsers hide behind a flag where `experimental`. Every device made from it is watched: an uncaptured error fails the test it happens in. */
export async function testGpu(options = { experimental: false }): Promise<GPU> {
  const gpu = await openNodeGpu(testDeviceKind(), options);
  watchDevices();
  return gpu;
}

/** Errors no scope caught since the last call, after the work submitted so far is done. */
export async function takeUncapturedErrors(): Promise<string[]> {
  await Promise.all([...devices].map((device) => device.queue.onSubmittedWorkDone().catch(() => undefined)));
  const taken = uncaptured;
  uncaptured = [];
  return taken;
}
