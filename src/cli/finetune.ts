/**
 * `npm run finetune`: one run without a page. Owns the terminal and the output folder; the core does the rest.
 * Exit code 0 only when an adapter was written and read back.
 */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { EtudeError } from '../config/errors.ts';
import { recordOfHub, type Recipe } from '../config/recipe.ts';
import { METRICS } from '../export/adapterZip.ts';
import { openAdapterFolder } from '../hub/adapterFolder.ts';
import type { RepoName } from '../hub/repoName.ts';
import type { HeadlessEvent, HeadlessOutcome } from '../worker/headlessRun.ts';
import { FINETUNE_USAGE, parseFinetuneArgs, type FinetuneArgs } from './args.ts';
import { checkDataArgument, dataOnDisk, type DownloadProgress } from './dataArgument.ts';
import { sourcesFromFolder } from './fsSource.ts';
import { fetchHubModel, repoOfArgument, revisionFor } from './hubArgument.ts';
import { MetricsFile } from './metricsFile.ts';
import { formatDuration, ProgressBar } from './progress.ts';
import { recipeFromArguments } from './recipeArgument.ts';
import type { RunRequest } from './runRequest.ts';

async function checkFolder(option: string, path: string | null): Promise<void> {
  if (path === null || path === 'builtin') return;
  const info = await stat(path).catch(() => null);
  if (info?.isDirectory()) return;
  throw new EtudeError({
    code: 'cli.pathMissing', what: info === null ? `--${option}: there is nothing at ${path}.` : `--${option}: ${path} is not a folder.`,
    expected: `A folder${option === 'adapter' ? '' : ", or 'builtin'"}.`, nextStep: 'Check the path; it is taken from the folder the command runs in.',
  });
}

async function prepareOut(args: FinetuneArgs): Promise<string> {
  const out = resolve(args.out);
  await mkdir(out, { recursive: true });
  const there = await readdir(out);
  if (there.length > 0 && !args.overwrite) {
    throw new EtudeError({
      code: 'cli.outNotEmpty', what: `${args.out} already holds ${there.length} file${there.length === 1 ? '' : 's'}.`,
      expected: 'An empty or new folder.', nextStep: 'Choose another --out, or add --overwrite to write over what is there.',
    });
  }
  return out;
}

/** Prints what happens: facts to stdout, the moving line to stderr, each logged step to metrics.jsonl. */
class Reporter {
  readonly #bar = new ProgressBar();
  readonly #metrics: MetricsFile;

  constructor(metrics: MetricsFile) {
    this.#metrics = metrics;
  }

  say(text: string): void {
    this.#bar.finish();
    console.log(text);
  }

  readonly onEvent = (event: HeadlessEvent): void => {
    switch (event.type) {
      case 'headless.device':
        return this.say(`Device   ${event.device.description || event.device.architecture}${event.device.software ? ' (software adapter: slow)' : ''}`);
      case 'headless.model':
        return this.say(`Model    ${event.model.name}, ${event.model.architecture}, ${event.model.parameters.toLocaleString('en')} parameters, ${event.model.dtype}`);
      case 'headless.data': {
        const { dataset, report } = event;
        this.say(`Data     ${dataset.name}, ${dataset.rows} rows, ${report.usableRows} usable, ${report.labelledTokens.toLocaleString('en')} of ${report.tokens.toLocaleString('en')} tokens trained`);
        if (dataset.skipped > 0) this.say(`!  ${dataset.skipped} lines could not be read: ${dataset.skippedLines.slice(0, 3).map(({ line, reason }) => `line ${line} (${reason})`).join(', ')}`);
        for (const finding of report.findings) this.say(`!  ${finding.title} ${finding.detail}`);
        return;
      }
      case 'progress':
        return this.#bar.update({ label: event.label, done: event.done, total: event.total, unit: event.unit });
      case 'train.step': {
        const { metrics, totalSteps, secondsLeft } = event;
        this.#metrics.step(metrics);
        const speed = metrics.tokensPerSecond >= 10 ? Math.round(metrics.tokensPerSecond) : metrics.tokensPerSecond.toPrecision(2);
        return this.#bar.update({ label: 'Training', done: metrics.step, total: totalSteps, secondsLeft, note: `loss ${metrics.loss.toFixed(4)}  ${speed} tokens/s` });
      }
      case 'train.eval':
        this.#metrics.evaluation(event.step, event.evalLoss);
        return this.say(`Step ${event.step}: validation loss ${event.evalLoss.toFixed(4)}`);
      case 'train.alert':
        return this.say(`!  Step ${event.step}: ${event.alert.what} ${event.alert.nextStep ?? ''}`);
      case 'train.status':
        return event.message === undefined ? undefined : this.say(`!  ${event.message.what}`);
      default:
        return undefined;
    }
  };

