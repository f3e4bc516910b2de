/**
 * Owns the shape of every failure a person can see, and refuses to know where it is shown.
 * A message says what happened, what was expected, the likely cause and the next step.
 */

export interface UserMessage {
  /** Stable identifier, e.g. 'data.notJson'; tests and the interface switch on it. */
  code: string;
  /** What happened, with the numbers: one sentence. */
  what: string;
  expected?: string;
  likelyCause?: string;
  /** What to do now, as an instruction. */
  nextStep?: string;
}

/** An error meant for a person. Survives structured cloning through `toMessage` / `fromMessage`. */
export class EtudeError extends Error {
  readonly userMessage: UserMessage;

  constructor(message: UserMessage, options?: ErrorOptions) {
    super(message.what, options);
    this.name = 'EtudeError';
    this.userMessage = message;
  }

  get code(): string {
    return this.userMessage.code;
  }
}

/** Any thrown value as a message; unknown ones keep their own words under the code 'unexpected'. */
export function toUserMessage(error: unknown): UserMessage {
  if (error instanceof EtudeError) return error.userMessage;
  const what = error instanceof Error ? error.message || error.name : String(error);
  return {
    code: 'unexpected',
    what,
    likelyCause: 'This is a fault in Etude itself, not in what you did.',
    nextStep: 'Copy the details and report them; your data and runs are kept.',
  };
}
