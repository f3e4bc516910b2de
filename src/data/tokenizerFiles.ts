/**
 * Owns the reading of tokenizer.json and tokenizer_config.json into what Tokenizer needs, with the corrections
 * that make @huggingface/tokenizers agree with the Rust library. Refuses to know how text is encoded.
 */
import type { AddedToken } from './addedTokens.ts';
import type { NormalizerConfig } from './alignment.ts';
import { checkTokenizerJson, isObject, refuseTokenizer } from './tokenizerChecks.ts';

export interface TokenizerFiles {
  json: TokenizerJson;
  config: Record<string, unknown>;
  addedTokens: AddedToken[];
  byteLevel: boolean;
  /** The pre-tokenizer's last step, ByteLevel without a pattern, was taken off: what it splits are pieces of plain text. */
  plainPieces: boolean;
  bosToken: string | null;
  eosToken: string | null;
  /** bos_token, eos_token, … as chat templates see them. */
  specialTokens: Record<string, string>;
  chatTemplate: string | null;
}

interface PartConfig {
  type?: string;
  pretokenizers?: PartConfig[];
  add_prefix_space?: boolean;
  use_regex?: boolean;
}

interface TokenizerJson {
  normalizer: NormalizerConfig | null;
  pre_tokenizer: PartConfig | null;
  added_tokens: Record<string, unknown>[];
  model: { vocab: Record<string, number> };
  [key: string]: unknown;
}

const NAMED_TOKENS = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const;

export function readTokenizerFiles(tokenizerJson: unknown, tokenizerConfig: unknown, chatTemplate?: string | null): TokenizerFiles {
  checkTokenizerJson(tokenizerJson);
  const config = isObject(tokenizerConfig) ? tokenizerConfig : refuseTokenizer('tokenizer_config.json is not a JSON object.');
  const written = splitLikeRust(tokenizerJson['pre_tokenizer'] as PartConfig | null ?? null);
  const pretokenizer = withoutByteLevel(written);
  const json = {
    decoder: null, post_processor: null, ...tokenizerJson,
    normalizer: tokenizerJson['normalizer'] ?? null,
    pre_tokenizer: pretokenizer,
    added_tokens: allAddedTokens(tokenizerJson as unknown as TokenizerJson, config),
  } as unknown as TokenizerJson;

  const specialTokens: Record<string, string> = {};
  for (const name of NAMED_TOKENS) {
    const token = tokenText(config[name]);
    if (token !== null) specialTokens[name] = token;
  }
  return {
    json, config,
    addedTokens: json.added_tokens.map(readAddedToken),
    byteLevel: hasPart(written, 'ByteLevel') || hasPart(json['decoder'] as PartConfig | null, 'ByteLevel'),
    plainPieces: pretokenizer !== written,
    bosToken: specialTokens['bos_token'] ?? null,
    eosToken: specialTokens['eos_token'] ?? null,
    specialTokens,
    chatTemplate: chatTemplate ?? defaultTemplate(config['chat_template']),
  };
}

/** A token is written as its text or as an AddedToken object. */
function tokenText(value: unknown): string | null {
  if (typeof value === 'string' && value !== '') return value;
  return isObject(value) && typeof value['content'] === 'string' ? value['content'] : null;
}

function readAddedToken(token: Record<string, unknown>): AddedToken {
  const special = token['special'] === true;
  return {
    id: token['id'] as number, content: token['content'] as string, special,
    normalized: typeof token['normalized'] === 'boolean' ? token['normalized'] : !special,
    singleWord: token['single_word'] === true, lstrip: token['lstrip'] === true, rstrip: token['rstrip'] === true,
  };
}

/** transformers adds the tokens of `added_tokens_decoder` and the named ones to those of tokenizer.json; so do we, where the vocabulary has them. */
function allAddedTokens(json: TokenizerJson, config: Record<string, unknown>): Record<string, unknown>[] {
  const tokens = Array.isArray(json.added_tokens) ? [...json.added_tokens] : [];
  const seen = new Set(tokens.map((token) => token['content']));
  const add = (content: unknown, more: Record<string, unknown>) => {
    if (typeof content !== 'string' || seen.has(content)) return;
    const id = json.model.vocab[content] ?? more['id'];
    if (typeof id !== 'number') return;
    seen.add(content);
    tokens.push({ ...more, id, content });
  };
  const decoder = config['added_tokens_decoder'];
  for (const [id, token] of isObject(decoder) ? Object.entries(decoder) : []) {
    if (isObject(token)) add(token['content'], { ...token, id: Number(id) });
  }
  for (const name of NAMED_TOKENS) add(tokenText(config[name]), { special: true, normalized: false });
  return tokens;
}

/** A list of templates is reduced to the one named 'default'. */
function defaultTemplate(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const found = value.find((entry) => isObject(entry) && entry['name'] === 'default') as { template?: unknown } | undefined;
  return typeof found?.template === 'string' ? found.template : null;
}

function hasPart(part: PartConfig | null, type: string): boolean {
  if (!part) return false;
  const parts = part.pretokenizers ?? (part as { decoders?: PartConfig[] }).decoders ?? [];
  return part.type === type || parts.some((inner) => hasPart(inner, type));
}

/** GPT-2's splitting pattern, which ByteLevel carries inside. */
const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * @huggingface/tokenizers 0.2.0 runs ByteLevel's pattern with JavaScript's \s, which counts U+FEFF and leaves out
 * U+0085; the Rust library does the opposite. As a Split in front, the same pattern goes through its Oniguruma rewriting.
 */
function splitLikeRust(part: PartConfig | null): PartConfig | null {
  if (part?.pretokenizers) return { ...part, pretokenizers: part.pretokenizers.map((inner) => splitLikeRust(inner)!) };
  if (part?.type !== 'ByteLevel' || part.use_regex === false || part.add_prefix_space) return part;
  const split = { type: 'Split', pattern: { Regex: GPT2_PATTERN }, behavior: 'Isolated', invert: false };
  return { type: 'Sequence', pretokenizers: [split, { ...part, use_regex: false }] };
}

/** Takes a closing ByteLevel step off that only writes bytes as characters; Tokenizer does that itself, once a piece. */
function withoutByteLevel(part: PartConfig | null): PartConfig | null {
  const last = part?.pretokenizers?.at(-1);
  if (!part || last?.type !== 'ByteLevel' || last.use_regex !== false || last.add_prefix_space) return part;
  return { ...part, pretokenizers: part.pretokenizers!.slice(0, -1) };
}

const BYTE_OF_CHAR = /* @__PURE__ */ (() => {
  const map = new Map<string, number>();
  let shifted = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    map.set(String.fromCharCode(printable ? byte : shifted++), byte);
  }
  return map;
})();

const CHAR_OF_BYTE = /* @__PURE__ */ (() => {
  const chars: string[] = [];
  for (const [char, byte] of BYTE_OF_CHAR) chars[byte] = char;
  return chars;
})();

/** A text in the characters byte-level tokens are written with. */
export function byteCharacters(text: string): string {
  let written = '';
  for (const byte of new TextEncoder().encode(text)) written += CHAR_OF_BYTE[byte]!;
  return written;
}

/** The bytes a byte-level token stands for (GPT-2's table); a character outside the table stands for its own UTF-8. */
export function bytesOfToken(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = BYTE_OF_CHAR.get(char);
    if (byte === undefined) bytes.push(...new TextEncoder().encode(char));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
