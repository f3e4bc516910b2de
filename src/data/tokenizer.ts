/**
 * Owns text <-> token ids of a Hugging Face tokenizer, with the place of every token in the text.
 * The pipeline's parts (normaliser, pre-tokenizer, BPE, decoder) are those of @huggingface/tokenizers, which
 * transformers.js is built on; chat templates render in chatTemplate.ts. Refuses to know models, rows and masks.
 */
import { Tokenizer as Pipeline } from '@huggingface/tokenizers';

import { EtudeError } from '../config/errors.ts';
import { AddedTokenSplitter, type AddedToken } from './addedTokens.ts';
import { align, sourceSpan, type AlignedText, type NormalizerConfig } from './alignment.ts';
import { ChatTemplate } from './chatTemplate.ts';
import { StreamDecoder } from './streamDecoder.ts';
import { OffsetsError, placeByteTokens, placeCharTokens } from './tokenOffsets.ts';
import { checkMerges } from './tokenizerChecks.ts';
import { byteCharacters, bytesOfToken, readTokenizerFiles, type TokenizerFiles } from './tokenizerFiles.ts';
import type { Message } from './types.ts';

export { OffsetsError } from './tokenOffsets.ts';

/** Ids with, per token, the span [start, end) of UTF-16 units of the text it stands for. */
export interface EncodedText {
  ids: number[];
  start: number[];
  end: number[];
}

/** Text repeats: most pieces between spaces have been encoded before. */
const CACHED_PIECES = 50_000;
const LONGEST_CACHED_PIECE = 64;
const CACHED_TEXTS = 1000;
const LONGEST_CACHED_TEXT = 16;

export interface ChatTemplateOptions {
  /** Ends the text where an answer begins. */
  addGenerationPrompt?: boolean;
  /** What the answers may call, as transformers takes it. */
  tools?: readonly unknown[] | undefined;
}

export class Tokenizer {
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly specialIds: ReadonlySet<number>;
  /** One more than the highest id. */
  readonly vocabSize: number;
  /** The model's own Jinja template, null where it has none. */
  readonly chatTemplate: ChatTemplate | null;

  readonly #pipeline: Pipeline;
  readonly #normalizer: NormalizerConfig | null;
  readonly #byteLevel: boolean;
  readonly #plainPieces: boolean;
  readonly #pieces = new Map<string, EncodedText>();
  /** Pre-tokens of short texts that do not stand first. */
  readonly #split = new Map<string, string[]>();
  readonly #rawSplitter: AddedTokenSplitter;
  readonly #normalizedSplitter: AddedTokenSplitter;
  readonly #addedIds: ReadonlySet<number>;

