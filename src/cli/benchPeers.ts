/**
 * `npm run bench -- peers [SHAPE]`: our training step and matrix product beside those of npm packages, in one run on one adapter. The packages are
 * no dependencies of this project: they are installed into a folder of their own when they are asked for.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { EtudeError } from '../config/errors.ts';
import type { CompareOptions, Comparison, TrainerFigures } from '../worker/bench/peers.ts';
import { defaultBatch, parseShape } from '../worker/bench/shapes.ts';
import { ms, rate } from './benchLines.ts';
import { launchPersistentChromium } from './chromium.ts';
import { isSoftwareAdapter, NODE_GPU_KINDS, openNodeGpu, type NodeGpuKind } from './nodeGpu.ts';
import { startStaticServer } from './staticServer.ts';

const root = resolve(import.meta.dirname, '../..');

/** The versions that docs/performance.md tells of. The namespace of each is what its adapter in bench/peers takes. */
const PEERS = [
  { name: '@tensorflow/tfjs-backend-webgpu', version: '4.22.0', adapter: 'tfjs', imports: "import '@tensorflow/tfjs-backend-webgpu';\nimport * as peer from '@tensorflow/tfjs-core';\nimport '@tensorflow/tfjs-core/dist/register_all_gradients.js';\n" },
  { name: '@jax-js/jax', version: '0.1.25', adapter: 'jax', imports: "import * as peer from '@jax-js/jax';\n" },
  { name: 'webgpu-llm', version: '0.1.0', adapter: 'webgpuLlm', imports: "import * as peer from 'webgpu-llm/llm';\n" },
] as const;
const INSTALLED = [...PEERS.map(({ name, version }) => `${name}@${version}`), '@tensorflow/tfjs-core@4.22.0'];

const USAGE = `npm run bench -- peers [SHAPE] [--device swiftshader|lavapipe|gpu|auto] [--runtime browser|node]
  SHAPE             as for the bench; by default L=2,d=128,H=4,ff=384,V=1024,B=2,T=64 on a software adapter, SmolLM2-135M on a GPU
  --peers-dir DIR   a folder whose node_modules has the packages, instead of installing them
  --rounds N        turns of each trainer (5), of --steps N (2) each
  --sides A,B       of the matrix products (512; 1024,4096 on a GPU)
  --json FILE       all figures`;

/** What tfjs takes from Node's util. */
const UTIL = `export const { TextEncoder, TextDecoder } = globalThis;
const is = (kind) => (value) => value instanceof kind;
export const types = { isFloat32Array: is(Float32Array), isInt32Array: is(Int32Array), isUint8Array: is(Uint8Array), isUint8ClampedArray: is(Uint8ClampedArray) };
`;

/** What bench/peers/run.ts takes, without the addresses of the packages. */
type Wish = Omit<CompareOptions, 'gpu' | 'peers'>;

async function install(folder: string): Promise<string> {
  if (PEERS.every(({ name }) => existsSync(join(folder, 'node_modules', name)))) return folder;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  console.error(`installing ${INSTALLED.join(', ')} into ${folder}`);
  try {
    await promisify(execFile)('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', ...INSTALLED], { cwd: folder });
  } catch (cause) {
    throw new EtudeError({
      code: 'bench.peers', what: 'The packages to compare with could not be installed.', likelyCause: cause instanceof Error ? cause.message : String(cause),
      nextStep: 'Install them where there is a network, and give their folder with --peers-dir.',
    }, { cause });
  }
  return folder;
}

