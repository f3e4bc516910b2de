/**
 * Owns the walk that gives every token of a piece of text its place: byte-level tokens by counting UTF-8 bytes,
 * the others by matching their characters. Throws `OffsetsError` where tokens and text do not add up.
 */

/** Tokens and text do not add up, so no mask can be proven from them. */
export class OffsetsError extends Error {
  override readonly name = 'OffsetsError';
}

/** Called with each token's [start, end) in UTF-16 units of the text. */
export type Place = (token: string, start: number, end: number) => void;

const utf8Length = (codePoint: number): number => (codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x1_0000 ? 3 : 4);

/** A cursor that moves through a text by UTF-8 bytes and knows the character it stands in. */
class ByteCursor {
  at = 0;
  #within = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Moves on by `bytes`; returns the end of the character that holds the last of them. */
  advance(bytes: number): number {
    let end = this.at;
    while (bytes > 0) {
      const codePoint = this.#text.codePointAt(this.at);
      if (codePoint === undefined) throw new OffsetsError('the tokens hold more bytes than the text');
      const length = utf8Length(codePoint);
      end = this.at + (codePoint > 0xffff ? 2 : 1);
      const left = length - this.#within;
      if (bytes >= left) {
        this.at = end;
        this.#within = 0;
        bytes -= left;
      } else {
        this.#within += bytes;
        bytes = 0;
      }
    }
    return end;
  }

  get done(): boolean {
    return this.at === this.#text.length;
  }
}

/** Byte-level BPE: each character of a token stands for one byte. `prefix` bytes at the front are not in the text. */
export function placeByteTokens(tokens: string[], text: string, prefix: number, place: Place): void {
  const cursor = new ByteCursor(text);
  for (const token of tokens) {
    const start = cursor.at;
    const virtual = Math.min(prefix, token.length);
    prefix -= virtual;
    place(token, start, cursor.advance(token.length - virtual));
  }
  if (!cursor.done) throw new OffsetsError('the tokens hold fewer bytes than the text');
}

const BYTE_TOKEN = /^<0x[0-9A-F]{2}>$/;

/** Sentencepiece style: a token is its characters (a space written "▁"), `<0xE4>` one byte, `unknown` one character. */
export function placeCharTokens(tokens: string[], text: string, unknown: string | undefined, place: Place): void {
  const cursor = new ByteCursor(text);
  const same = (a: string | undefined, b: string | undefined) => a === b || (a === '▁' && b === ' ');
  tokens.forEach((token, index) => {
    const start = cursor.at;
    const literal = text.startsWith(token, start);
    if (!literal && BYTE_TOKEN.test(token)) {
      place(token, start, cursor.advance(1));
    } else if (!literal && token === unknown) {
      const codePoint = text.codePointAt(start);
      place(token, start, cursor.advance(codePoint === undefined ? 1 : utf8Length(codePoint)));
    } else {
      // A "▁" that some pre-tokenizers put in front of the text has no place of its own.
      const virtual = index === 0 && token.startsWith('▁') && !same('▁', text[start]) ? 1 : 0;
      const chars = Array.from(token.slice(virtual));
      let bytes = 0;
      let at = start;
      for (const char of chars) {
        if (!same(char, String.fromCodePoint(text.codePointAt(at) ?? 0))) throw new OffsetsError(`token ${JSON.stringify(token)} is not in the text`);
        bytes += utf8Length(text.codePointAt(at)!);
        at += char.length;
      }
      place(token, start, Math.max(start, cursor.advance(bytes)));
    }
  });
  if (!cursor.done) throw new OffsetsError('the tokens end before the text does');
}