  finish(): void {
    this.#bar.finish();
    this.#metrics.flush();
  }
}

/** Writes every file but metrics.jsonl, which grew with the run; then reads the adapter back from the disk, bytes and tensors. */
async function writeAdapter(out: string, outcome: HeadlessOutcome): Promise<{ tensors: number }> {
  const files = outcome.files.filter(({ path }) => path !== METRICS);
  for (const { path, bytes } of files) await writeFile(join(out, basename(path)), bytes);
  for (const { path, bytes } of files) {
    const back = await readFile(join(out, basename(path)));
    if (!back.equals(bytes)) {
      throw new EtudeError({ code: 'export.readBack', what: `${path} reads back differently than it was written.`, likelyCause: 'The disk is full or failing.', nextStep: 'Choose another --out.' });
    }
  }
  const adapter = await openAdapterFolder(basename(out), await sourcesFromFolder(out));
  return { tensors: adapter.tensors.size };
}

async function modelOnDisk(args: FinetuneArgs, repo: RepoName | null, recipe: Recipe, onProgress: DownloadProgress): Promise<RunRequest['model']> {
  if (args.model === 'builtin') return 'builtin';
  if (repo === null) return { folder: args.model, name: basename(resolve(args.model)) };
  const revision = revisionFor(args.model, repo.repo, recipe) ?? repo.revision;
  return fetchHubModel({ ...repo, revision }, onProgress);
}

/** The recipe with what was taken from the hub named by commit. */
function pinned(recipe: Recipe, model: RunRequest['model'], data: RunRequest['data']): Recipe {
  const { mapping } = recipe.dataset;
  return {
    ...recipe,
    ...(model === 'builtin' || model.revision === undefined ? {} : { model: { ...recipe.model, source: 'hub', name: model.name, revision: model.revision } }),
    ...(data === 'builtin' || !data.hub ? {} : { dataset: recordOfHub(data.hub, mapping) }),
  };
}

export async function main(words: string[]): Promise<number> {
  const args = parseFinetuneArgs(words);
  if (args === 'help') {
    console.log(FINETUNE_USAGE);
    return 0;
  }
  const repo = repoOfArgument(args.model);
  if (repo === null) await checkFolder('model', args.model);
  const argument = { data: args.data, config: args.dataConfig, split: args.dataSplit };
  await checkDataArgument(argument, '--data');
  await checkFolder('adapter', args.adapter);
  const asked = recipeFromArguments(args);
  const out = await prepareOut(args);
  const reporter = new Reporter(new MetricsFile(join(out, METRICS)));
  let outcome: HeadlessOutcome;
  try {
    const onProgress: DownloadProgress = (label, done, total) => reporter.onEvent({ type: 'progress', requestId: 0, label, done, total, unit: 'bytes' });
    const found = await dataOnDisk(argument, asked, onProgress);
    if (found.note !== null) reporter.say(`Data     ${found.note}`);
    const model = await modelOnDisk(args, repo, asked, onProgress);
    const recipe = pinned(asked, model, found.data);
    const request: RunRequest = { model, data: found.data, adapter: args.adapter, device: args.device, recipe };
    outcome = args.runtime === 'node'
      ? await (await import('./nodeRun.ts')).runInNode(request, reporter.onEvent)
      : await (await import('./browserRun.ts')).runInBrowser(request, reporter.onEvent);
  } finally {
    reporter.finish();
  }
  for (const check of outcome.checks) console.log(`${check.ok ? 'ok' : 'FAILED'}       ${check.file}: ${check.detail}`);
  if (outcome.status !== 'finished' || !outcome.ok) {
    console.error(`The run ended as '${outcome.status}' after ${outcome.steps} steps${outcome.ok ? '' : ', and its adapter did not pass its checks'}; nothing was written but metrics.jsonl.`);
    return 1;
  }
  const { tensors } = await writeAdapter(out, outcome);
  console.log(`Done     ${outcome.steps} steps in ${formatDuration(outcome.seconds)}, loss ${outcome.finalLoss?.toFixed(4) ?? 'unknown'}`);
  console.log(`Adapter  ${out} (${tensors} tensors, read back)`);
  return 0;
}
