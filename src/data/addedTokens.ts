/**
 * Owns the search for added tokens (special-token literals among them) in a text, by the rules of Hugging Face
 * tokenizers: leftmost, longest, `single_word` needs word boundaries, `lstrip`/`rstrip` swallow white space.
 * Refuses to know what happens to the text in between.
 */

export interface AddedToken {
  id: number;
  content: string;
  special: boolean;
  /** Searched in the normalised text instead of the raw one. */
  normalized: boolean;
  singleWord: boolean;
  lstrip: boolean;
  rstrip: boolean;
}

/** A stretch [start, end) of the text in UTF-16 units: an added token, or plain text where `token` is null. */
export interface Section {
  start: number;
  end: number;
  token: AddedToken | null;
}

interface TrieNode {
  next: Map<number, TrieNode>;
  token: AddedToken | null;
}

const isWordChar = (char: string | undefined): boolean => char !== undefined && /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u.test(char);
const isSpace = (char: string | undefined): boolean => char !== undefined && /\p{White_Space}/u.test(char);

export class AddedTokenSplitter {
  readonly #root: TrieNode = { next: new Map(), token: null };
  readonly #empty: boolean;

  constructor(tokens: AddedToken[]) {
    this.#empty = tokens.length === 0;
    for (const token of tokens) {
      if (token.content === '') continue;
      let node = this.#root;
      for (let i = 0; i < token.content.length; i++) {
        const unit = token.content.charCodeAt(i);
        let child = node.next.get(unit);
        if (!child) node.next.set(unit, (child = { next: new Map(), token: null }));
        node = child;
      }
      node.token ??= token;
    }
  }

  /** Sections in order; together they cover the whole text, empty stretches left out. */
  split(text: string): Section[] {
    const sections: Section[] = [];
    let plain = 0;
    const close = (end: number) => {
      if (end > plain) sections.push({ start: plain, end, token: null });
    };
    for (let i = 0; !this.#empty && i < text.length; ) {
      const match = this.#longest(text, i);
      if (!match) {
        i++;
        continue;
      }
      let start = i;
      let end = i + match.content.length;
      i = end;
      if (match.singleWord && (isWordChar(text[start - 1]) || isWordChar(text[end]))) continue;
      if (match.lstrip) while (start > plain && isSpace(text[start - 1])) start--;
      if (match.rstrip) while (isSpace(text[end])) end++;
      close(start);
      sections.push({ start, end, token: match });
      plain = end;
      i = end;
    }
    close(text.length);
    return sections;
  }

  #longest(text: string, from: number): AddedToken | null {
    let node: TrieNode | undefined = this.#root;
    let found: AddedToken | null = null;
    for (let i = from; i < text.length; i++) {
      node = node.next.get(text.charCodeAt(i));
      if (!node) break;
      if (node.token) found = node.token;
    }
    return found;
  }
}
