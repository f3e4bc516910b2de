/**
 * Owns CSV and TSV with a header row, streaming: lines are joined into records (a quoted field may span lines), each
 * record is parsed by Papa Parse. A record that does not fit the header is named by its line and passed over.
 */
import Papa from 'papaparse';

import { readLines, type RowRead, type TextLine } from './lines.ts';

/** The first line, which names the columns, cannot be read. */
export class CsvHeaderError extends Error {
  override readonly name = 'CsvHeaderError';
}

/** Longest record: a quote that is still open after this many characters was never meant to be one. */
const MAX_RECORD_CHARS = 4 * 2 ** 20;
/** How often a file may be taken up again behind a quote that never closes. */
const MAX_RESTARTS = 100;
/** Records parsed together: a call costs more than a record. */
const BATCH_RECORDS = 64;
const DELIMITERS = [',', '\t', ';', '|'];

/** Guesses the delimiter from the first lines of a file; the comma when nothing tells. */
export function guessDelimiter(head: string): string {
  // Papa Parse counts an empty last line as a record of one field, which hides the delimiter of a small table.
  const { meta } = Papa.parse(head.replace(/[\r\n]+$/, ''), { preview: 10, delimitersToGuess: DELIMITERS });
  return DELIMITERS.includes(meta.delimiter) ? meta.delimiter : ',';
}

/** Text without a name that says so is a table where its first lines have one number of fields, two or more, under a short header. */
export function looksLikeTable(head: string): boolean {
  const delimiter = guessDelimiter(head);
  const { data } = Papa.parse<string[]>(head, { delimiter, preview: 10 });
  const rows = data.filter((fields) => fields.length > 1 || fields[0] !== '');
  const [header] = rows;
  return header !== undefined && header.length > 1 && rows.length > 1
    && header.every((name) => name.trim() !== '' && name.length <= 40 && !/[.!?]$/.test(name.trim()))
    && rows.every((fields) => fields.length === header.length);
}

/** Rows as objects, keyed by the header's names. Throws CsvHeaderError: no row means anything without its names. */
export async function* readCsv(chunks: AsyncIterable<Uint8Array>, delimiter: string): AsyncGenerator<RowRead> {
  let header: string[] | null = null;
  const batch: Complete[] = [];
  for await (const record of readRecords(chunks, delimiter)) {
    if (header === null) {
      const [parsed] = 'text' in record ? parseRecords([record], delimiter) : [];
      if (!parsed?.fields || parsed.quotes !== null) throw new CsvHeaderError(`line ${record.line}: ${'problem' in record ? record.problem : (parsed?.quotes ?? 'it falls apart')}`);
      header = nameColumns(parsed.fields);
      const renamed = header.flatMap((name, i) => (name === parsed.fields![i]!.trim() ? [] : [`column ${i + 1} "${parsed.fields![i]!.trim()}" is called "${name}"`]));
      if (renamed.length > 0) yield { line: record.line, notice: `names of columns are empty or given twice: ${renamed.slice(0, 20).join('; ')}` };
    } else if ('text' in record) {
      batch.push(record);
      if (batch.length >= BATCH_RECORDS) yield* rowsOf(batch.splice(0), header!, delimiter);
    } else {
      yield* rowsOf(batch.splice(0), header ?? [], delimiter);
      yield record;
    }
  }
  yield* rowsOf(batch, header ?? [], delimiter);
}

function rowsOf(records: Complete[], header: string[], delimiter: string): RowRead[] {
  return parseRecords(records, delimiter).map(({ line, lastLine, fields, quotes, changed }): RowRead => {
    const to = lastLine > line ? ` (lines ${line} to ${lastLine})` : '';
    if (fields === null || quotes !== null) return { line, problem: `quotes: ${quotes ?? 'the record falls apart'}${to}` };
    if (fields.length !== header.length) return { line, problem: `${fields.length} fields where the header has ${header.length}${to}` };
    return { line, value: Object.fromEntries(header.map((name, i) => [name, fields[i]!])), ...(changed === undefined ? {} : { changed }) };
  });
}

