/**
 * Owns the way from messages to token ids and loss mask, made in one pass: the text is encoded once, and a token is
 * trained where it overlaps a trained stretch of the text. Refuses to know where rows come from and how they are batched.
 */
import { EtudeError } from '../config/errors.ts';
import type { EncodedRow, FindingKind, InspectedRow, InspectedToken, Message, TemplateId } from './types.ts';
import { THE_TEMPLATE, type Origin } from './origins.ts';
import { fixedTemplate } from './templates/fixed.ts';
import { ModelTemplate } from './templates/model.ts';
import { isTrained, MaskRefusal, type ConversationTemplate, type Rendered } from './templates/rendered.ts';
import { OffsetsError, type EncodedText, type Tokenizer } from './tokenizer.ts';

export const IGNORE_INDEX = -100;

/** A row that became ids and labels. */
export interface EncodedConversation {
  ok: true;
  row: EncodedRow;
  rendered: Rendered;
  /** All tokens, before truncation. */
  tokens: EncodedText;
  /** Per token before truncation: 1 where trained. */
  trained: Uint8Array;
  /** Text the template added by itself. */
  injected: string[];
  /** The row was longer than the maximum length. */
  cut: boolean;
  /** Trained tokens lost to truncation. */
  labelsCut: number;
  /** A trained turn's end-of-turn token is not among the labels. */
  endOfTurnMissing: boolean;
  /** The row starts with two beginning-of-text tokens. */
  doubleBos: boolean;
}

/** A row that must not be trained, and why. */
export interface RefusedRow {
  ok: false;
  kind: FindingKind;
  reason: string;
}

export interface Prompt {
  text: string;
  ids: number[];
  /** Generation stops after any of these (end-of-turn and end-of-text). */
  stopIds: number[];
}

export function conversationTemplate(id: TemplateId, tokenizer: Tokenizer): ConversationTemplate {
  return id === 'model' ? new ModelTemplate(tokenizer) : fixedTemplate(id, tokenizer);
}

/** Encodes the rows of one run: one tokenizer, one template, one maximum length (tokens; null keeps everything). */
export class RowEncoder {
  readonly template: ConversationTemplate;
  readonly templateId: TemplateId;
  readonly maxLength: number | null;
  readonly #tokenizer: Tokenizer;
  readonly #vocabSize: number;

  /** @param vocabSize rows of the model's embedding: some tokenizers know tokens beyond it */
  constructor(tokenizer: Tokenizer, templateId: TemplateId, maxLength: number | null, vocabSize = Infinity) {
    this.#tokenizer = tokenizer;
    this.#vocabSize = vocabSize;
    this.templateId = templateId;
    this.maxLength = maxLength;
    this.template = conversationTemplate(templateId, tokenizer);
  }

  encode(messages: readonly Message[], index = 0, tools?: readonly unknown[]): EncodedConversation | RefusedRow {
    const [only] = messages;
    if (messages.length === 0) return { ok: false, kind: 'unproven-mask', reason: 'the row holds no turns' };
    try {
      const encoded = this.#encode(only?.plain ? this.#plain(only) : this.template.render(messages, tools), index);
      const unknown = this.#beyondModel(encoded.tokens.ids);
      return unknown === null ? encoded : { ok: false, kind: 'token-beyond-model', reason: unknown };
    } catch (error) {
      if (error instanceof MaskRefusal) return { ok: false, kind: 'unproven-mask', reason: error.message };
      if (error instanceof OffsetsError) return { ok: false, kind: 'unproven-mask', reason: `the tokens cannot be traced back to the text: ${error.message}` };
      throw error;
    }
  }

  /** The conversation up to where the next answer begins, ready to generate from. */
  prompt(messages: readonly Message[], tools?: readonly unknown[]): Prompt {
    const text = this.template.renderPrompt(messages, tools);
    const ids = this.#tokenizer.encode(text);
    const unknown = this.#beyondModel(ids);
    if (unknown !== null) {
      throw new EtudeError({
        code: 'prompt.tokenBeyondModel', what: `This text cannot be asked: ${unknown}.`, expected: 'Tokens that the model has weights for.',
        likelyCause: 'The tokenizer also serves a model that sees images or sound.', nextStep: 'Take that token out of the text.',
      });
    }
    return { text, ids, stopIds: this.stopIds };
  }

  /** The first token without a row in the embedding, in words. */
  #beyondModel(ids: readonly number[]): string | null {
    const id = ids.find((i) => i >= this.#vocabSize);
    return id === undefined ? null : `token ${id.toLocaleString('en')} ("${this.#tokenizer.tokenText(id)}") is beyond the ${this.#vocabSize.toLocaleString('en')} tokens this model has weights for`;
  }

