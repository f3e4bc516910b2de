/**
 * Owns the rendering of a model's own chat template, with today's date pinned so that the same rows give the same ids
 * on every day. Refuses to know tokens and masks.
 */
import { EtudeError } from '../config/errors.ts';
import { JinjaTemplate } from './jinja.ts';
import { holds, markOf, type Skeleton } from './jinjaTrace.ts';
import type { Message } from './types.ts';

/** The template itself refused the conversation, in its own words. */
export class TemplateRefusal extends Error {
  override readonly name = 'TemplateRefusal';
}

type Turn = Pick<Message, 'role' | 'content' | 'toolCalls'>;

/** A rendered conversation, and where each content begins in it. */
export interface PlacedText { text: string; starts: number[] }

/** Sequences of roles whose skeleton is kept, and turns of the longest. */
const MOST_SKELETONS = 256;
const MOST_TURNS = 64;

export class ChatTemplate {
  readonly source: string;
  /** False: the template is run for every row. The result is the same; tests compare the two. */
  traced = true;
  readonly #template: JinjaTemplate;
  readonly #specialTokens: Record<string, string>;
  /** By roles; null where the template has to be run. */
  readonly #skeletons = new Map<string, Skeleton | null>();

  /** `specialTokens`: bos_token, eos_token, …; throws EtudeError 'template.syntax' when the source does not parse. */
  constructor(source: string, specialTokens: Record<string, string>) {
    this.source = source;
    this.#specialTokens = specialTokens;
    try {
      this.#template = new JinjaTemplate(source);
    } catch (error) {
      throw new EtudeError({
        code: 'template.syntax',
        what: `The model's chat template could not be read: ${inWords(error)}.`,
        expected: 'a Jinja template as Hugging Face transformers takes it',
        likelyCause: 'The template is damaged, or uses something the JavaScript Jinja does not know.',
        nextStep: 'Choose ChatML, Llama-3 or Alpaca as the template.',
      }, { cause: error });
    }
  }

  /**
   * The conversation as text. `enable_thinking` is off: what Qwen3-like templates put before an answer in training is
   * then what they put before the answer to be generated.
   */
  render(messages: readonly Turn[], addGenerationPrompt = false, tools?: readonly unknown[]): string {
    const skeleton = tools && tools.length > 0 ? null : this.#skeletonFor(messages, addGenerationPrompt);
    if (skeleton) return filled(skeleton, messages).text;
    try {
      return this.#template.render(this.#variables(messages, addGenerationPrompt, tools));
    } catch (error) {
      throw new TemplateRefusal(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  /** The conversation without tools as text, with where its contents lie; null unless every content is known to be written once, whole and in order. */
  renderPlaced(messages: readonly Turn[]): PlacedText | null {
    const skeleton = this.#skeletonFor(messages, false);
    return skeleton && skeleton.order.length === messages.length && skeleton.order.every((of, i) => of === i) ? filled(skeleton, messages) : null;
  }

  /** What the template writes of such contents; null where it has to be run to know. */
  #skeletonFor(messages: readonly Turn[], addGenerationPrompt: boolean): Skeleton | null {
    if (!this.traced || messages.length > MOST_TURNS || messages.some(({ role, toolCalls }) => toolCalls || role === 'tool')) return null;
    const key = `${addGenerationPrompt}${messages.map(({ role }) => role).join()}`;
    let skeleton = this.#skeletons.get(key);
    if (skeleton === undefined) {
      if (this.#skeletons.size >= MOST_SKELETONS) return null;
      skeleton = this.#template.skeleton(this.#variables(messages.map(({ role }, i) => ({ role, content: markOf(i) })), addGenerationPrompt));
      this.#skeletons.set(key, skeleton);
    }
    return skeleton && holds(skeleton, messages) ? skeleton : null;
  }

  #variables(messages: readonly Turn[], addGenerationPrompt: boolean, tools?: readonly unknown[]): Record<string, unknown> {
    return {
      messages: messages.map(({ role, content, toolCalls }) => (toolCalls
        ? { role, content, tool_calls: toolCalls.map((call) => ({ type: 'function', function: { name: call.name, arguments: call.arguments } })) }
        : { role, content })),
      add_generation_prompt: addGenerationPrompt, tools: tools && tools.length > 0 ? tools : null, documents: null, enable_thinking: false, ...this.#specialTokens,
    };
  }
}

function filled({ pieces, order }: Skeleton, messages: readonly Turn[]): PlacedText {
  let text = pieces[0]!;
  const starts = order.map((of, i) => {
    const start = text.length;
    text += messages[of]!.content + pieces[i + 1]!;
    return start;
  });
  return { text, starts };
}

/** The parser trips over a text that ends too early instead of saying so. */
const inWords = (error: unknown): string => (error instanceof TypeError || !(error instanceof Error) ? 'it is no whole Jinja text' : error.message);
