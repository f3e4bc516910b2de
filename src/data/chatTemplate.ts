/**
 * Owns the rendering of a model's own Jinja chat template, with today's date pinned so that the same rows give the
 * same ids on every day. Refuses to know tokens and masks.
 */
import { Environment, Interpreter, Template } from '@huggingface/jinja';

import { EtudeError } from '../config/errors.ts';
import type { Message } from './types.ts';

/** Llama 3.1 and 3.2 print this date when they are given none. */
const PINNED_DATE: Record<string, string> = {
  Y: '2024', y: '24', m: '07', d: '26', b: 'Jul', B: 'July', a: 'Fri', A: 'Friday', H: '00', M: '00', S: '00', j: '208', '%': '%',
};
export const PINNED_DATE_TEXT = '26 Jul 2024';

const strftimePinned = (format: string): string => format.replaceAll(/%([A-Za-z%])/g, (code, letter: string) => PINNED_DATE[letter] ?? code);

/** The template itself refused the conversation, in its own words. */
export class TemplateRefusal extends Error {
  override readonly name = 'TemplateRefusal';
}

export class ChatTemplate {
  readonly source: string;
  readonly #program: Template['parsed'];
  readonly #specialTokens: Record<string, string>;

  /** Throws EtudeError 'template.syntax' when the template does not parse. */
  constructor(source: string, specialTokens: Record<string, string>) {
    this.source = source;
    this.#specialTokens = specialTokens;
    try {
      this.#program = new Template(source).parsed;
    } catch (error) {
      throw new EtudeError({
        code: 'template.syntax',
        what: `The model's chat template could not be read: ${error instanceof Error ? error.message : String(error)}.`,
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
  render(messages: readonly Pick<Message, 'role' | 'content'>[], addGenerationPrompt = false): string {
    const environment = new Environment();
    for (const [name, value] of Object.entries(globals)) environment.set(name, value);
    const variables = {
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt, tools: null, documents: null,
      enable_thinking: false, date_string: PINNED_DATE_TEXT, ...this.#specialTokens,
    };
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    try {
      return (new Interpreter(environment).run(this.#program) as { value: string }).value;
    } catch (error) {
      throw new TemplateRefusal(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }
}

const globals = {
  true: true, false: false, none: null, True: true, False: false, None: null,
  raise_exception: (message: string) => {
    throw new Error(message);
  },
  range: (start: number, stop?: number, step = 1) => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step);
  },
  strftime_now: strftimePinned,
};
