/**
 * Owns the way back from a normalised text to the text it came from: which characters of the source made each character.
 * Refuses to guess: where a normaliser's effect cannot be traced, `align` returns null and the caller refuses the row.
 */

/** A text and, per UTF-16 unit, the span [start, end) of source units behind it. `null` spans mean "the same place". */
export interface AlignedText {
  text: string;
  start: Int32Array | null;
  end: Int32Array | null;
}

/** A normaliser as tokenizer.json writes it. */
export interface NormalizerConfig {
  type: string;
  normalizers?: NormalizerConfig[];
  pattern?: { String?: string; Regex?: string };
  content?: string;
  prepend?: string;
  strip_left?: boolean;
  strip_right?: boolean;
}

export function sourceSpan(aligned: AlignedText, from: number, to: number): [start: number, end: number] {
  if (!aligned.start || !aligned.end) return [from, to];
  if (to > from) return [aligned.start[from]!, aligned.end[to - 1]!];
  const at = from < aligned.start.length ? aligned.start[from]! : (aligned.end[aligned.end.length - 1] ?? 0);
  return [at, at];
}

/** The text after `config`, traced back to `source`; null when the trace cannot be proven. */
export function align(config: NormalizerConfig, source: AlignedText): AlignedText | null {
  switch (config.type) {
    case 'Sequence': {
      let current: AlignedText | null = source;
      for (const step of config.normalizers ?? []) current = current && align(step, current);
      return current;
    }
    case 'NFC': case 'NFD': case 'NFKC': case 'NFKD': {
      const form = config.type;
      return rewriteChunks(source, /[^\p{M}\u1160-\u11FF\uD7B0-\uD7FF][\p{M}\u1160-\u11FF\uD7B0-\uD7FF]*|[\p{M}\u1160-\u11FF\uD7B0-\uD7FF]+/gu, (chunk) => chunk.normalize(form),
        source.text.normalize(form));
    }
    case 'Lowercase':
      return rewriteChunks(source, /[^]/gu, (chunk) => chunk.toLowerCase(), source.text.toLowerCase());
    case 'Prepend':
      return source.text === '' ? source : build([[config.prepend ?? '', 0, 0], [source.text, 0, -1]], source);
    case 'Replace': {
      if (config.pattern?.String === undefined || config.pattern.String === '') return null;
      return replaceLiteral(source, config.pattern.String, config.content ?? '');
    }
    case 'Strip': {
      const { text } = source;
      const from = config.strip_left ? text.length - text.trimStart().length : 0;
      const to = config.strip_right ? Math.max(from, text.trimEnd().length) : text.length;
      return build([[text.slice(from, to), from, -1]], source);
    }
    default:
      return null;
  }
}

/**
 * Pieces of new text, each with where it came from: [text, from, to) in units of `source.text`. `to` = -1 says the
 * piece is copied unit by unit from `from` on.
 */
type Piece = [text: string, from: number, to: number];

function build(pieces: Piece[], source: AlignedText): AlignedText {
  const text = pieces.map((piece) => piece[0]).join('');
  const start = new Int32Array(text.length);
  const end = new Int32Array(text.length);
  let i = 0;
  for (const [piece, from, to] of pieces) {
    for (let j = 0; j < piece.length; j++, i++) {
      const span = to < 0 ? sourceSpan(source, from + j, from + j + 1) : sourceSpan(source, from, to);
      start[i] = span[0];
      end[i] = span[1];
    }
  }
  return { text, start, end };
}

function rewriteChunks(source: AlignedText, chunks: RegExp, rewrite: (chunk: string) => string, expected: string): AlignedText | null {
  if (expected === source.text) return source;
  const pieces: Piece[] = [];
  for (const match of source.text.matchAll(chunks)) {
    const chunk = match[0];
    const rewritten = rewrite(chunk);
    pieces.push([rewritten, match.index, rewritten === chunk ? -1 : match.index + chunk.length]);
  }
  const aligned = build(pieces, source);
  return aligned.text === expected ? aligned : null;
}

function replaceLiteral(source: AlignedText, pattern: string, content: string): AlignedText {
  const { text } = source;
  if (!text.includes(pattern)) return source;
  // One unit for one unit keeps every place: the common case of " " -> "▁".
  if (pattern.length === 1 && content.length === 1) return { ...source, text: text.replaceAll(pattern, content) };
  const pieces: Piece[] = [];
  let at = 0;
  for (let hit = text.indexOf(pattern); hit >= 0; hit = text.indexOf(pattern, at)) {
    pieces.push([text.slice(at, hit), at, -1], [content, hit, hit + pattern.length]);
    at = hit + pattern.length;
  }
  pieces.push([text.slice(at), at, -1]);
  return build(pieces, source);
}
