/**
 * WebGPU in Node: finds a Vulkan driver for the kind of adapter asked for and starts Dawn (npm `webgpu`) on it.
 * Refuses to know what is computed. One kind a process is the normal case: Vulkan reads its environment when
 * Dawn starts, so this module sets it first.
 */
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtudeError } from '../config/errors.ts';
import { chromiumFolders } from './chromium.ts';
import { sleepWhileGpuWorks } from './idleWait.ts';

export type NodeGpuKind = 'swiftshader' | 'lavapipe' | 'gpu' | 'auto';
export const NODE_GPU_KINDS: readonly NodeGpuKind[] = ['swiftshader', 'lavapipe', 'gpu', 'auto'];

/** Values of the Vulkan loader's variables before this module touched them. */
const outerEnv = { VK_ICD_FILENAMES: process.env.VK_ICD_FILENAMES, VK_DRIVER_FILES: process.env.VK_DRIVER_FILES };

/** Dawn stops when its last GPU object is collected; these stay referenced until `closeNodeGpu`. */
const open = new Map<string, GPU>();

/** What Dawn is asked for beyond a driver. */
interface DawnOptions {
  /** Features that browsers show behind a flag only: subgroup matrices. */
  experimental: boolean;
}

/** Path of SwiftShader's driver description, which every Chromium and Chrome for Linux carries, or null. */
export function findSwiftShaderIcd(): string | null {
  for (const folder of chromiumFolders()) {
    const path = join(folder, 'vk_swiftshader_icd.json');
    if (existsSync(path)) return path;
  }
  return null;
}

/** Path of lavapipe's driver description (Mesa), or null. */
export function findLavapipeIcd(): string | null {
  for (const folder of ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d']) {
    if (!existsSync(folder)) continue;
    const name = readdirSync(folder).find((file) => /^lvp_icd\b.*\.json$/.test(file));
    if (name !== undefined) return join(folder, name);
  }
  return null;
}

function missing(what: string, nextStep: string): EtudeError {
  return new EtudeError({ code: 'device.driverMissing', what, expected: 'A WebGPU adapter for Node (Dawn on Vulkan, Metal or Direct3D).', nextStep });
}

/** Points the Vulkan loader at one driver description, or back at the system's own when `icd` is null. */
function selectDriver(icd: string | null): void {
  const set = (name: 'VK_ICD_FILENAMES' | 'VK_DRIVER_FILES', value: string | undefined): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  set('VK_ICD_FILENAMES', icd ?? outerEnv.VK_ICD_FILENAMES);
  set('VK_DRIVER_FILES', icd ?? outerEnv.VK_DRIVER_FILES);
  // Mesa refuses to start without it; any folder of ours will do.
  process.env.XDG_RUNTIME_DIR ??= tmpdir();
}

/** A GPU on the given driver, or null where Dawn finds no adapter there that `accept` takes. */
async function startDawn({ experimental }: DawnOptions, icd: string | null, accept: (info: GPUAdapterInfo) => boolean): Promise<GPU | null> {
  selectDriver(icd);
  let dawn: { create(options: string[]): GPU; globals: object };
  try {
    dawn = await import('webgpu');
  } catch (error) {
    throw new EtudeError({
      code: 'device.dawnMissing',
      what: `Dawn, the WebGPU of the npm package 'webgpu', does not load on ${process.platform}-${process.arch}.`,
      likelyCause: error instanceof Error ? error.message : String(error),
      nextStep: 'Run npm ci again, or leave out --runtime node so that the browser runs the work.',
    }, { cause: error });
  }
  Object.assign(globalThis, dawn.globals);
  // Timestamps to the nanosecond: only the bench reads them, and nobody spies on anyone in Node.
  const gpu = dawn.create(['disable-dawn-features=timestamp_quantization', ...(experimental ? ['enable-dawn-features=allow_unsafe_apis'] : []), ...(process.platform === 'linux' ? ['backend=vulkan'] : [])]);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null || !accept(adapter.info)) return null;
  if (isSoftwareAdapter(adapter.info)) sleepWhileGpuWorks();
  return gpu;
}

