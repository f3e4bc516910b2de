/** Which field of a row plays which part: saved with a dataset, and carried by recipes and share links as names of fields only. */
import { z } from 'zod';

export const DATA_SHAPES = ['alpaca', 'prompt-completion', 'messages', 'sharegpt', 'table', 'text'] as const;
export type DataShape = (typeof DATA_SHAPES)[number];

const field = z.string().min(1).max(200).optional();

/** Only the parts its shape uses are set. */
export const mappingSchema = z.strictObject({
  shape: z.enum(DATA_SHAPES),
  instruction: field,
  input: field,
  output: field,
  system: field,
  /** Field that holds the list of turns (messages, sharegpt). */
  messages: field,
  /** Earlier turns as a list of [question, answer] (Alpaca). */
  history: field,
  /** Field that lists the tools the answers may call. */
  tools: field,
  /** The answer of a preference pair that is not trained. */
  rejected: field,
  /** Field of plain text (text). */
  text: field,
});

export interface Mapping {
  shape: DataShape;
  instruction?: string;
  input?: string;
  output?: string;
  system?: string;
  messages?: string;
  history?: string;
  tools?: string;
  rejected?: string;
  text?: string;
}
