/**
 * Owns a JSON file of rows, split element by element without holding it whole: an array of rows, an object with the
 * rows in one field ({"data": […]}), one object, or objects one after another. An element that does not parse is named
 * by its number and passed over; what lies outside of the rows, and a list that never closes, is said in a notice.
 * Refuses to know what a row means.
 */
import { joinBytes, type RowRead } from './lines.ts';
import { parseRow } from './jsonRow.ts';

/** The file does not start as JSON does. */
export class NotJsonError extends Error {
  override readonly name = 'NotJsonError';
}

/** Largest element that is read. 64 MiB. */
const MAX_ELEMENT_BYTES = 64 * 2 ** 20;
/** Fields that hold the rows of a wrapped file. */
const WRAPPERS = new Set(['data', 'rows', 'train', 'examples', 'items', 'records', 'instances', 'samples', 'dataset']);

const QUOTE = 0x22, BACKSLASH = 0x5c, COMMA = 0x2c, COLON = 0x3a, NEWLINE = 0x0a;
const OPEN_ARRAY = 0x5b, CLOSE_ARRAY = 0x5d, OPEN_OBJECT = 0x7b, CLOSE_OBJECT = 0x7d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === NEWLINE || byte === 0x0d || byte === 0x09;

export async function* readJsonElements(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RowRead> {
  const splitter = new ElementSplitter();
  for await (const chunk of chunks) yield* splitter.push(chunk);
  yield* splitter.end();
}

/** Finds where elements begin and end; only the element under way is held. */
export class ElementSplitter {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  /** 'root': between top-level values; 'array': inside the array of rows; 'behind': behind a wrapped array; 'done': given up. */
  #mode: 'root' | 'array' | 'behind' | 'done' = 'root';
  #wrapped = false;
  #count = 0;
  #line = 1;
  #started = false;

  // The element under way.
  #collecting = false;
  #scalar = false;
  #parts: Uint8Array[] = [];
  #held = 0;
  #from = -1;
  #startLine = 1;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** A raw line break stood in a string, so the element is broken; only the white space of the next line was seen. */
  #afterBreak = false;

  // Where columns are counted from, in bytes since the start of the file.
  #position = 0;
  #lineStart = 0;
  #startColumn = 0;

  // Search for a wrapper field, in the first top-level object only.
  #key = '';
  #inKey = false;
  #expectKey = false;
  #afterColon = false;
  #wrapperOpen = false;
  /** Top-level fields of the first object so far. */
  #keys: string[] = [];
  /** Fields beside the one that holds the rows. */
  readonly #otherFields: string[] = [];
  #rowsField = '';

  push(chunk: Uint8Array): RowRead[] {
    const found: RowRead[] = [];
    let from = 0;
    if (!this.#started && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) from = 3;
    if (this.#collecting) this.#from = 0;
    for (let i = from; i < chunk.length && this.#mode !== 'done'; i++) {
      const byte = chunk[i]!;
      if (this.#mode === 'behind') {
        this.#behind(byte);
        continue;
      }
      if (byte === NEWLINE) {
        this.#line++;
        this.#lineStart = this.#position + i + 1;
      }
      if (this.#collecting) this.#inside(byte, i, chunk, found);
      else this.#between(byte, i, found);
    }
    this.#position += chunk.length;
    if (this.#collecting && this.#from >= 0) {
      this.#parts.push(chunk.slice(this.#from));
      this.#held += chunk.length - this.#from;
      if (this.#held > MAX_ELEMENT_BYTES) {
        found.push(this.#problem(`it is longer than ${MAX_ELEMENT_BYTES.toLocaleString('en')} bytes or never ends; the rest of the file was not read`));
        this.#mode = 'done';
        this.#collecting = false;
        this.#parts = [];
      }
    }
    return found;
  }

  end(): RowRead[] {
    const found: RowRead[] = [];
    if (this.#collecting) found.push(this.#scalar ? this.#finish() : this.#problem('the file ends in the middle of it'));
    if (this.#mode === 'array' && !found.some((row) => 'problem' in row)) found.push({ line: this.#count, notice: `the file ends before its list of rows is closed, after row ${this.#count}: rows may be missing` });
    if (this.#otherFields.length > 0) found.push({ line: this.#count, notice: `rows were taken from "${this.#rowsField}"; not read: ${this.#otherFields.map((name) => JSON.stringify(name)).join(', ')}` });
    return found;
  }

  /** Behind a wrapped array nothing is read, but its fields are named. */
  #behind(byte: number): void {
    if (this.#inString) {
      if (this.#inKey && byte !== QUOTE && this.#key.length < 60) this.#key += String.fromCharCode(byte);
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) {
        this.#inString = false;
        if (this.#inKey) this.#noteField(this.#key);
        this.#inKey = false;
      }
    } else if (byte === QUOTE) {
      this.#inString = true;
      this.#inKey = this.#depth === 1 && !this.#afterColon;
      this.#key = '';
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      this.#depth++;
      if (this.#depth === 1) this.#noteField('a second value');
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.#depth--;
    else if (byte === COLON) this.#afterColon = true;
    else if (byte === COMMA && this.#depth === 1) this.#afterColon = false;
    else if (this.#depth < 1 && !isSpace(byte)) this.#noteField('text behind the object');
  }

  #noteField(name: string): void {
    if (this.#otherFields.length < 20 && !this.#otherFields.includes(name)) this.#otherFields.push(name);
  }

  #between(byte: number, i: number, found: RowRead[]): void {
    if (isSpace(byte) || (byte === COMMA && this.#mode === 'array')) return;
    if (byte === CLOSE_ARRAY && this.#mode === 'array') {
      this.#mode = this.#wrapped ? 'behind' : 'root';
      if (this.#wrapped) {
        this.#depth = 1;
        this.#inString = this.#escaped = this.#inKey = this.#afterColon = false;
      }
      return;
    }
    if (this.#mode === 'root' && byte === OPEN_ARRAY) {
      this.#mode = 'array';
      this.#started = true;
      return;
    }
    if (!this.#started && byte !== OPEN_OBJECT) throw new NotJsonError(`it starts with the byte 0x${byte.toString(16).padStart(2, '0')}`);
    if (this.#mode === 'array' && byte === CLOSE_OBJECT) {
      found.push({ line: ++this.#count, problem: `line ${this.#line}: a closing brace without an opening one` });
      return;
    }
    this.#begin(byte, i);
  }

  #begin(byte: number, i: number): void {
    const container = byte === OPEN_OBJECT || byte === OPEN_ARRAY;
    this.#expectKey = this.#mode === 'root' && !this.#started && byte === OPEN_OBJECT;
    this.#started = true;
    this.#collecting = true;
    this.#scalar = !container;
    this.#inString = byte === QUOTE;
    this.#escaped = false;
    this.#depth = container ? 1 : 0;
    this.#from = i;
    this.#startLine = this.#line;
    this.#startColumn = this.#position + i - this.#lineStart;
    this.#afterBreak = false;
    this.#afterColon = this.#inKey = this.#wrapperOpen = false;
  }

  #inside(byte: number, i: number, chunk: Uint8Array, found: RowRead[]): void {
    if (this.#afterBreak && !isSpace(byte)) {
      this.#afterBreak = false;
      if (this.#resume(byte, i, chunk, found)) return;
    }
    if (this.#inString) {
      if (this.#inKey && byte !== QUOTE) this.#key += String.fromCharCode(byte);
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) {
        if (this.#inKey) this.#keys.push(this.#key);
        this.#inString = this.#inKey = false;
      } else if (byte === NEWLINE && !this.#scalar) this.#afterBreak = true;
      return;
    }
    if (this.#scalar) {
      if (byte === COMMA || byte === CLOSE_ARRAY || isSpace(byte)) {
        found.push(this.#finish(chunk, i));
        this.#between(byte, i, found);
      }
      return;
    }
    if (isSpace(byte)) return;
    if (this.#wrapperOpen) {
      this.#wrapperOpen = false;
      if (byte === OPEN_OBJECT) {
        this.#mode = 'array';
        this.#wrapped = true;
        this.#rowsField = this.#keys.pop() ?? '';
        for (const name of this.#keys) this.#noteField(name);
        this.#parts = [];
        this.#held = 0;
        this.#begin(byte, i);
        return;
      }
    }
    if (byte === QUOTE) {
      this.#inString = true;
      this.#inKey = this.#expectKey && this.#depth === 1 && !this.#afterColon;
      if (this.#inKey) this.#key = '';
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      this.#wrapperOpen = byte === OPEN_ARRAY && this.#expectKey && this.#depth === 1 && this.#afterColon && WRAPPERS.has(this.#key);
      this.#depth++;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (--this.#depth === 0) found.push(this.#finish(chunk, i + 1));
    } else if (this.#depth === 1) {
      if (byte === COLON) this.#afterColon = true;
      else if (byte === COMMA) this.#afterColon = false;
    }
  }

  /**
   * A string that runs over a line break was never closed, if the next line begins with a brace in the column where the
   * element began: the element ends there, or the next one begins. True when it did.
   */
  #resume(byte: number, i: number, chunk: Uint8Array, found: RowRead[]): boolean {
    const sameColumn = this.#position + i - this.#lineStart === this.#startColumn;
    if (!this.#inString || this.#mode !== 'array' || !sameColumn || (byte !== OPEN_OBJECT && byte !== CLOSE_OBJECT)) return false;
    found.push(this.#finish(chunk, byte === CLOSE_OBJECT ? i + 1 : i));
    if (byte === OPEN_OBJECT) this.#begin(byte, i);
    return true;
  }

  #finish(chunk?: Uint8Array, end = 0): RowRead {
    if (chunk) {
      this.#parts.push(chunk.subarray(this.#from, end));
      this.#held += end - this.#from;
    }
    const bytes = joinBytes(this.#parts, this.#held);
    this.#parts = [];
    this.#held = 0;
    this.#collecting = false;
    let text: string;
    try {
      text = this.#decoder.decode(bytes);
    } catch {
      return this.#problem('broken UTF-8: these bytes are no text');
    }
    const row = parseRow(this.#count + 1, text);
    if ('problem' in row) return this.#problem(row.problem);
    this.#count++;
    return row;
  }

  #problem(words: string): RowRead {
    const to = this.#line > this.#startLine ? ` (lines ${this.#startLine} to ${this.#line})` : '';
    return { line: ++this.#count, problem: `element ${this.#count} at line ${this.#startLine}: ${words}${to}` };
  }
}
