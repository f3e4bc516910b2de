/** Owns refusals and assistant boilerplate in answers: phrases of known assistants, looked for where answers begin. English only. */
import type { RowLook } from './rowLook.ts';

/** Anywhere in an answer: nobody but an assistant says it of itself. */
const BOILERPLATE = /\bas an ai,? i\b|\bas an? (?:ai|artificial intelligence)(?: language)? (?:model|assistant)\b|\bi(?:'|’)?a?m (?:just |only )?an ai (?:language model|assistant)\b(?! developed| created| built| made)|\bmy (?:knowledge cut-?off|training data (?:only )?(?:goes|extends|includes))\b/i;
/** At the beginning: a refusal, not an answer that happens to regret something. */
const REFUSAL = /^(?:i(?:'|’| a)m (?:very |really |so )?sorry,? (?:but )?(?:i |as )|sorry,? (?:but )?i |i apologi[sz]e,? (?:but )?i |unfortunately,? i )?(?:i )?(?:can(?:not|'t|’t)|am (?:not able|unable)|(?:'|’)m (?:not able|unable)|will not|won(?:'|’)t|do not feel comfortable|don(?:'|’)t feel comfortable) (?:to )?(?:help|assist|provide|fulfil+|comply|answer|create|generate|write|support|engage|do that|perform|complete|access|browse|offer|share|give|book|order|make|send|set)\b/i;
const REFUSAL_SORRY = /^(?:i(?:'|’| a)m (?:very |really |so )?sorry|sorry|i apologi[sz]e|unfortunately)[,.!]? (?:but )?(?:as an ai\b|i (?:can(?:not|'t|’t)|am (?:not able|unable)|(?:do not|don(?:'|’)t) have (?:the )?(?:ability|capability|access)|(?:'|’)m (?:not able|unable)))/i;

export const refusals: RowLook = {
  kind: 'refusal',
  look(messages) {
    for (const { role, content } of messages) {
      if (role !== 'assistant') continue;
      const start = content.trimStart().slice(0, 200);
      const found = REFUSAL_SORRY.exec(start) ?? REFUSAL.exec(start) ?? BOILERPLATE.exec(content);
      if (found) return found[0].slice(0, 60);
    }
    return null;
  },
};