/** Papa Parse on many records at once; where it finds another number of them, one by one. */
function parseRecords(records: Complete[], delimiter: string): { line: number; lastLine: number; fields: string[] | null; quotes: string | null; changed?: string }[] {
  if (records.length === 0) return [];
  const { data, errors } = Papa.parse<string[]>(records.map((record) => record.text).join('\n'), { delimiter, newline: '\n' });
  const quotes = errors.filter((error) => error.type === 'Quotes');
  if (records.length > 1 && (data.length !== records.length || quotes.length > 0)) return records.flatMap((record) => parseRecords([record], delimiter));
  return records.map(({ line, lastLine, changed }, i) => ({
    line, lastLine, fields: data.length === records.length ? data[i]! : null, quotes: quotes[0]?.message ?? null, ...(changed === undefined ? {} : { changed }),
  }));
}

function nameColumns(fields: string[]): string[] {
  const seen = new Set<string>();
  return fields.map((field, i) => {
    let name = field.trim() || `column_${i + 1}`;
    while (seen.has(name)) name += `_${i + 1}`;
    seen.add(name);
    return name;
  });
}

interface Complete {
  line: number;
  lastLine: number;
  text: string;
  changed?: string;
}
type CsvRecord = Complete | { line: number; problem: string };

async function* readRecords(chunks: AsyncIterable<Uint8Array>, delimiter: string): AsyncGenerator<CsvRecord> {
  let open: TextLine[] = [];
  let chars = 0;
  let inQuotes = false;
  let restarts = 0;
  /** Takes one line in; returns the records that are complete with it. */
  const take = (line: TextLine): CsvRecord[] => {
    if (open.length === 0 && line.text === '') return [];
    open.push(line);
    chars += (line.text?.length ?? 0) + 1;
    inQuotes = line.text === null ? inQuotes : endsInQuotes(line.text, delimiter, inQuotes);
    if (inQuotes) return chars > MAX_RECORD_CHARS ? restart() : [];
    const record = open;
    reset();
    const broken = record.find((part) => part.text === null);
    const [first, last] = [record[0]!.line, record.at(-1)!.line];
    if (broken) return [{ line: broken.line, problem: last > first ? `${broken.problem!} (lines ${first} to ${last})` : broken.problem! }];
    // The last line's break ends the record and is no part of it.
    const breaks = record.slice(0, -1).filter((part) => part.cr).length;
    return [{ line: first, lastLine: last, text: record.map((part) => part.text).join('\n'), ...(breaks === 0 ? {} : { changed: `${breaks} line break${breaks === 1 ? '' : 's'} inside a field: CR LF became LF` }) }];
  };
  const reset = () => {
    open = [];
    chars = 0;
    inQuotes = false;
  };
  /** Gives up the first open line and reads the others again. */
  const restart = (): CsvRecord[] => {
    const [first, ...rest] = open;
    reset();
    if (!first) return [];
    if (++restarts > MAX_RESTARTS) {
      const passed = rest.filter((line) => line.text !== '').map((line) => ({ line: line.line, problem: `passed over: inside a quote that opens in line ${first.line} and never closes` }));
      return [{ line: first.line, problem: 'a quote that opens here never closes' }, ...passed];
    }
    return [{ line: first.line, problem: 'a quote that opens here never closes' }, ...rest.flatMap(take)];
  };
  for await (const line of readLines(chunks)) yield* take(line);
  while (open.length > 0) yield* restart();
}

/** A quote counts only at the start of a field; inside, "" is a quote character. */
function endsInQuotes(text: string, delimiter: string, inQuotes: boolean): boolean {
  let at = 0;
  for (;;) {
    if (inQuotes || text[at] === '"') {
      let close = text.indexOf('"', inQuotes ? at : at + 1);
      while (close >= 0 && text[close + 1] === '"') close = text.indexOf('"', close + 2);
      if (close < 0) return true;
      at = close + 1;
      inQuotes = false;
    }
    const next = text.indexOf(delimiter, at);
    if (next < 0) return false;
    at = next + 1;
  }
}
