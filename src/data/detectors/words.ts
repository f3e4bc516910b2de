/** Text as the detectors compare it: words of any script, without case, spelling of accents and punctuation. */

/** Scripts that write no spaces count by character. */
const WORD = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{M}\p{N}]+/gu;

// oxlint-disable-next-line no-control-regex -- what ASCII is
const BEYOND_ASCII = /[^\0-\x7f]/;
const ASCII_WORD = /[a-z\d]+/g;

/** Most text is ASCII, where no spelling differs and the classes of Unicode are two ranges. */
export const isAscii = (text: string): boolean => !BEYOND_ASCII.test(text);

export const wordsOf = (text: string): string[] =>
  (isAscii(text) ? text.toLowerCase().match(ASCII_WORD) : text.normalize('NFKC').toLowerCase().match(WORD)) ?? [];

/** One space for any white space, no case: for telling whether one text holds another. */
export const squeeze = (text: string): string => text.normalize('NFKC').toLowerCase().replaceAll(/\s+/g, ' ').trim();
