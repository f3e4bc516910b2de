/** Python's str.strip family, whose white space differs from JavaScript's: no U+FEFF, but U+0085 and U+001C to U+001F. */
const isPythonSpace = (char: string): boolean => /\p{White_Space}/u.test(char) || (char >= '\u001c' && char <= '\u001f');

/** `chars` is a set of characters, as in Python; white space when left out. */
export function pythonStrip(text: string, side: 'both' | 'left' | 'right' = 'both', chars?: string): string {
  const strips = (char: string): boolean => (chars === undefined ? isPythonSpace(char) : chars.includes(char));
  let from = 0;
  let to = text.length;
  if (side !== 'right') while (from < to && strips(text[from]!)) from++;
  if (side !== 'left') while (to > from && strips(text[to - 1]!)) to--;
  return text.slice(from, to);
}
