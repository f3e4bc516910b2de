/**
 * Owns the rendering of a model's own chat template, with today's date pinned so that the same rows give the same ids
 * on every day. Refuses to know tokens and masks.
 */
import { EtudeError } from '../config/errors.ts';
import { JinjaTemplate } from './jinja.ts';
import type { Message } from './types.ts';

/** The template itself refused the conversation, in its own words. */
export class TemplateRefusal extends Error {
  override readonly name = 'TemplateRefusal';
}

export class ChatTemplate {
  readonly source: string;
  readonly #template: JinjaTemplate;
  readonly #specialTokens: Record<string, string>;

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
  render(messages: readonly Pick<Message, 'role' | 'content' | 'toolCalls'>[], addGenerationPrompt = false, tools?: readonly unknown[]): string {
    try {
      return this.#template.render({
        messages: messages.map(({ role, content, toolCalls }) => (toolCalls
          ? { role, content, tool_calls: toolCalls.map((call) => ({ type: 'function', function: { name: call.name, arguments: call.arguments } })) }
          : { role, content })),
        add_generation_prompt: addGenerationPrompt, tools: tools && tools.length > 0 ? tools : null, documents: null, enable_thinking: false, ...this.#specialTokens,
      });
    } catch (error) {
      throw new TemplateRefusal(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }
}

/** The parser trips over a text that ends too early instead of saying so. */
const inWords = (error: unknown): string => (error instanceof TypeError || !(error instanceof Error) ? 'it is no whole Jinja text' : error.message);