/** Bundles our side and one module a package, each with its adapter, into `out`. */
export async function bundlePeers(peersDir: string | undefined, out: string): Promise<void> {
  const from = await install(peersDir ?? join(root, 'node_modules/.cache/etude-peers'));
  const { build } = await import('vite');
  const input: Record<string, string> = { ours: join(root, 'bench/peers/run.ts') };
  const links = await mkdtemp(join(resolve(from), '.etude-'));
  try {
    for (const { adapter, imports } of PEERS) {
      input[adapter] = join(links, `${adapter}.js`);
      await writeFile(input[adapter], `${imports}import * as adapter from ${JSON.stringify(join(root, `bench/peers/${adapter}.mjs`))};\nexport const kinds = adapter.kinds;\nexport const create = (options) => adapter.create({ ...options, peer });\n`);
    }
    await writeFile(join(links, 'util.js'), UTIL);
    await build({
      root, configFile: false, publicDir: false, logLevel: 'error',
      // tfjs asks Node for it, and a bundle for browsers has none.
      resolve: { alias: { util: join(links, 'util.js') } },
      build: {
        target: 'es2023', outDir: out, emptyOutDir: false, minify: false, modulePreload: false,
        rolldownOptions: { input, preserveEntrySignatures: 'strict', output: { entryFileNames: '[name].mjs', chunkFileNames: 'chunks/[name]-[hash].mjs' } },
      },
    });
  } finally {
    await rm(links, { recursive: true, force: true });
  }
}

const addresses = (at: (name: string) => string) => PEERS.map(({ name, version, adapter }) => ({ name, version, url: at(adapter) }));

