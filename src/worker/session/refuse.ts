/** A refusal in one sentence, with what to do instead. */
import { EtudeError } from '../../config/errors.ts';

export const refuse = (code: string, what: string, nextStep: string): EtudeError => new EtudeError({ code, what, nextStep });
