/**
 * Owns the mask of a model's own chat template. Published templates carry no spans, so each assistant content is
 * rendered between unique sentinels: where the result without them equals the plain rendering, they mark the content
 * with proof; where it does not, the row is refused. Refuses to know tokens beyond the end-of-turn token's text.
 */
import { TemplateRefusal } from '../chatTemplate.ts';
import { pythonStrip } from '../pythonStrip.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { Message } from '../types.ts';
import { isTrained, MaskRefusal, type ConversationTemplate, type Rendered, type RenderedTurn } from './rendered.ts';

/** Where a message's content lies in the plain rendering; null where the template shows it nowhere. */
type Place = { start: number; end: number } | null;

/** How a content is cut into [before the sentinels, between them, after them]. */
type Cut = (content: string) => [before: string, inside: string, after: string];

/** Templates that trim a content move sentinels that stand outside its white space, so these stand inside. */
const inside = (side: 'both' | 'left' | 'right'): Cut => (content) => {
  const kept = pythonStrip(content, side);
  const from = side === 'right' ? 0 : content.length - pythonStrip(content, 'left').length;
  return [content.slice(0, from), kept, content.slice(from + kept.length)];
};
/** Reasoning templates take an answer apart at </think> and write the parts where they want them. */
const afterThinking = (side: 'both' | 'left'): Cut => (content) => {
  const from = content.lastIndexOf('</think>') + '</think>'.length;
  const [before, kept, after] = inside(side)(content.slice(from));
  return [content.slice(0, from) + before, kept, after];
};
const WHOLE: Cut = (content) => ['', content, ''];
const CUTS: Cut[] = [WHOLE, inside('left'), inside('right'), inside('both')];
const THINKING_CUTS: Cut[] = [...CUTS, afterThinking('left'), afterThinking('both')];

/** Sentinels are made of these. */
const PRIVATE_USE = /[\uE000-\uF8FF]/;

const PROBE: Message[] = [
  { role: 'user', content: 'a0' }, { role: 'assistant', content: 'b1' },
  { role: 'user', content: 'c2' }, { role: 'assistant', content: 'd3' },
  { role: 'user', content: 'e4' }, { role: 'assistant', content: 'f5' },
];

