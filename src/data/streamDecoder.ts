/**
 * Owns the decoding of ids that arrive one by one into text that can be shown at once: half a character is held back
 * until the rest of it arrives. All pieces together equal the decoding of all ids.
 */

/** What a token adds: bytes of a UTF-8 stream, text of its own, or null where only `decode` of the whole knows. */
type TokenBytes = (id: number) => Uint8Array | string | null;

export class StreamDecoder {
  readonly #bytesOf: TokenBytes;
  readonly #decode: (ids: number[]) => string;
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #ids: number[] = [];
  #shown = '';

  constructor(bytesOf: TokenBytes, decode: (ids: number[]) => string) {
    this.#bytesOf = bytesOf;
    this.#decode = decode;
  }

  /** Text that became certain with this token; may be empty. */
  push(id: number): string {
    const bytes = this.#bytesOf(id);
    if (bytes === '') return '';
    if (typeof bytes === 'string') return this.#utf8.decode() + bytes;
    if (bytes !== null) return this.#utf8.decode(bytes, { stream: true });
    this.#ids.push(id);
    const text = this.#decode(this.#ids);
    // A byte run that ends inside a character decodes to U+FFFD at the end: wait for its other bytes.
    return text.endsWith('\uFFFD') ? '' : this.#show(text);
  }

  /** What is still held back, once no more ids come. */
  flush(): string {
    return this.#ids.length > 0 ? this.#show(this.#decode(this.#ids)) : this.#utf8.decode();
  }

  #show(text: string): string {
    const fresh = text.slice(this.#shown.length);
    this.#shown = text;
    return fresh;
  }
}
