/**
 * Owns one JSON text -> one row without a silent loss. JSON.parse would keep the last of two equal keys and round numbers
 * it cannot hold; here the first is named and the second stay as they were written. Refuses to know what a row means.
 */
import type { RowRead } from './lines.ts';

/** No row nests half as deep; whoever walks a deeper one runs out of stack. */
const MAX_DEPTH = 64;

/** The row of a JSON text, or why there is none. `line` is passed through. */
export function parseRow(line: number, text: string): Exclude<RowRead, { notice: string }> {
  const found = scan(text);
  if (found.tooDeep) return { line, problem: `lists or objects nest more than ${MAX_DEPTH} deep` };
  try {
    const value = JSON.parse(found.inexact.length === 0 ? text : quoteNumbers(text, found.inexact)) as unknown;
    if (found.twice === null) return { line, value };
    return { line, value, changed: `the field ${JSON.stringify(found.twice.slice(0, 60))} is given twice; the last one was kept` };
  } catch (error) {
    return { line, problem: `not JSON: ${parserWords(error)}` };
  }
}

/** The parser's words without the piece of data that V8 quotes. */
export const parserWords = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/, ?"[^]*" is not valid JSON$/, '').replace(/ in JSON/, '').slice(0, 160);

interface Scan {
  tooDeep: boolean;
  /** A key that one object has twice. */
  twice: string | null;
  /** Spans of numbers that JavaScript would write differently: 1.0, 12345678901234567890. */
  inexact: [start: number, end: number][];
}

const QUOTE = 0x22, BACKSLASH = 0x5c, COLON = 0x3a, MINUS = 0x2d;
const NUMBER = /-?\d[\d.eE+-]*/y;

/** One walk over any text, JSON or not; strings are jumped over. */
function scan(text: string): Scan {
  const found: Scan = { tooDeep: false, twice: null, inexact: [] };
  // The keys of each object around the current place; null for an array.
  const open: (string[] | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      const end = endOfString(text, i);
      const keys = open[open.length - 1];
      if (keys && isKey(text, end + 1)) {
        const key = text.slice(i + 1, end);
        const plain = key.includes('\\') ? unescape(key) : key;
        if (found.twice === null && keys.includes(plain)) found.twice = plain;
        keys.push(plain);
      }
      i = end;
    } else if (c === 0x7b) open.push([]);
    else if (c === 0x5b) open.push(null);
    else if (c === 0x7d || c === 0x5d) open.pop();
    else if (c === MINUS || (c >= 0x30 && c <= 0x39)) {
      NUMBER.lastIndex = i;
      const literal = NUMBER.exec(text)?.[0];
      if (literal === undefined) continue;
      if (String(Number(literal)) !== literal && isJsonNumber(literal)) found.inexact.push([i, i + literal.length]);
      i += literal.length - 1;
    }
    if (open.length > MAX_DEPTH) return { ...found, tooDeep: true };
  }
  return found;
}

const isJsonNumber = (literal: string): boolean => /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(literal);

function quoteNumbers(text: string, spans: readonly [number, number][]): string {
  let out = '';
  let at = 0;
  for (const [start, end] of spans) {
    out += `${text.slice(at, start)}"${text.slice(start, end)}"`;
    at = end;
  }
  return out + text.slice(at);
}

function unescape(key: string): string {
  try {
    return JSON.parse(`"${key}"`) as string;
  } catch {
    return key;
  }
}

/** Index of the closing quote of the string that opens at `start`, or of the end of the text. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return end;
  }
  return text.length;
}

function isKey(text: string, after: number): boolean {
  let i = after;
  for (let c = text.charCodeAt(i); c === 0x20 || (c >= 0x09 && c <= 0x0d); c = text.charCodeAt(++i));
  return text.charCodeAt(i) === COLON;
}