  get stopIds(): number[] {
    const ids = [...this.template.stopTokens, this.#tokenizer.eosToken].map((token) => this.#tokenizer.tokenId(token));
    return [...new Set(ids.filter((id) => id !== null))];
  }

  /** Control tokens of the template that the vocabulary lacks, so that they fall into pieces. */
  get splitControlTokens(): string[] {
    return this.template.controlTokens.filter((token) => this.#tokenizer.encode(token).length !== 1);
  }

  /** Plain text as pretraining saw it: bos where the model has one, the text, the end of text. Everything is trained. */
  #plain(message: Message): Rendered {
    const { bosToken, eosToken } = this.#tokenizer;
    const start = bosToken ?? '';
    const text = start + message.content + (eosToken ?? '');
    const trained = isTrained(message);
    return {
      text, injected: [],
      turns: [{ role: 'text', messageIndex: 0, start: 0, end: text.length, trained, content: { start: start.length, end: start.length + message.content.length } }],
      trained: trained ? [{ start: start.length, end: text.length, messageIndex: 0, closed: eosToken !== null }] : [],
    };
  }

  #encode(rendered: Rendered, index: number): EncodedConversation {
    const tokens = this.#tokenizer.encodeWithOffsets(rendered.text);
    const fullLength = tokens.ids.length;
    const kept = this.maxLength === null ? fullLength : Math.min(fullLength, this.maxLength);
    const trained = markTrained(tokens, rendered);
    const inputIds = Int32Array.from(tokens.ids.slice(0, kept));
    const labels = inputIds.map((id, i) => (trained[i] ? id : IGNORE_INDEX));
    let numTargets = 0;
    for (let i = 1; i < kept; i++) numTargets += trained[i]!;
    let labelsCut = 0;
    for (let i = kept; i < fullLength; i++) labelsCut += trained[i]!;
    const lastKept = kept === 0 ? 0 : tokens.end[kept - 1]!;
    const bos = this.#tokenizer.bosTokenId;
    return {
      ok: true, row: { index, inputIds, labels, fullLength, numTargets },
      rendered, tokens, trained, injected: rendered.injected,
      cut: kept < fullLength, labelsCut,
      endOfTurnMissing: rendered.trained.some((span) => !span.closed || span.end > lastKept),
      doubleBos: bos !== null && inputIds[0] === bos && inputIds[1] === bos,
    };
  }
}

/** 1 where a token overlaps a trained span; tokens and spans are both in order of the text. */
function markTrained(tokens: EncodedText, rendered: Rendered): Uint8Array {
  const trained = new Uint8Array(tokens.ids.length);
  let next = 0;
  const spans = rendered.trained;
  for (let i = 0; i < trained.length; i++) {
    const start = tokens.start[i]!;
    while (next < spans.length && spans[next]!.end <= start) next++;
    const span = spans[next];
    if (span && tokens.end[i]! > span.start && tokens.end[i]! > start) trained[i] = 1;
  }
  return trained;
}

/**
 * A row as the mask inspector shows it: exactly what the collator will be fed, turn by turn.
 * @param origins where stretches of the rendered text come from, in order; what lies between them is the template's
 */
export function inspectRow(encoded: EncodedConversation | RefusedRow, tokenizer: Tokenizer, place: { index: number; line: number }, origins: readonly Origin[] = []): InspectedRow {
  if (!encoded.ok) return { ...place, totalTokens: 0, trainedTokens: 0, keptTokens: 0, turns: [], refused: encoded.reason };
  const { tokens, row, rendered, trained } = encoded;
  const kept = row.inputIds.length;
  const turns = rendered.turns.map(({ role, messageIndex, trained }) => ({ role, messageIndex, trained, tokens: [] as InspectedToken[] }));
  let turn = 0;
  let origin = 0;
  tokens.ids.forEach((id, i) => {
    while (origin < origins.length && origins[origin]!.end <= tokens.start[i]!) origin++;
    const source = origins[origin];
    const from = source && source.start < tokens.end[i]! ? source.from : THE_TEMPLATE;
    while (turn + 1 < turns.length && tokens.start[i]! >= rendered.turns[turn]!.end) turn++;
    turns[turn]?.tokens.push({ id, text: tokenizer.tokenText(id), trained: trained[i] === 1, special: tokenizer.specialIds.has(id), cut: i >= kept, from });
  });
  let trainedTokens = 0;
  for (const label of row.labels) if (label !== IGNORE_INDEX) trainedTokens++;
  return { ...place, totalTokens: row.fullLength, trainedTokens, keptTokens: kept, turns };
}

/** Templates whose control tokens the vocabulary has; Alpaca needs none, 'model' needs the model's own template. */
export function knownTemplates(tokenizer: Tokenizer): TemplateId[] {
  const ids: TemplateId[] = ['chatml', 'llama3', 'alpaca'];
  const known = ids.filter((id) => conversationTemplate(id, tokenizer).controlTokens.every((token) => tokenizer.encode(token).length === 1));
  return tokenizer.hasChatTemplate ? ['model', ...known] : known;
}
