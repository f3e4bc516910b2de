/**
 * The page that `npm run finetune` opens in headless Chromium: takes a job by addresses, runs it, hands back events and files.
 * It has no interface; the command line calls `etudeRun` and provides `etudeEvent` and `etudeFile`.
 */
import { EtudeError, toUserMessage } from '../config/errors.ts';
import { checkRange, unreadable, type ByteSource } from '../formats/byteSource.ts';
import { builtinFromSite } from '../hub/builtin.ts';
import { openEngine, type Engine } from '../engine/device.ts';
import { benchShape, type BenchRequest } from './bench/benchShape.ts';
import { runCase } from './conformance/runCase.ts';
import { runHeadless, type FileAddress, type HeadlessEvent, type HeadlessJob, type PageBenchOutcome, type PageCase, type PageCaseOutcome, type PageJob, type PageOutcome } from './headlessRun.ts';

interface HeadlessPage {
  etudeEvent(event: HeadlessEvent): Promise<void>;
  /** One piece of a finished file, in order. */
  etudeFile(path: string, base64: string): Promise<void>;
  etudeRun(job: PageJob, device: string): Promise<PageOutcome>;
  etudeCase(one: PageCase, device: string): Promise<PageCaseOutcome>;
  etudeBench(request: BenchRequest, device: string): Promise<PageBenchOutcome>;
}
const page = globalThis as unknown as HeadlessPage;

/** A file of the local server, read by ranges. */
function sourceFromAddress({ name, size, url }: FileAddress): ByteSource {
  return {
    name,
    size,
    async read(start, end) {
      checkRange(name, size, start, end);
      if (start === end) return new Uint8Array();
      const response = await fetch(url, { headers: { Range: `bytes=${start}-${end - 1}` } }).catch((cause: unknown) => {
        throw unreadable(name, cause);
      });
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.status !== 206 || bytes.length !== end - start) throw unreadable(name, new Error(`status ${response.status}, ${bytes.length} bytes`));
      return bytes;
    },
  };
}

/** The whole file as a Blob: the browser keeps a large one on disk. */
async function blobFromAddress({ name, size, url }: FileAddress): Promise<Blob> {
  try {
    const blob = await (await fetch(url)).blob();
    if (blob.size !== size) throw new Error(`${blob.size} of ${size} bytes`);
    return blob;
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

/** One file after the other: together they may be large. */
async function partsFromAddresses({ files, ...data }: Exclude<PageJob['data'], 'builtin'>): Promise<HeadlessJob['data']> {
  const parts: { name: string; blob: Blob }[] = [];
  for (const file of files) parts.push({ name: file.name, blob: await blobFromAddress(file) });
  return { ...data, files: parts };
}

const named = ({ name, files }: { name: string; files: FileAddress[] }) => ({
  name, files: new Map(files.map((file) => [file.name, sourceFromAddress(file)])),
});

/** Kept between cases: they share their kernels. */
let engine: Promise<Engine> | null = null;

page.etudeCase = async ({ name, files, adapter }, device) => {
  try {
    engine ??= gpuFor(device).then((gpu) => openEngine(gpu));
    const opened = await engine;
    const result = await runCase(opened, name, named({ name, files }).files, named({ name, files: adapter }).files);
    return { ok: true, result, device: opened.info.description };
  } catch (error) {
    return { ok: false, error: toUserMessage(error) };
  }
};

page.etudeBench = async (request, device) => {
  try {
    return { ok: true, result: await benchShape(await gpuFor(device), request) };
  } catch (error) {
    return { ok: false, error: toUserMessage(error) };
  }
};

/** A multiple of 3, so that the pieces' base64 can be joined or decoded apart. */
const PIECE = 3 << 18;

async function sendFile(path: string, bytes: Uint8Array): Promise<void> {
  for (let start = 0; start === 0 || start < bytes.length; start += PIECE) {
    const piece = bytes.subarray(start, start + PIECE);
    let binary = '';
    for (let i = 0; i < piece.length; i += 0x8000) binary += String.fromCharCode(...piece.subarray(i, i + 0x8000));
    await page.etudeFile(path, btoa(binary));
  }
}

async function gpuFor(device: string): Promise<GPU> {
  const gpu = navigator.gpu as GPU | undefined;
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (gpu === undefined || !adapter) {
    throw new EtudeError({
      code: 'device.noWebGpu', what: 'Headless Chromium offers no WebGPU adapter here.',
      likelyCause: 'No graphics driver that it can use without a screen.', nextStep: 'Try --device swiftshader, or --runtime node.',
    });
  }
  if (device === 'gpu' && adapter.info.isFallbackAdapter) {
    throw new EtudeError({
      code: 'device.softwareOnly', what: `Headless Chromium offers only the software adapter ${adapter.info.architecture}.`,
      expected: 'A graphics card, since --device gpu asked for one.', nextStep: 'Install its Vulkan driver, or leave --device out.',
    });
  }
  return gpu;
}

page.etudeRun = async (job, device) => {
  try {
    const gpu = await gpuFor(device);
    const { files, ...outcome } = await runHeadless(
      { gpu, loadBuiltin: builtinFromSite(new URL('builtin/', location.href).href) },
      {
        model: job.model === 'builtin' ? 'builtin' : { ...named(job.model), ...(job.model.revision === undefined ? {} : { revision: job.model.revision }) },
        data: job.data === 'builtin' ? 'builtin' : await partsFromAddresses(job.data),
        adapter: job.adapter === null ? null : named(job.adapter),
        recipe: job.recipe,
      },
      (event) => void page.etudeEvent(event),
    );
    for (const { path, bytes } of files) await sendFile(path, bytes);
    return { ok: true, outcome };
  } catch (error) {
    return { ok: false, error: toUserMessage(error) };
  }
};
