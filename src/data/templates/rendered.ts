/** What every template produces: a conversation as text, with the stretches that are trained. Offsets are UTF-16 units. */
import type { Message } from '../types.ts';

/** A stretch of the text of one turn; turns lie end to end and cover the text. */
export interface RenderedTurn {
  role: string;
  /** Index into the messages, or null for a turn the template added by itself. */
  messageIndex: number | null;
  start: number;
  end: number;
  trained: boolean;
  /** Where the message's content lies; missing where it is not known, as in turns the template added. */
  content?: { start: number; end: number };
}

/** Content of an assistant turn and the end-of-turn token after it. */
export interface TrainedSpan {
  start: number;
  end: number;
  messageIndex: number;
  /** The span ends with an end-of-turn token. */
  closed: boolean;
}

export interface Rendered {
  text: string;
  turns: RenderedTurn[];
  trained: TrainedSpan[];
  /** Text the template added by itself beyond its markers: a system turn, a date, an empty think block. */
  injected: string[];
}

export interface ConversationTemplate {
  /** `tools`: what the answers may call; only the model's own template writes them. */
  render(messages: readonly Message[], tools?: readonly unknown[]): Rendered;
  /** The conversation up to where the next answer begins. */
  renderPrompt(messages: readonly Message[], tools?: readonly unknown[]): string;
  /** Tokens after which an answer is over, by their text. */
  readonly stopTokens: readonly string[];
  /** Literals this template relies on as single tokens. */
  readonly controlTokens: readonly string[];
}

/** The row cannot be masked with proof; its reason is shown beside the row's number. */
export class MaskRefusal extends Error {
  override readonly name = 'MaskRefusal';
}

export const isTrained = (message: Message): boolean => message.role === 'assistant' && message.trained !== false;