  constructor(files: TokenizerFiles) {
    const { json, config, addedTokens, byteLevel, plainPieces } = files;
    this.#pipeline = new Pipeline(json, config);
    const { model } = this.#pipeline;
    checkMerges((json.model as { merges?: unknown }).merges, (token) => model!.tokens_to_ids.has(token));
    this.#normalizer = json.normalizer;
    this.#byteLevel = byteLevel;
    this.#plainPieces = plainPieces;
    const normalize = (text: string) => this.#pipeline.normalizer?.normalize(text) ?? text;
    this.#rawSplitter = new AddedTokenSplitter(addedTokens.filter((token) => !token.normalized));
    this.#normalizedSplitter = new AddedTokenSplitter(
      addedTokens.filter((token) => token.normalized).map((token): AddedToken => ({ ...token, content: normalize(token.content) })));
    this.#addedIds = new Set(addedTokens.map((token) => token.id));
    this.specialIds = new Set(addedTokens.filter((token) => token.special).map((token) => token.id));
    this.vocabSize = this.#pipeline.model!.vocab.length;
    this.bosToken = files.bosToken;
    this.eosToken = files.eosToken;
    this.bosTokenId = this.tokenId(this.bosToken);
    this.eosTokenId = this.tokenId(this.eosToken);
    this.chatTemplate = files.chatTemplate === null ? null : new ChatTemplate(files.chatTemplate, files.specialTokens);
  }

  /** Id of a token by its exact text, null where the vocabulary lacks it. */
  tokenId(token: string | null): number | null {
    return token === null ? null : (this.#pipeline.token_to_id(token) ?? null);
  }

  get hasChatTemplate(): boolean {
    return this.chatTemplate !== null;
  }

  /** Ids of a text. No special tokens are added; special-token literals in the text become special tokens, as HF does. */
  encode(text: string): number[] {
    return this.#encode(text, false).ids;
  }

  /** Ids and places. Throws `OffsetsError` where the tokens cannot be traced back to the text. */
  encodeWithOffsets(text: string): EncodedText {
    return this.#encode(text, true);
  }

  /** The text of ids; ids outside the vocabulary are left out. */
  decode(ids: ArrayLike<number>, { skipSpecial = false }: { skipSpecial?: boolean } = {}): string {
    const known = Array.from(ids).filter((id) => this.#pipeline.id_to_token(id) !== undefined && !(skipSpecial && this.specialIds.has(id)));
    // Cleaning up spaces would change what the model said.
    return known.length === 0 ? '' : this.#pipeline.decode(known, { clean_up_tokenization_spaces: false });
  }

  /** Decodes ids as they come and never emits half a character. */
  streamDecoder({ skipSpecial = true }: { skipSpecial?: boolean } = {}): StreamDecoder {
    return new StreamDecoder((id) => this.#bytesOf(id, skipSpecial), (ids) => this.decode(ids, { skipSpecial }));
  }

  /** One token for display; bytes that are no whole character are written `<0xE4>`. */
  tokenText(id: number): string {
    const token = this.#pipeline.id_to_token(id);
    if (token === undefined) return `<unknown ${id}>`;
    if (this.#addedIds.has(id)) return token;
    if (!this.#byteLevel) return token.replaceAll('▁', ' ');
    const bytes = bytesOfToken(token);
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    return text.includes('\uFFFD') ? Array.from(bytes, (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`).join('') : text;
  }

  /** The conversation as the model's own template writes it. Throws where there is none or it refuses the messages. */
  applyChatTemplate(messages: readonly Pick<Message, 'role' | 'content' | 'toolCalls'>[], { addGenerationPrompt = false, tools }: ChatTemplateOptions = {}): string {
    if (!this.chatTemplate) {
      throw new EtudeError({
        code: 'template.missing',
        what: 'This model has no chat template of its own.',
        expected: 'a chat_template in tokenizer_config.json or chat_template.jinja',
        likelyCause: 'It is a base model, which only continues text.',
        nextStep: 'Choose ChatML, Llama-3 or Alpaca as the template.',
      });
    }
    return this.chatTemplate.render(messages, addGenerationPrompt, tools);
  }

  /** What a token adds to a byte stream: bytes, whole text, or null where only `decode` knows. */
  #bytesOf(id: number, skipSpecial: boolean): Uint8Array | string | null {
    const token = this.#pipeline.id_to_token(id);
    if (token === undefined || (skipSpecial && this.specialIds.has(id))) return '';
    if (!this.#byteLevel) return null;
    return this.#addedIds.has(id) ? token : bytesOfToken(token);
  }

  /** Without `traced` no place means anything. */
  #encode(text: string, traced: boolean): EncodedText {
    // A lone surrogate has no UTF-8; like TextEncoder, read it as U+FFFD. Lengths stay.
    const wellFormed = text.replaceAll(/\p{Surrogate}/gu, '\uFFFD');
    const out: EncodedText = { ids: [], start: [], end: [] };
    this.#rawSplitter.split(wellFormed).forEach((section, sectionIndex) => {
      if (section.token) push(out, section.token.id, section.start, section.end);
      else this.#encodePlain(wellFormed.slice(section.start, section.end), section.start, sectionIndex, out, traced);
    });
    return out;
  }

  #encodePlain(text: string, base: number, sectionIndex: number, out: EncodedText, traced: boolean): void {
    const normalized = this.#pipeline.normalizer?.normalize(text) ?? text;
    const aligned = traced ? this.#align(text, normalized) : { text: normalized, start: null, end: null };
    for (const section of this.#normalizedSplitter.split(normalized)) {
      if (section.token) {
        const [start, end] = sourceSpan(aligned, section.start, section.end);
        push(out, section.token.id, base + start, base + end);
        continue;
      }
      const piece = normalized.slice(section.start, section.end);
      const from = out.ids.length;
      if (this.#plainPieces) this.#encodePieces(piece, sectionIndex, section.start, out);
      else append(out, this.#encodePiece(piece, sectionIndex, traced), section.start);
      if (!traced || (base === 0 && aligned.start === null)) continue;
      for (let i = from; i < out.ids.length; i++) {
        const [start, end] = aligned.start === null ? [out.start[i]!, out.end[i]!] : sourceSpan(aligned, out.start[i]!, out.end[i]!);
        out.start[i] = base + start;
        out.end[i] = base + end;
      }
    }
  }

  /** Byte-level BPE whose pre-tokenizer only splits: each piece is encoded by itself, and known ones are looked up. */
  #encodePieces(text: string, sectionIndex: number, base: number, out: EncodedText): void {
    let at = 0;
    for (const piece of this.#pretokens(text, sectionIndex)) {
      let encoded = this.#pieces.get(piece);
      if (!encoded) {
        encoded = this.#place([byteCharacters(piece)], piece, true);
        if (this.#pieces.size >= CACHED_PIECES) this.#pieces.clear();
        if (piece.length <= LONGEST_CACHED_PIECE) this.#pieces.set(piece, encoded);
      }
      append(out, encoded, base + at);
      at += piece.length;
    }
    if (at !== text.length) throw new OffsetsError('the pre-tokenizer leaves out text');
  }

  /** Short texts come again in every row: what a template writes between two control tokens. */
  #pretokens(text: string, sectionIndex: number): string[] {
    const known = sectionIndex > 0 && text.length <= LONGEST_CACHED_TEXT ? this.#split.get(text) : undefined;
    if (known) return known;
    const pieces = this.#pipeline.pre_tokenizer?.pre_tokenize(text, { section_index: sectionIndex }) ?? [text];
    if (sectionIndex > 0 && text.length <= LONGEST_CACHED_TEXT && this.#split.size < CACHED_TEXTS) this.#split.set(text, pieces);
    return pieces;
  }

  #encodePiece(text: string, sectionIndex: number, traced: boolean): EncodedText {
    return this.#place(this.#pipeline.pre_tokenizer?.pre_tokenize(text, { section_index: sectionIndex }) ?? [text], text, traced);
  }

  /** Runs the model over pre-tokens and gives the tokens their places in `text`. */
  #place(pretokens: string[], text: string, traced: boolean): EncodedText {
    const encoded: EncodedText = { ids: [], start: [], end: [] };
    const model = this.#pipeline.model!;
    const tokens = model._call(pretokens);
    const add = (token: string, start: number, end: number) => {
      const id = model.tokens_to_ids.get(token) ?? model.unk_token_id;
      if (id === undefined) throw new OffsetsError(`token ${JSON.stringify(token)} has no id`);
      encoded.ids.push(id);
      encoded.start.push(start);
      encoded.end.push(end);
    };
    if (!traced) {
      for (const token of tokens) add(token, 0, 0);
    } else if (this.#byteLevel) {
      // ByteLevel's add_prefix_space puts one space in front that the text does not have.
      const prefix = !this.#plainPieces && pretokens[0]?.startsWith('Ġ') && !text.startsWith(' ') ? 1 : 0;
      placeByteTokens(tokens, text, prefix, add);
    } else {
      placeCharTokens(tokens, text, model.unk_token, add);
    }
    return encoded;
  }

  #align(text: string, normalized: string): AlignedText {
    const source: AlignedText = { text, start: null, end: null };
    if (normalized === text || !this.#normalizer) return source;
    const aligned = align(this.#normalizer, source);
    if (aligned?.text !== normalized) throw new OffsetsError('the normaliser\'s effect on the text cannot be traced');
    return aligned;
  }
}

function push(out: EncodedText, id: number, start: number, end: number): void {
  out.ids.push(id);
  out.start.push(start);
  out.end.push(end);
}

function append(out: EncodedText, encoded: EncodedText, by: number): void {
  const { ids, start, end } = encoded;
  for (let i = 0; i < ids.length; i++) push(out, ids[i]!, by + start[i]!, by + end[i]!);
}

/**
 * A tokenizer from parsed files. `chatTemplate` is the text of chat_template.jinja where the repository keeps it apart.
 * Throws EtudeError 'model.tokenizer' when the files are no tokenizer we can run.
 */
export function loadTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown, chatTemplate?: string | null): Tokenizer {
  try {
    return new Tokenizer(readTokenizerFiles(tokenizerJson, tokenizerConfig, chatTemplate));
  } catch (error) {
    if (error instanceof EtudeError) throw error;
    throw new EtudeError({
      code: 'model.tokenizer',
      what: `The tokenizer could not be loaded: ${error instanceof Error ? error.message : String(error)}.`,
      expected: "tokenizer.json and tokenizer_config.json of a Hugging Face 'fast' tokenizer",
      likelyCause: 'One of the two files is damaged, from another model, or of a kind that tokenizers.js does not know.',
      nextStep: 'Take both files from the model\'s page again.',
    }, { cause: error });
  }
}