async function inBrowser(folder: string, device: NodeGpuKind, wishFor: (software: boolean) => Wish): Promise<Comparison> {
  const profile = await mkdtemp(join(tmpdir(), 'etude-peers-profile-'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>peers</title>');
  const server = await startStaticServer({ '/peers/': folder });
  const context = await launchPersistentChromium(device === 'swiftshader' ? 'swiftshader' : 'gpu', profile);
  try {
    const page = context.pages()[0] ?? await context.newPage();
    await page.goto(`${server.origin}/peers/index.html`);
    const software = await page.evaluate(async () => {
      const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
      return adapter === null ? null : { isFallback: adapter.info.isFallbackAdapter, text: `${adapter.info.architecture} ${adapter.info.device} ${adapter.info.description}` };
    });
    if (software === null) throw new EtudeError({ code: 'device.noWebGpu', what: 'Headless Chromium offers no WebGPU adapter here.', nextStep: 'Try --device swiftshader, or --runtime node.' });
    const isSoftware = isSoftwareAdapter({ isFallbackAdapter: software.isFallback, architecture: software.text, device: '', description: '' } as GPUAdapterInfo);
    const at = (name: string): string => `${server.origin}/peers/${name}.mjs`;
    const wish = { ...wishFor(isSoftware), peers: addresses(at) };
    // As text: Vite would make the import its own.
    return await page.evaluate(`import(${JSON.stringify(at('ours'))}).then(({ compare }) => compare(${JSON.stringify(wish)}, navigator.gpu))`);
  } finally {
    await context.close().catch(() => undefined);
    await server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function inNode(folder: string, device: NodeGpuKind, wishFor: (software: boolean) => Wish): Promise<Comparison> {
  const gpu = await openNodeGpu(device);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  // The packages look for a browser's navigator.
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'Node', hardwareConcurrency: 2 }, configurable: true });
  const at = (name: string): string => pathToFileURL(join(folder, `${name}.mjs`)).href;
  const { compare } = await import(/* @vite-ignore */ at('ours')) as { compare: (wish: object, gpu: GPU, say: (line: string) => void) => Promise<Comparison> };
  return compare({ ...wishFor(isSoftwareAdapter(adapter!.info)), peers: addresses(at) }, gpu, (line) => console.error(line));
}

export function peerLines({ device, shape, trainers }: Comparison): string[] {
  const [ours] = trainers as [TrainerFigures, ...TrainerFigures[]];
  const ratio = (a: number | undefined, b: number | undefined): string => (a === undefined || b === undefined ? '' : `: ours ${(a / b).toFixed(2)} x`);
  return [
    `device   ${device}`,
    `shape    ${Object.entries(shape).map(([key, value]) => `${key}=${value}`).join(',')}`,
    ...trainers.flatMap((t) => [
      `${t.name}${t.version && ` ${t.version}`}, ${t.kind === 'lora' ? 'LoRA r 16 on all projections' : 'every parameter'}`,
      ...(t.failed === undefined ? [] : [`  does not run: ${t.failed}`]),
      ...(t.step ? [`  step     ${ms(t.step.ms)} for ${(t.step.flops / 1e9).toFixed(2)} GFLOP, ${rate(t.step.gflops)}, loss ${t.step.firstLoss.toFixed(3)} -> ${t.step.lastLoss.toFixed(3)}${t === ours ? '' : `${ratio(ours.step?.gflops, t.step.gflops)} its FLOP/s`}`] : []),
      ...Object.entries(t.matmul ?? {}).map(([n, gflops]) => `  product  ${n}: ${rate(gflops)}${t === ours ? '' : ratio(ours.matmul?.[n], gflops)}`),
    ]),
  ];
}

/** A shape in the harness's letters; one whose heads are not hidden / heads wide has none. */
function lettersOf(text: string, software: boolean): Comparison['shape'] {
  const { config, batch, length } = parseShape(text, defaultBatch(software));
  const { numHiddenLayers: L, hiddenSize: d, numAttentionHeads: H, numKeyValueHeads: Hkv, intermediateSize: ff, vocabSize: V, headDim } = config;
  if (headDim * H !== d || config.qkNorm) throw new EtudeError({ code: 'bench.shape', what: `${text} has head norms or heads that are not ${d} / ${H} wide, which the other trainers are not written for here.`, nextStep: 'Take SmolLM2-135M, SmolLM2-360M, Llama-3.2-1B or numbers.' });
  return { L, d, H, Hkv, ff, V, B: batch, T: length };
}

/** Where the bundles lie in an archive that was made with them; null: they are made here. */
export type PeersBundle = string | null;

interface PeersJob extends Pick<Wish, 'rounds' | 'steps'> {
  device: NodeGpuKind;
  runtime: 'browser' | 'node';
  bundled: PeersBundle;
  /** Where the packages are installed; by default a cache of this project. */
  peersDir?: string;
  shape?: string;
  sides?: number[];
}

export async function runPeers({ device, runtime, bundled, peersDir, shape, sides, rounds, steps }: PeersJob): Promise<Comparison> {
  const wishFor = (software: boolean): Wish => ({
    shape: lettersOf(shape ?? (software ? 'L=2,d=128,H=4,ff=384,V=1024,B=2,T=64' : 'SmolLM2-135M'), software), sides: sides ?? (software ? [512] : [1024, 4096]), rounds, steps,
  });
  const run = runtime === 'node' ? inNode : inBrowser;
  if (bundled !== null) return run(bundled, device, wishFor);
  const out = await mkdtemp(join(tmpdir(), 'etude-peers-'));
  try {
    await bundlePeers(peersDir, out);
    return await run(out, device, wishFor);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

export async function main(argv: string[], bundled: PeersBundle = null): Promise<number> {
  const { values, positionals: [shape] } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'auto' }, runtime: { type: 'string', default: bundled === null ? 'browser' : 'node' }, 'peers-dir': { type: 'string' }, rounds: { type: 'string', default: '5' }, steps: { type: 'string', default: '2' },
      sides: { type: 'string' }, json: { type: 'string' }, help: { type: 'boolean' },
    },
  });
  if (values.help || !['node', 'browser'].includes(values.runtime) || !NODE_GPU_KINDS.includes(values.device as NodeGpuKind)) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const { 'peers-dir': peersDir, sides } = values;
  const comparison = await runPeers({
    device: values.device as NodeGpuKind, runtime: values.runtime as 'browser' | 'node', bundled, rounds: Number(values.rounds), steps: Number(values.steps),
    ...(shape === undefined ? {} : { shape }), ...(peersDir === undefined ? {} : { peersDir }), ...(sides === undefined ? {} : { sides: sides.split(',').map(Number) }),
  });
  console.log(peerLines(comparison).join('\n'));
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(comparison, null, 1));
  return 0;
}
