/** Owns reading the front matter of a dataset's card (README.md). A card is anyone's: what cannot be read is as if it were not there. */

const MOST_CHARS = 200_000;

/** The card's settings, or null. */
export async function readCard(readme: string): Promise<unknown> {
  const front = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---(?:\r?\n|$)/.exec(readme.slice(0, MOST_CHARS))?.[1];
  if (front === undefined || !/^configs:/m.test(front)) return null;
  const { parse } = await import('yaml');
  try {
    // Aliases could blow up a small text.
    return parse(front, { maxAliasCount: 0, logLevel: 'silent' }) as unknown;
  } catch {
    return null;
  }
}
