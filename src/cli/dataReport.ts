/**
 * `npm run data:report`: the findings on a data file or a dataset of the hub without a page, as text or JSON. Needs a model folder for its
 * tokenizer and template; no GPU. Rows are held in memory.
 */
import 'fake-indexeddb/auto';
import { writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { EtudeError } from '../config/errors.ts';
import { TEMPLATE_IDS } from '../config/recipe.ts';
import { changesFile } from '../data/changes.ts';
import { openDatabase } from '../data/db.ts';
import { importDataset } from '../data/importers/importDataset.ts';
import { buildReport } from '../data/report.ts';
import { DatasetStore } from '../data/store.ts';
import { RowEncoder } from '../data/template.ts';
import { loadTokenizer } from '../data/tokenizer.ts';
import type { DataReport, DatasetSummary, TemplateId } from '../data/types.ts';
import { openBuiltinModel } from '../hub/builtin.ts';
import { openModelFolder } from '../hub/modelFolder.ts';
import { checkDataArgument, dataOnDisk, partsOnDisk, type DataArgument } from './dataArgument.ts';
import { sourceFromPath, sourcesFromFolder } from './fsSource.ts';
import { ProgressBar } from './progress.ts';
import type { DataOnDisk } from './runRequest.ts';

const USAGE = `Says what is in a dataset and what training would make of it.

  npm run data:report -- <file|org/name> --model <folder|builtin> [options]

  <file>         .jsonl, .json, .csv, .tsv, .parquet or text, packed by gzip or not; or a dataset of the Hugging Face hub
                 as org/name or org/name@revision
  --data-config, --data-split  which part of a dataset of the hub; without them its default and train
  --json         JSON instead of text
  --template     model (default where the model has one), chatml, llama3 or alpaca
  --max-length   tokens, default 1024
  --changes      file to write the record of changes to: every row that is dropped, cut or changed
  --help

  HF_TOKEN     token for gated datasets; goes to the hub's host alone
  HF_ENDPOINT  another host that speaks the hub's protocol
  ETUDE_CACHE  folder for what is downloaded`;

const bad = (what: string, expected: string): EtudeError => new EtudeError({ code: 'cli.argument', what, expected, nextStep: 'npm run data:report -- --help lists every option.' });

function parse(words: string[]) {
  try {
    return parseArgs({
      args: words, allowPositionals: true,
      options: { model: { type: 'string' }, json: { type: 'boolean', default: false }, template: { type: 'string' }, 'max-length': { type: 'string', default: '1024' }, changes: { type: 'string' }, 'data-config': { type: 'string' }, 'data-split': { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
    });
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error), 'One file and the options of --help.');
  }
}

const builtin = resolve(import.meta.dirname, '../../public/builtin');
const openModel = async (model: string) =>
  model === 'builtin'
    ? openBuiltinModel((path) => sourceFromPath(resolve(builtin, path)))
    : openModelFolder(basename(resolve(model)), await sourcesFromFolder(model));

async function fetchData(argument: DataArgument): Promise<{ data: DataOnDisk; note: string | null }> {
  const bar = new ProgressBar();
  const { data, note } = await dataOnDisk(argument, null, (label, done, total) => bar.update({ label, done, total, unit: 'bytes' }));
  bar.finish();
  // The built-in rows are a file here.
  return { data: data === 'builtin' ? { name: 'Built-in questions.jsonl', files: [{ name: 'train.jsonl', path: resolve(builtin, 'data/train.jsonl') }] } : data, note };
}

export async function main(words: string[]): Promise<number> {
  const { values, positionals } = parse(words);
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw bad(`${positionals.length} files were named.`, 'One file, or one org/name.');
  if (values.model === undefined) throw bad('--model is missing.', "A model folder, or 'builtin'.");
  const argument = { data: file, config: values['data-config'] ?? null, split: values['data-split'] ?? null };
  await checkDataArgument(argument, 'The file');
  const maxLength = Number(values['max-length']);
  if (!Number.isSafeInteger(maxLength) || maxLength < 8) throw bad(`--max-length is '${values['max-length']}'.`, 'A whole number from 8 on.');
  const folder = await openModel(values.model);
  const tokenizer = loadTokenizer(folder.tokenizerJson, folder.tokenizerConfig, folder.chatTemplate);
  const template = (values.template ?? (tokenizer.hasChatTemplate ? 'model' : 'alpaca')) as TemplateId;
  if (!TEMPLATE_IDS.includes(template)) throw bad(`--template is '${template}'.`, `One of ${TEMPLATE_IDS.join(', ')}.`);
  const { data: found, note } = await fetchData(argument);
  const db = await openDatabase('data-report');
  try {
    const store = new DatasetStore(db);
    const { name, hub, files } = await partsOnDisk(found);
    const dataset = await importDataset({ name, blob: files[0]!.blob, files, kind: hub ? 'hub' : 'file', ...(hub ? { hub } : {}) }, store);
    const encoder = new RowEncoder(tokenizer, template, maxLength);
    const read = (rows: number[]) => store.rowsAt(dataset.id, rows);
    const { report } = await buildReport({ rows: store.rows(dataset.id), read, dataset, encoder, tokenizer });
    if (values.changes !== undefined) {
      const format = values.changes.endsWith('.json') ? 'json' : 'text';
      const made = await changesFile({ dataset, notes: store.notes(dataset.id), training: { rows: store.rows(dataset.id), encoder } }, format);
      await writeFile(values.changes, new Uint8Array(await made.blob.arrayBuffer()));
    }
    console.log(values.json ? JSON.stringify({ dataset, template, maxLength, report }, null, 2) : inWords(dataset, report, template, maxLength, note));
    return 0;
  } finally {
    db.close();
  }
}

const n = (value: number): string => value.toLocaleString('en');

export function inWords(dataset: DatasetSummary, report: DataReport, template: TemplateId, maxLength: number, note: string | null = null): string {
  const { advice } = report;
  const lines = [
    `Data      ${dataset.name}, ${n(dataset.rows)} rows${dataset.skipped > 0 ? `, ${n(dataset.skipped)} lines not read` : ''}${dataset.changed ? `, ${n(dataset.changed)} changed while read` : ''}`,
    ...(dataset.hub ? [`Hub       ${dataset.hub.repo} at ${dataset.hub.commit.slice(0, 7)}, config ${dataset.hub.config}, split ${dataset.hub.split}.${note === null ? '' : ` ${note}`}`] : []),
    `Shape     ${dataset.detectedBecause}`,
    ...(dataset.notices ?? []).map((notice) => `File      ${notice}`),
    `Template  ${template}, at most ${n(maxLength)} tokens`,
    `Training  ${n(report.usableRows)} rows usable, ${n(report.droppedRows)} dropped, ${n(report.cutRows)} cut; ${n(report.labelledTokens)} of ${n(report.tokens)} tokens trained; the longest row has ${n(report.longest)}`,
    `Size      ${advice.band}: ${advice.advice}`,
    `Tasks     ${advice.mix.map(({ type, rows }) => `${type} ${n(rows)}`).join(', ')}${advice.mixAdvice ? `. ${advice.mixAdvice}` : ''}`,
    `Language  ${report.languages.map(([language, rows]) => `${language} ${n(rows)}`).join(', ') || 'unknown'} (a rough guess)`,
    `Quality   ${advice.quality.score} of 100: ${advice.quality.parts.map(({ name, weight, value }) => `${name} ${(weight * value).toFixed(1)} of ${weight}`).join(', ')}`,
    `Checks    ${report.checksPassed} passed, ${report.findings.length} with findings`,
  ];
  for (const { severity, title, detail, rows } of report.findings) {
    lines.push(`${severity === 'error' ? '!!' : '! '}        ${title}. ${detail}`);
    if (rows.length > 0) lines.push(`          rows ${rows.slice(0, 12).map((row) => row + 1).join(', ')}${rows.length > 12 ? ' …' : ''}`);
  }
  return lines.join('\n');
}
