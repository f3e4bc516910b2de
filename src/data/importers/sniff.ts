/** Owns the decision how a file is to be read, from its name and first bytes; files we cannot read are refused by kind. */
import { EtudeError } from '../../config/errors.ts';
import { guessDelimiter, looksLikeTable } from '../../formats/csv.ts';

export type FileFormat = { kind: 'jsonl' } | { kind: 'json' } | { kind: 'csv'; delimiter: string } | { kind: 'parquet' } | { kind: 'text' };

/** How many bytes the decision needs. */
export const SNIFF_BYTES = 256 * 1024;

const MAGIC: [bytes: number[], name: string, advice: string][] = [
  [[0x1f, 0x8b], 'a gzip archive inside of a gzip archive', 'Unpack it and drop the file inside.'],
  [[0x50, 0x4b, 0x03, 0x04], 'a zip archive or an Excel workbook', 'Unpack it, or save the sheet as CSV (UTF-8).'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'a zstd archive', 'Unpack it and drop the file inside.'],
  [[0xff, 0xfe], 'UTF-16 text', 'Save it as UTF-8.'],
  [[0xfe, 0xff], 'UTF-16 text', 'Save it as UTF-8.'],
  [[0x25, 0x50, 0x44, 0x46], 'a PDF', 'Etude trains on rows of prompts and answers: make a JSONL or CSV file of them.'],
];

const PARQUET = [0x50, 0x41, 0x52, 0x31];
const TEXT = new Set(['txt', 'text', 'md', 'markdown']);
const KNOWN = '.jsonl, .json, .csv, .tsv or .parquet with one conversation or one prompt and answer a row, or plain text, as UTF-8, packed by gzip or not';

export function emptyFile(name: string, size: number): EtudeError {
  return new EtudeError({
    code: 'data.emptyFile',
    what: `${name} holds no rows: ${size === 0 ? 'it has 0 bytes' : `nothing to read in its ${size.toLocaleString('en')} bytes`}.`,
    expected: KNOWN,
    likelyCause: 'The file was saved before it was written, or the download broke off.',
    nextStep: 'Check the file and drop it again.',
  });
}

export function notJson(name: string, why: string): EtudeError {
  return new EtudeError({
    code: 'data.notJson',
    what: `${name} is not JSON: ${why}.`,
    expected: KNOWN,
    likelyCause: 'The file has another format than its name says.',
    nextStep: 'Drop a file in one of these formats, or export the data again.',
  });
}

/** Throws EtudeError 'data.emptyFile', 'data.binary' or 'data.notJson'. */
export function sniff(name: string, size: number, head: Uint8Array): FileFormat {
  for (const [bytes, kind, advice] of MAGIC) {
    if (bytes.every((byte, i) => head[i] === byte)) {
      throw new EtudeError({
        code: 'data.binary', what: `${name} is ${kind}, which is not read here.`, expected: KNOWN,
        likelyCause: 'The data is packed or in another format.', nextStep: advice,
      });
    }
  }
  if (PARQUET.every((byte, i) => head[i] === byte)) return { kind: 'parquet' };
  const text = new TextDecoder('utf-8').decode(head);
  const start = text.trimStart();
  if (start === '' && head.length === size) throw emptyFile(name, size);
  const extension = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? '';
  const first = start[0];
  const isTable = extension === 'csv' || extension === 'tsv';
  if ((first === '{' || first === '[') && !(isTable && !startsWithJson(start))) {
    return looksLikeLines(start, extension, head.length === size) ? { kind: 'jsonl' } : { kind: 'json' };
  }
  if (extension === 'jsonl' || extension === 'ndjson') {
    // A broken first line is no reason to refuse the others.
    if (completeLines(start, head.length === size).some(parses)) return { kind: 'jsonl' };
  }
  if (isTable || (TEXT.has(extension) && looksLikeTable(text))) return { kind: 'csv', delimiter: guessDelimiter(text) };
  if (TEXT.has(extension)) return { kind: 'text' };
  throw notJson(name, `it starts with ${JSON.stringify(start.slice(0, 24))}`);
}

function completeLines(text: string, isWhole: boolean): string[] {
  const lines = text.split('\n').slice(0, 50);
  const complete = isWhole || lines.length === 50 ? lines : lines.slice(0, -1);
  return complete.filter((line) => line.trim() !== '');
}

/** JSON Lines: lines that are JSON objects by themselves. A single such line is read as JSON, which unwraps {"data": […]}. */
function looksLikeLines(text: string, extension: string, isWhole: boolean): boolean {
  const lines = completeLines(text, isWhole);
  const objects = lines.filter((line) => line.trimStart().startsWith('{') && parses(line)).length;
  if (extension === 'jsonl' || extension === 'ndjson') return text[0] === '{' && objects > 0;
  return objects > 1 && objects >= lines.length / 2;
}

const startsWithJson = (text: string): boolean => /^(?:\[\s*[[{\]]|\{\s*["}])/.test(text);

function parses(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
