/**
 * A run in headless Chromium: builds the headless page, serves it with the run's files below an address nobody can guess,
 * and carries events and the finished adapter back. Weights and rows are read by ranges, never whole.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { EtudeError } from '../config/errors.ts';
import type { BenchRequest, ShapeResult } from '../worker/bench/benchShape.ts';
import type { CaseResult } from '../worker/conformance/runCase.ts';
import type { FileAddress, HeadlessEvent, HeadlessOutcome, PageBenchOutcome, PageCase, PageCaseOutcome, PageJob, PageOutcome } from '../worker/headlessRun.ts';
import { launchPersistentChromium } from './chromium.ts';
import type { NodeGpuKind } from './nodeGpu.ts';
import type { DataOnDisk, ModelOnDisk, RunRequest } from './runRequest.ts';
import { startStaticServer } from './staticServer.ts';

const root = resolve(import.meta.dirname, '../..');

async function buildHeadlessPage(outDir: string): Promise<void> {
  const { build } = await import('vite');
  await build({
    root,
    configFile: join(root, 'vite.config.ts'),
    mode: 'headless',
    logLevel: 'error',
    build: { outDir, emptyOutDir: true },
  });
}

/** Gives each file an address and notes it among the server's mounts. */
class Mounts {
  readonly mounts: Record<string, string> = {};
  readonly #secret = randomBytes(18).toString('base64url');
  readonly pagePath = `/${this.#secret}/page/`;

  constructor(pageFolder: string) {
    this.mounts[this.pagePath] = pageFolder;
  }

  async file(path: string, name = basename(path)): Promise<FileAddress> {
    const { size } = await stat(path);
    const url = `/${this.#secret}/file/${Object.keys(this.mounts).length}`;
    this.mounts[url] = resolve(path);
    return { name, size, url };
  }

  async folder(path: string): Promise<{ name: string; files: FileAddress[] }> {
    const names = (await readdir(path)).sort();
    const infos = await Promise.all(names.map(async (name) => ({ path: join(path, name), isFile: (await stat(join(path, name))).isFile() })));
    const files: FileAddress[] = [];
    for (const info of infos) if (info.isFile) files.push(await this.file(info.path));
    return { name: basename(resolve(path)), files };
  }
}

const named = ({ name, revision }: ModelOnDisk) => ({ name, ...(revision === undefined ? {} : { revision }) });

async function pageData({ files, ...data }: DataOnDisk, mounts: Mounts): Promise<PageJob['data']> {
  const addresses: FileAddress[] = [];
  for (const { name, path } of files) addresses.push(await mounts.file(path, name));
  return { ...data, files: addresses };
}

async function pageJob(request: RunRequest, mounts: Mounts): Promise<PageJob> {
  return {
    model: request.model === 'builtin' ? 'builtin' : { ...await mounts.folder(request.model.folder), ...named(request.model) },
    data: request.data === 'builtin' ? 'builtin' : await pageData(request.data, mounts),
    adapter: request.adapter === null ? null : await mounts.folder(request.adapter),
    recipe: request.recipe,
  };
}

/** Everything the page says by itself: events, pieces of files, and its death. */
async function listen(page: Page, onEvent: (event: HeadlessEvent) => void): Promise<{ files: Map<string, Buffer[]>; died: Promise<never> }> {
  const files = new Map<string, Buffer[]>();
  await page.exposeFunction('etudeEvent', (event: HeadlessEvent) => onEvent(event));
  await page.exposeFunction('etudeFile', (path: string, base64: string) => {
    files.set(path, [...(files.get(path) ?? []), Buffer.from(base64, 'base64')]);
  });
  const died = new Promise<never>((_resolve, reject) => {
    const say = (what: string, likelyCause: string): void => reject(new EtudeError({
      code: 'browser.died', what, likelyCause, expected: 'Chromium runs until training is done.',
      nextStep: 'Lower the batch size or the maximum length, or use --runtime node.',
    }));
    page.on('crash', () => say('The page in headless Chromium crashed.', 'It ran out of memory.'));
    page.on('close', () => say('Headless Chromium was closed.', 'It was ended from outside, or it crashed.'));
    page.on('pageerror', (error) => say(`The headless page failed: ${error.message}`, 'A fault in Etude itself.'));
  });
  died.catch(() => undefined);
  return { files, died };
}