export class ModelTemplate implements ConversationTemplate {
  readonly stopTokens: readonly string[];
  readonly controlTokens: readonly string[];
  readonly #tokenizer: Tokenizer;
  /** What stands between an answer and the end of its turn, end-of-turn token included; '' where the template has none. */
  readonly #closer: string;
  /** Text between two contents in the middle of a conversation, by 'role>role'. */
  readonly #frames = new Map<string, string>();
  readonly #userOpener: string;
  /** Tools of the row that is being rendered. */
  #tools: readonly unknown[] | undefined;
  /** What a gap between contents holds; the same few gaps come again in every row. */
  readonly #gaps = new Map<string, { closing: number; words: string; hasWords: boolean }>();

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#closer = this.#findCloser();
    const lastSpecial = this.#firstSpecial(this.#closer);
    this.stopTokens = [...new Set([lastSpecial, tokenizer.eosToken].filter((token) => token !== null))];
    this.controlTokens = lastSpecial === null ? [] : [lastSpecial];
    this.#learnFrames();
    const between = this.#frames.get('assistant>user') ?? '';
    this.#userOpener = between.slice(this.#look(between).closing);
  }

  renderPrompt(messages: readonly Message[], tools?: readonly unknown[]): string {
    return this.#with(tools, () => this.#render(messages, true));
  }

  render(messages: readonly Message[], tools?: readonly unknown[]): Rendered {
    return this.#with(tools, () => this.#renderRow(messages));
  }

  #with<T>(tools: readonly unknown[] | undefined, work: () => T): T {
    this.#tools = tools;
    try {
      return work();
    } finally {
      this.#tools = undefined;
    }
  }

  #renderRow(messages: readonly Message[]): Rendered {
    const known = this.#known(messages);
    const text = known?.text ?? this.#render(messages);
    const places = known?.places ?? this.#locate(messages, text);
    const rendered: Rendered = { text, turns: [], trained: [], injected: [] };
    messages.forEach((message, messageIndex) => {
      if (!isTrained(message)) return;
      const place = places[messageIndex]!;
      const closed = this.#closer !== '' && text.startsWith(this.#closer, place.end);
      rendered.trained.push({ start: place.start, end: place.end + (closed ? this.#closer.length : 0), messageIndex, closed });
    });
    this.#divide(messages, places, rendered);
    return rendered;
  }

  /**
   * Text and places where the template's skeleton tells both. What sentinels would prove is proven by its conditions: they hold with
   * sentinels around every content too, so the template writes the same with them, and each content once and whole.
   */
  #known(messages: readonly Message[]): { text: string; places: Place[] } | null {
    if ((this.#tools && this.#tools.length > 0) || messages.some(({ content }) => PRIVATE_USE.test(content))) return null;
    const placed = this.#tokenizer.chatTemplate?.renderPlaced(messages);
    return placed ? { text: placed.text, places: placed.starts.map((start, i) => ({ start, end: start + messages[i]!.content.length })) } : null;
  }

  #render(messages: readonly Message[], prompt = false): string {
    try {
      return this.#tokenizer.applyChatTemplate(messages, { addGenerationPrompt: prompt, tools: this.#tools });
    } catch (error) {
      if (error instanceof TemplateRefusal) throw new MaskRefusal(`the model's template refuses the row: ${error.message}`, { cause: error });
      throw error;
    }
  }

  /** Places of all contents; throws MaskRefusal unless every assistant's is proven. */
  #locate(messages: readonly Message[], plain: string): Place[] {
    const hasTools = messages.some((message) => message.toolCalls || message.role === 'tool');
    const atOnce = hasTools ? null : this.#prove(messages, plain, messages.map(() => WHOLE));
    if (Array.isArray(atOnce)) return atOnce;
    let last = 0;
    const places = messages.map((message, i): Place => {
      if (message.toolCalls) {
        const place = this.#placeCalls(messages, i, plain, last);
        last = place.end;
        return place;
      }
      let reason = '';
      for (const cut of message.content.includes('</think>') ? THINKING_CUTS : CUTS) {
        const found = this.#prove(messages, plain, messages.map((_, j) => (i === j ? cut : null)));
        if (!Array.isArray(found)) {
          reason ||= found.reason;
          continue;
        }
        const place = found[i]!;
        if (place.start < last) continue;
        last = place.end;
        return place;
      }
      if (message.role === 'assistant') throw new MaskRefusal(`turn ${i + 1}: ${reason}`);
      return null;
    });
    return this.#findOthers(messages, plain, places);
  }

  /**
   * An answer that calls tools: from where its content begins (or would) to the end-of-turn token behind its last call,
   * whose name is marked to prove that the template writes it, once, in this turn.
   */
  #placeCalls(messages: readonly Message[], i: number, plain: string, from: number): { start: number; end: number } {
    const message = messages[i]!;
    const refuse = (why: string): never => {
      throw new MaskRefusal(`turn ${i + 1} calls a tool: ${why}`);
    };
    const closer = this.#closer.trim();
    if (closer === '') refuse("the model's template ends no answer with a token, so its end cannot be proven");
    if (JSON.stringify(message.toolCalls).includes(closer)) refuse(`the call itself holds ${closer}`);
    const sentinel = unusedSentinel(messages, plain + JSON.stringify(message.toolCalls));
    const marked = (change: Partial<Message>): string => this.#render(messages.map((other, j) => (i === j ? { ...other, ...change } : other)));
    const calls = message.toolCalls!;
    const named = marked({ toolCalls: calls.map((call, c) => (c === calls.length - 1 ? { ...call, name: sentinel.open(i) + call.name + sentinel.close(i) } : call)) });
    if (sentinel.remove(named) !== plain) refuse("the model's template rewrites the call, so its place cannot be proven");
    const at = named.indexOf(sentinel.close(i));
    if (at < 0 || named.includes(sentinel.close(i), at + 1)) refuse("the model's template does not write calls, or not exactly once");
    const afterName = sentinel.remove(named.slice(0, at)).length;
    const end = plain.indexOf(closer, afterName);
    // With a content in its place, what stands before the content is what stands before the call.
    const withContent = marked({ content: sentinel.open(i) + (message.content || 'x') + sentinel.close(i) });
    const open = withContent.indexOf(sentinel.open(i));
    const before = withContent.slice(0, open);
    if (end < 0 || open < from || open > afterName || !plain.startsWith(before)) refuse("where the answer begins cannot be proven under the model's template");
    return { start: open, end };
  }

  /** Renders with sentinels around the contents that have a cut; their places, or why they are not proven. */
  #prove(messages: readonly Message[], plain: string, cuts: (Cut | null)[]): Place[] | { reason: string } {
    const sentinel = unusedSentinel(messages, plain);
    const cutTexts = messages.map((message, i) => cuts[i]?.(message.content) ?? null);
    const withSentinels = messages.map((message, i): Message => {
      const cut = cutTexts[i];
      return cut ? { ...message, content: cut[0] + sentinel.open(i) + cut[1] + sentinel.close(i) + cut[2] } : message;
    });
    let text: string;
    try {
      text = this.#render(withSentinels);
    } catch (error) {
      if (error instanceof MaskRefusal) return { reason: error.message };
      throw error;
    }
    if (sentinel.remove(text) !== plain) return { reason: 'the template rewrites the content, so its place in the text cannot be proven' };
    const places: Place[] = [];
    let last = 0;
    for (const [i, cut] of cutTexts.entries()) {
      if (!cut) {
        places.push(null);
        continue;
      }
      const open = text.indexOf(sentinel.open(i));
      const close = text.indexOf(sentinel.close(i));
      const once = open >= last && close > open && !text.includes(sentinel.open(i), open + 1) && !text.includes(sentinel.close(i), close + 1);
      if (!once) return { reason: 'the template does not write the content exactly once and in order' };
      last = close;
      const start = sentinel.remove(text.slice(0, open)).length;
      const end = sentinel.remove(text.slice(0, close)).length;
      // Thinking that the template kept in front of the answer is content too.
      const kept = cut[0].includes('</think>') && plain.slice(0, start).endsWith(cut[0]) ? cut[0].length : 0;
      places.push({ start: start - kept, end });
    }
    return places;
  }

  /** Where other contents lie between the proven ones; only for display, so a plain search will do. */
  #findOthers(messages: readonly Message[], plain: string, places: Place[]): Place[] {
    let from = 0;
    return places.map((place, i) => {
      if (!place) {
        const content = pythonStrip(messages[i]!.content);
        const limit = places.slice(i + 1).find((next) => next !== null)?.start ?? plain.length;
        const start = plain.indexOf(content, from);
        if (content === '' || start < 0 || start + content.length > limit) return null;
        place = { start, end: start + content.length };
      }
      from = place.end;
      return place;
    });
  }

  /** The text after an answer up to and with its end-of-turn token, read off a conversation that ends with the answer. */
  #findCloser(): string {
    for (const messages of [PROBE.slice(0, 2), PROBE.slice(1, 2)]) {
      try {
        const content = messages.at(-1)!.content;
        const text = this.#render(messages);
        const tail = text.slice(text.lastIndexOf(content) + content.length);
        const token = this.#firstSpecial(tail);
        return token === null ? '' : tail.slice(0, tail.indexOf(token) + token.length);
      } catch (error) {
        if (!(error instanceof MaskRefusal)) throw error;
      }
    }
    return '';
  }

  #firstSpecial(text: string): string | null {
    const id = this.#tokenizer.encode(text).find((id) => this.#tokenizer.specialIds.has(id));
    return id === undefined ? null : this.#tokenizer.tokenText(id);
  }

  #learnFrames(): void {
    try {
      const text = this.#render(PROBE);
      const places = this.#locate(PROBE, text);
      // The last answer is left out: what only stands before it (an empty think block) is no frame.
      for (let i = 0; i + 2 < PROBE.length; i++) {
        const [from, to] = [places[i], places[i + 1]];
        if (from && to) this.#frames.set(`${PROBE[i]!.role}>${PROBE[i + 1]!.role}`, text.slice(from.end, to.start));
      }
    } catch (error) {
      if (!(error instanceof MaskRefusal)) throw error;
    }
  }

  /** Cuts the text into turns and notes what the template added beyond its frames. */
  #divide(messages: readonly Message[], places: Place[], rendered: Rendered): void {
    const { text } = rendered;
    const shown = places.flatMap((place, index) => (place ? [{ index, place }] : []));
    let turnStart = 0;
    const addTurn = (role: string, messageIndex: number | null, end: number, trained: boolean, content?: { start: number; end: number }) => {
      if (end > turnStart) rendered.turns.push({ role, messageIndex, start: turnStart, end, trained, ...(content ? { content } : {}) } satisfies RenderedTurn);
      turnStart = Math.max(turnStart, end);
    };
    shown.forEach(({ index, place }, n) => {
      const message = messages[index]!;
      const before = shown[n - 1];
      const gap = text.slice(before?.place.end ?? 0, place.start);
      if (before) this.#noteInjected(gap, `${messages[before.index]!.role}>${message.role}`, rendered);
      else this.#divideStart(gap, message.role, addTurn, rendered);
      const after = text.slice(place.end, shown[n + 1]?.place.start ?? text.length);
      const closing = shown[n + 1] ? this.#look(after).closing : after.length;
      addTurn(message.role, index, place.end + closing, isTrained(message), place);
    });
    addTurn('template', null, text.length, false);
  }

  #divideStart(gap: string, role: string, addTurn: (role: string, index: null, end: number, trained: false) => void, rendered: Rendered): void {
    const opener = role === 'user' && this.#userOpener !== '' && gap.endsWith(this.#userOpener) ? this.#userOpener : '';
    const added = opener === '' ? gap : gap.slice(0, -opener.length);
    const { words, hasWords } = this.#look(added);
    if (!hasWords) return;
    rendered.injected.push(words);
    if (opener !== '') addTurn('system', null, added.length, false);
  }

  #noteInjected(gap: string, key: string, rendered: Rendered): void {
    const frame = this.#frames.get(key);
    if (frame === gap) return;
    const { words, hasWords } = this.#look(gap);
    if (hasWords) rendered.injected.push(frame === undefined ? words : inserted(frame, gap));
  }

  #look(gap: string): { closing: number; words: string; hasWords: boolean } {
    let seen = this.#gaps.get(gap);
    if (!seen) {
      const words = this.#words(gap);
      const hasWords = /[\p{L}\p{N}]/u.test(words.replaceAll(/\b(?:system|sys|user|assistant|model|human|inst|instruction|response)\b/gi, ''));
      seen = { closing: this.#closing(gap), words, hasWords };
      if (this.#gaps.size < 1000) this.#gaps.set(gap, seen);
    }
    return seen;
  }

  /** Length of the part of a gap that closes the turn before it: its end-of-turn token and a line break. */
  #closing(gap: string): number {
    const token = this.#firstSpecial(gap);
    if (token === null) return 0;
    const at = gap.indexOf(token);
    if (gap.slice(0, at).trim() !== '') return 0;
    const end = at + token.length;
    return end + (/^\n*/.exec(gap.slice(end))?.[0].length ?? 0);
  }

  /** Text without special tokens and role names: what is left was put there by the template. */
  #words(text: string): string {
    const ids = this.#tokenizer.encode(text).filter((id) => !this.#tokenizer.specialIds.has(id));
    return this.#tokenizer.decode(ids).replaceAll(/^\s*(?:system|user|assistant|model|human)\s*\n|\n\s*(?:system|user|assistant|model|human)\s*$/gi, '').trim();
  }
}

/** The middle of `text` that `frame` lacks. */
function inserted(frame: string, text: string): string {
  let from = 0;
  while (from < frame.length && frame[from] === text[from]) from++;
  let tail = 0;
  while (tail < frame.length - from && frame.at(-1 - tail) === text.at(-1 - tail)) tail++;
  return text.slice(from, text.length - tail).trim();
}

interface Sentinel {
  open(index: number): string;
  close(index: number): string;
  remove(text: string): string;
}

/** Marks of private-use characters that occur nowhere in the conversation. */
function unusedSentinel(messages: readonly Message[], plain: string): Sentinel {
  const seen = plain + messages.map((message) => message.content).join('');
  const free: string[] = [];
  for (let code = 0xe000; free.length < 3 && code <= 0xf8ff; code++) {
    const char = String.fromCharCode(code);
    if (!seen.includes(char)) free.push(char);
  }
  const [open, close, end] = free;
  if (end === undefined) throw new MaskRefusal('the row uses every private-use character, so no sentinel is free');
  return {
    open: (index) => `${open}${index}${end}`,
    close: (index) => `${close}${index}${end}`,
    remove: (text) => text.replaceAll(new RegExp(`[${open}${close}]\\d+${end}`, 'g'), ''),
  };
}
