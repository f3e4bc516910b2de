/** Tokens grouped so that lines break only between words. Pure. */
import type { InspectedToken } from '../../stores/types.ts';

export interface PlacedToken { token: InspectedToken; position: number }

/** A word is a token that begins with a space or follows a break, and what hangs on it. Special tokens stand alone. */
/** Scripts written without spaces may break before any token; so may a run longer than any word. */
const MAX_WORD = 32;
const BEGINS_WORD = /^[\s\u2581\u0120\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

export function tokenWords(tokens: InspectedToken[], start: number): PlacedToken[][] {
  const words: PlacedToken[][] = [];
  let open = false;
  let length = 0;
  tokens.forEach((token, i) => {
    const placed = { token, position: start + i };
    const begins = !open || token.special || BEGINS_WORD.test(token.text) || length + token.text.length > MAX_WORD;
    if (begins) words.push([placed]);
    else words.at(-1)!.push(placed);
    length = (begins ? 0 : length) + token.text.length;
    open = !token.special && !token.text.includes('\n');
  });
  return words;
}

/** How a token's text is shown: a newline as its sign, a tab as an arrow, nothing as a dot. */
export const shownText = (text: string): string => (text === '' ? '∅' : text.replaceAll('\n', '↵').replaceAll('\r', '␍').replaceAll('\t', '⇥'));

export const lineBreaks = (text: string): number => text.split('\n').length - 1;