/** Serves the headless page with what is mounted, opens it in Chromium, and takes everything down again. */
async function withHeadlessPage<T>(
  device: NodeGpuKind, prepare: (mounts: Mounts) => Promise<void>, use: (page: Page) => Promise<T>, beforeLoad: (page: Page) => Promise<void> = async () => {},
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'etude-headless-'));
  const mounts = new Mounts(join(folder, 'page'));
  let context: BrowserContext | null = null;
  let server: Awaited<ReturnType<typeof startStaticServer>> | null = null;
  try {
    await prepare(mounts);
    await buildHeadlessPage(join(folder, 'page'));
    server = await startStaticServer(mounts.mounts);
    context = await launchPersistentChromium(device === 'swiftshader' ? 'swiftshader' : 'gpu', join(folder, 'profile'));
    const page = context.pages()[0] ?? await context.newPage();
    await beforeLoad(page);
    await page.goto(`${server.origin}${mounts.pagePath}headless.html`);
    await page.waitForFunction(() => 'etudeRun' in globalThis);
    return await use(page);
  } finally {
    await context?.close().catch(() => undefined);
    await server?.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

export async function runInBrowser(request: RunRequest, onEvent: (event: HeadlessEvent) => void): Promise<HeadlessOutcome> {
  let job: PageJob;
  let heard: Awaited<ReturnType<typeof listen>>;
  return withHeadlessPage(
    request.device,
    async (mounts) => void (job = await pageJob(request, mounts)),
    async (page) => {
      const outcome = await Promise.race([heard.died, page.evaluate(({ job: given, wanted }) => {
        const page = globalThis as unknown as { etudeRun(job: PageJob, device: string): Promise<PageOutcome> };
        return page.etudeRun(given, wanted);
      }, { job, wanted: request.device })]);
      if (!outcome.ok) throw new EtudeError(outcome.error);
      return { ...outcome.outcome, files: [...heard.files].map(([path, parts]) => ({ path, bytes: new Uint8Array(Buffer.concat(parts)) })) };
    },
    async (page) => void (heard = await listen(page, onEvent)),
  );
}

/** Runs golden cases in Chromium, one after the other. `folders` hold a case each, with its adapter/ inside. */
export async function runCasesInBrowser(folders: readonly string[], device: NodeGpuKind, onResult: (result: CaseResult, device: string) => void): Promise<void> {
  const cases: PageCase[] = [];
  await withHeadlessPage(
    device,
    async (mounts) => {
      for (const path of folders) {
        const adapter = join(path, 'adapter');
        const { name, files } = await mounts.folder(path);
        cases.push({ name, files, adapter: (await stat(adapter).catch(() => null)) ? (await mounts.folder(adapter)).files : [] });
      }
    },
    async (page) => {
      for (const one of cases) {
        const answer = await page.evaluate(({ one: given, wanted }) => {
          const page = globalThis as unknown as { etudeCase(one: PageCase, device: string): Promise<PageCaseOutcome> };
          return page.etudeCase(given, wanted);
        }, { one, wanted: device });
        if (!answer.ok) throw new EtudeError(answer.error);
        onResult(answer.result, answer.device);
      }
    },
  );
}

/** One benchmark in Chromium, in a page of its own. */
export async function benchInBrowser(device: NodeGpuKind, request: BenchRequest): Promise<ShapeResult> {
  return withHeadlessPage(device, async () => {}, async (page) => {
    const answer = await page.evaluate(({ request: given, wanted }) => {
      const page = globalThis as unknown as { etudeBench(request: BenchRequest, device: string): Promise<PageBenchOutcome> };
      return page.etudeBench(given, wanted);
    }, { request, wanted: device });
    if (!answer.ok) throw new EtudeError(answer.error);
    return answer.result;
  });
}