async function openSwiftShader(options: DawnOptions): Promise<GPU> {
  const icd = findSwiftShaderIcd();
  if (icd === null) {
    throw missing('SwiftShader was not found: no Chromium or Chrome lies in any usual place.',
      'apt-get install chromium libvulkan1, or set CHROME_PATH to a Chrome that is installed.');
  }
  const gpu = await startDawn(options, icd, (info) => /swiftshader/i.test(`${info.architecture} ${info.device} ${info.description}`));
  if (gpu === null) throw missing(`SwiftShader (${icd}) did not start.`, 'apt-get install libvulkan1');
  return gpu;
}

async function openLavapipe(options: DawnOptions): Promise<GPU> {
  const icd = findLavapipeIcd();
  const backports = 'apt-get install -t bookworm-backports mesa-vulkan-drivers libvulkan1 (Mesa 25 or newer)';
  if (icd === null) throw missing('lavapipe, the software Vulkan driver of Mesa, is not installed.', backports);
  const gpu = await startDawn(options, icd, (info) => /llvmpipe/i.test(info.description));
  if (gpu === null) throw missing(`lavapipe (${icd}) did not start; Dawn refuses Mesa 22.`, backports);
  return gpu;
}

async function openHardware(options: DawnOptions): Promise<GPU> {
  const gpu = await startDawn(options, null, (info) => !isSoftwareAdapter(info));
  if (gpu === null) {
    throw missing('No graphics card with a driver for WebGPU was found.',
      'Install the card\'s Vulkan driver, or choose --device swiftshader or --device lavapipe.');
  }
  return gpu;
}

/** True for SwiftShader, lavapipe, WARP and whatever else computes on the CPU. */
export function isSoftwareAdapter(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter || /swiftshader|llvmpipe|software|basic render/i.test(`${info.architecture} ${info.device} ${info.description}`);
}

/** The first of hardware, lavapipe and SwiftShader that starts: fastest first. */
async function openFirst(options: DawnOptions): Promise<GPU> {
  const reasons: string[] = [];
  for (const attempt of [openHardware, openLavapipe, openSwiftShader]) {
    try {
      return await attempt(options);
    } catch (error) {
      if (!(error instanceof EtudeError) || error.code !== 'device.driverMissing') throw error;
      reasons.push(error.message);
    }
  }
  throw missing(`No WebGPU adapter works in Node. ${reasons.join(' ')}`, 'apt-get install chromium libvulkan1');
}

/**
 * Starts Dawn on an adapter of the given kind and installs WebGPU's globals (GPUBufferUsage and the rest).
 * Every later call of the same kind and options gets the same GPU. Throws EtudeError 'device.driverMissing' with the
 * command that installs what is missing.
 */
export async function openNodeGpu(kind: NodeGpuKind, options: DawnOptions = { experimental: false }): Promise<GPU> {
  const key = `${kind}${options.experimental ? ' experimental' : ''}`;
  const known = open.get(key);
  if (known !== undefined) return known;
  const start = { swiftshader: openSwiftShader, lavapipe: openLavapipe, gpu: openHardware, auto: openFirst }[kind];
  const gpu = await start(options);
  open.set(key, gpu);
  return gpu;
}

/** Lets go of every GPU, so that Dawn's threads end; devices must be destroyed before. */
export function closeNodeGpu(): void {
  open.clear();
}

/** Ends the process with `code` once what was printed is out: Dawn's threads and open servers cannot hold it back. */
export async function exitNow(code: number): Promise<never> {
  closeNodeGpu();
  const flushed = (stream: NodeJS.WriteStream): Promise<void> => new Promise((resolve) => void stream.write('', () => resolve()));
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(code);
}
